#include "tests/mpi-tasks/litter.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace leat::mpi {

namespace fs = std::filesystem;

std::set<std::string> litter() {
  std::set<std::string> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/dev/shm", ignored)) found.insert(entry.path());
  for (const auto& entry : fs::directory_iterator("/tmp", ignored)) {
    if (!entry.path().filename().string().starts_with("ompi.")) continue;
    // jf.0 is what programs have that nobody launched, in other tests.
    for (const auto& below : fs::directory_iterator(entry.path(), ignored))
      if (below.path().filename() != "jf.0") found.insert(below.path());
  }
  return found;
}

bool in_use(const std::string& text) {
  const fs::path path = text;
  const std::string name = path.filename();
  if (!fs::exists(path)) return true;
  if (name.starts_with("pid.")) return fs::exists("/proc/" + name.substr(4));
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    std::ostringstream content;
    content << std::ifstream(entry.path() / "maps").rdbuf();
    if (content.str().find(path.string()) != std::string::npos) return true;
  }
  return false;
}

}  // namespace leat::mpi
