#include "node-agent/mpi_labels.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/labels.h"

namespace leat::agent {
namespace {

namespace fs = std::filesystem;

// The ABI of Open MPI 1.10 to 5.
constexpr std::string_view kLibrary = "libmpi.so.40";
constexpr std::string_view kPlaces =
    "/usr/local/lib:/usr/lib64/openmpi/lib:/usr/lib64:/usr/lib:/usr/lib/x86_64-linux-gnu:"
    "/usr/lib/aarch64-linux-gnu";

// Of the first library found: what its name says after "libmpi.so.".
std::string version_in(std::string_view places) {
  while (!places.empty()) {
    const std::string_view place = places.substr(0, places.find(':'));
    places.remove_prefix(std::min(places.size(), place.size() + 1));
    if (place.empty() || place.front() != '/') continue;
    std::error_code none;
    const fs::path library = fs::canonical(fs::path(place) / kLibrary, none);
    if (none) continue;
    const std::string name = library.filename();
    const std::string_view head = "libmpi.so.";
    return name.starts_with(head) ? name.substr(head.size()) : "40";
  }
  return {};
}

}  // namespace

std::vector<std::string> mpi_labels(const std::string& launcher, std::string_view search) {
  if (::access(launcher.c_str(), X_OK) != 0) return {};
  std::string version = version_in(search);
  if (version.empty()) version = version_in(kPlaces);
  if (version.empty()) return {};
  return {std::string(kMpiLabel) + "=" + version};
}

}  // namespace leat::agent
