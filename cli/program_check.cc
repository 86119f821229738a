#include "cli/program_check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace leat::cli {
namespace {

// What the agent takes if the environment has none.
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

std::string path_of(const std::vector<std::string>& environment) {
  for (const std::string& entry : environment)
    if (entry.rfind("PATH=", 0) == 0) return entry.substr(5);
  return std::string(kDefaultPath);
}

}  // namespace

std::string absolute_path(const std::string& path, const std::string& directory) {
  return !path.empty() && path.front() == '/' ? path : directory + '/' + path;
}

bool is_executable_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return false;
  if (!S_ISREG(info.st_mode)) {
    errno = EACCES;
    return false;
  }
  return ::access(path.c_str(), X_OK) == 0;
}

std::string find_in_path(const std::string& name, const std::string& path,
                         const std::string& directory) {
  std::string_view rest = path;
  for (;;) {
    const std::size_t colon = rest.find(':');
    const std::string part(rest.substr(0, colon));
    const std::string candidate = absolute_path(part.empty() ? "." : part, directory) + '/' + name;
    if (is_executable_file(candidate)) return candidate;
    if (colon == std::string_view::npos) return {};
    rest.remove_prefix(colon + 1);
  }
}

Result<Done> check_program(const std::string& program, const std::string& directory,
                           const std::vector<std::string>& environment) {
  if (program.empty()) return invalid("the program's name is empty: name one after --");
  if (program.find('/') == std::string::npos) {
    if (!find_in_path(program, path_of(environment), directory).empty()) return Done{};
    return invalid(program + ": no such program in PATH: give its path, like ./" + program);
  }
  const std::string path = absolute_path(program, directory);
  if (is_executable_file(path)) return Done{};
  const char* const advice = errno == EACCES ? ": chmod +x it, or name another" : ": name another";
  return invalid(program + ": " + std::strerror(errno) + advice);
}

}  // namespace leat::cli
