#pragma once

// program_path.h - which file a program's name means.

#include <string>

namespace leat::warden {

// The file that `name` means to a task with that environment and directory: itself if it has a
// slash, else the first executable file of that name along the task's PATH, with relative entries
// of PATH taken from `directory`.
struct ProgramPath {
  std::string path;
  int error = 0;  // ENOENT, or EACCES if there is one that may not be executed
};
ProgramPath find_program(const std::string& name, char* const* environment,
                         const std::string& directory);

}  // namespace leat::warden
