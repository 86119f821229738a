#include "cli/home.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "cli/command.h"
#include "transport/listener.h"
#include "transport/secret_file.h"

namespace leat::cli {
namespace {

Result<Done> verify_length(const Home& home) {
  if (home.socket().size() <= transport::kSocketPathMax) return Done{};
  return invalid(home.path + ": too long for a socket in it, which takes " +
                 std::to_string(transport::kSocketPathMax) +
                 " bytes: choose a shorter --home or LEAT_HOME");
}

}  // namespace

std::string Surroundings::variable(std::string_view name) const {
  for (const std::string& entry : environment)
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.rfind(name, 0) == 0)
      return entry.substr(name.size() + 1);
  return {};
}

Home choose_home(const std::optional<std::string>& option, const Surroundings& surroundings) {
  std::string path = option ? *option : surroundings.variable("LEAT_HOME");
  if (path.empty()) path = "/var/tmp/leat-" + std::to_string(surroundings.uid);
  if (path.front() != '/') path = surroundings.directory + '/' + path;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return Home{path};
}

Result<Done> make_home(const Home& home) {
  const Result<Done> length = verify_length(home);
  if (!length.ok()) return length;
  return transport::ensure_private_directory(home.path);
}

Result<Done> verify_home(const Home& home) {
  const Result<Done> length = verify_length(home);
  if (!length.ok()) return length;
  struct stat info {};
  if (::lstat(home.path.c_str(), &info) != 0 && errno == ENOENT)
    return Refusal{Reason::kDisconnected,
                   "no head has ever run in " + home.path + ": start one with leat up"};
  return transport::ensure_private_directory(home.path);
}

}  // namespace leat::cli
