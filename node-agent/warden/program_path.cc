#include "node-agent/warden/program_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "node-agent/warden/string_block.h"

namespace leat::warden {

namespace {

constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";
// Each entry costs a system call in a process that everything waits for.
constexpr int kEntriesMax = 256;

bool is_executable_file(const std::string& path) {
  if (faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) return false;
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) return true;
  errno = EACCES;
  return false;
}

}  // namespace

ProgramPath find_program(const std::string& name, char* const* environment,
                         const std::string& directory) {
  if (name.empty()) return {{}, ENOENT};
  if (name.find('/') != std::string::npos) return {name, 0};
  std::string_view rest = value_of("PATH", environment).value_or(kDefaultPath);
  int error = ENOENT;
  for (int entry = 0; entry < kEntriesMax; ++entry) {
    const std::size_t colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    std::string path;
    if (!folder.starts_with('/') && !directory.empty()) path.append(directory).append("/");
    path.append(folder.empty() ? "." : folder).append("/").append(name);
    if (is_executable_file(path)) return {path, 0};
    if (errno == EACCES) error = EACCES;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return {{}, error};
}

}  // namespace leat::warden
