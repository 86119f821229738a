#include "mpi-tasks/dead_segments.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace leat::mpi {
namespace {

namespace fs = std::filesystem;

using Paths = std::set<std::string>;

Paths candidates() {
  utsname host{};
  if (uname(&host) != 0) return {};
  const std::string prefix =
      std::string("vader_segment.") + host.nodename + "." + std::to_string(geteuid()) + ".";
  Paths found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/dev/shm", ignored))
    if (entry.path().filename().string().starts_with(prefix)) found.insert(entry.path());
  return found;
}

// Takes out those that some process has mapped.
void keep_unmapped(Paths& segments) {
  std::error_code ignored;
  for (const auto& process : fs::directory_iterator("/proc", ignored)) {
    if (segments.empty()) return;
    std::ifstream maps(process.path() / "maps");
    for (std::string line; std::getline(maps, line);) {
      const std::size_t path = line.find("/dev/shm/vader_segment.");
      if (path != std::string::npos) segments.erase(line.substr(path));
    }
  }
}

}  // namespace

void remove_dead_segments() {
  Paths segments = candidates();
  // Twice: another job's may have been made a moment ago and be about to be mapped.
  for (int round = 0; round < 2; ++round) keep_unmapped(segments);
  std::error_code ignored;
  for (const std::string& segment : segments) fs::remove(segment, ignored);
}

}  // namespace leat::mpi
