#include "node-agent/topology.h"

#include <hwloc.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/resources.h"

namespace leat::agent {
namespace {

constexpr std::uint32_t kMillicoresPerCore = 1000;

std::vector<std::uint32_t> processors_of(hwloc_obj_t object) {
  std::vector<std::uint32_t> numbers;
  for (int i = hwloc_bitmap_first(object->cpuset); i >= 0; i = hwloc_bitmap_next(object->cpuset, i))
    numbers.push_back(static_cast<std::uint32_t>(i));
  return numbers;
}

// One vendor's interface lists its devices under one prefix, "nvml0", "nvml1"; a card may appear
// under several of them.
constexpr std::array<std::string_view, 4> kGpuPrefixes{"nvml", "cuda", "rsmi", "ze"};

// The driver makes these also where hwloc was built without the vendor's library.
std::uint32_t count_nvidia_files() {
  std::uint32_t count = 0;
  while (count < kGpusMax && ::access(("/dev/nvidia" + std::to_string(count)).c_str(), F_OK) == 0)
    ++count;
  return count;
}

struct Unload {
  using pointer = hwloc_topology_t;
  void operator()(hwloc_topology_t loaded) const { hwloc_topology_destroy(loaded); }
};
using OwnTopology = std::unique_ptr<hwloc_topology, Unload>;

// With devices, but for those that only the named libraries know; not loaded yet.
OwnTopology with_devices(std::span<const char* const> unwanted) {
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return nullptr;
  hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
  for (const char* const name : unwanted)
    hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, name);
  return OwnTopology(topology);
}

}  // namespace

std::uint32_t count_gpus(const std::optional<std::string>& xml_path) {
  // They count nothing that is counted here, leave memory behind, and one talks to displays.
  constexpr std::array kUnwanted{"opencl", "gl", "pci"};
  const OwnTopology owner = with_devices(kUnwanted);
  if (owner == nullptr) return 0;
  const hwloc_topology_t topology = owner.get();
  if (xml_path && hwloc_topology_set_xml(topology, xml_path->c_str()) != 0) return 0;
  if (hwloc_topology_load(topology) != 0) return 0;
  std::array<std::uint32_t, kGpuPrefixes.size()> counts{};
  for (hwloc_obj_t device = hwloc_get_next_osdev(topology, nullptr); device != nullptr;
       device = hwloc_get_next_osdev(topology, device)) {
    const std::string_view name = device->name == nullptr ? "" : device->name;
    for (std::size_t i = 0; i < kGpuPrefixes.size(); ++i)
      if (name.starts_with(kGpuPrefixes[i])) ++counts[i];
  }
  const std::uint32_t found = *std::max_element(counts.begin(), counts.end());
  return found == 0 && !xml_path ? count_nvidia_files() : std::min(found, kGpusMax);
}

Result<Done> save_machine(const std::string& path) {
  // MPI asks how near network cards are, not what computes; Linux knows them without "pci".
  constexpr std::array kUnwanted{"opencl", "gl", "cuda", "nvml", "rsmi", "levelzero", "pci"};
  const OwnTopology machine = with_devices(kUnwanted);
  if (machine == nullptr || hwloc_topology_load(machine.get()) != 0)
    return invalid("topology: the machine cannot be examined");
  const std::string unfinished = path + ".new";
  std::error_code error;
  if (hwloc_topology_export_xml(machine.get(), unfinished.c_str(), 0) != 0)
    error = {errno, std::generic_category()};
  else
    std::filesystem::rename(unfinished, path, error);
  if (error) {
    ::unlink(unfinished.c_str());
    return invalid(path + ": cannot be written: " + error.message());
  }
  return Done{};
}

struct Topology::Parts {
  hwloc_topology_t topology = nullptr;
  std::vector<hwloc_obj_t> cores;  // of the share, by logical number
  std::uint32_t millicores = 0;
  std::uint64_t memory_bytes = 0;
  bool may_bind = false;
  std::set<hwloc_obj_t> taken;

  Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() {
    if (topology != nullptr) hwloc_topology_destroy(topology);
  }

  // The free cores of the share below `object`, lowest first.
  std::vector<hwloc_obj_t> free_below(hwloc_obj_t object) const {
    std::vector<hwloc_obj_t> found;
    for (hwloc_obj_t core : cores)
      if (!taken.contains(core) && hwloc_bitmap_isincluded(core->cpuset, object->cpuset) != 0)
        found.push_back(core);
    return found;
  }
};

Topology::Topology(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Topology::Topology(Topology&&) noexcept = default;
Topology& Topology::operator=(Topology&&) noexcept = default;
Topology::~Topology() = default;

Result<Topology> Topology::discover(const Share& share) {
  std::unique_ptr<Parts> parts = std::make_unique<Parts>();
  if (hwloc_topology_init(&parts->topology) != 0)
    return invalid("topology: hwloc cannot be initialised");
  hwloc_topology_set_flags(parts->topology, HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM |
                                                HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING);
  return load(std::move(parts), share);
}

Result<Topology> Topology::from_xml(const std::string& path, const Share& share) {
  std::unique_ptr<Parts> parts = std::make_unique<Parts>();
  if (hwloc_topology_init(&parts->topology) != 0)
    return invalid("topology: hwloc cannot be initialised");
  if (hwloc_topology_set_xml(parts->topology, path.c_str()) != 0)
    return invalid(path + ": cannot be read as an hwloc topology");
  return load(std::move(parts), share);
}

Result<Topology> Topology::load(std::unique_ptr<Parts> parts, const Share& share) {
  if (hwloc_topology_load(parts->topology) != 0)
    return invalid("topology: the machine cannot be examined");
  const int count = hwloc_get_nbobjs_by_type(parts->topology, HWLOC_OBJ_CORE);
  std::vector<hwloc_obj_t> all;
  if (count > 0) all.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    all.push_back(hwloc_get_obj_by_type(parts->topology, HWLOC_OBJ_CORE, static_cast<unsigned>(i)));
  if (all.empty()) return invalid("topology: no core is left to this process");

  const std::uint32_t machine = static_cast<std::uint32_t>(all.size()) * kMillicoresPerCore;
  parts->millicores = share.millicores == 0 ? machine : std::min(share.millicores, machine);
  const std::uint64_t memory = hwloc_get_root_obj(parts->topology)->total_memory;
  parts->memory_bytes =
      share.memory_bytes == 0 ? memory : std::min<std::uint64_t>(share.memory_bytes, memory);

  const std::uint32_t first = share.core_first.value_or(0);
  const std::uint32_t wanted = parts->millicores / kMillicoresPerCore;
  const bool is_whole = parts->millicores == machine && first == 0;
  if (is_whole || (share.core_first && wanted > 0 && first + wanted <= all.size())) {
    parts->may_bind = true;
    parts->cores.assign(all.begin() + first, all.begin() + first + wanted);
  }
  return Topology(std::move(parts));
}

std::uint32_t Topology::millicores() const {
  return parts_->millicores;
}
std::uint64_t Topology::memory_bytes() const {
  return parts_->memory_bytes;
}
bool Topology::may_bind() const {
  return parts_->may_bind;
}

std::array<std::byte, 32> Topology::hash() const {
  char* xml = nullptr;
  int length = 0;
  std::array<std::byte, 32> hash{};
  if (hwloc_topology_export_xmlbuffer(parts_->topology, &xml, &length, 0) != 0) return hash;
  SHA256(reinterpret_cast<const unsigned char*>(xml), static_cast<std::size_t>(length),
         reinterpret_cast<unsigned char*>(hash.data()));
  hwloc_free_xmlbuffer(parts_->topology, xml);
  return hash;
}

std::vector<std::uint32_t> Topology::take_cores(std::uint32_t cores) {
  std::vector<std::uint32_t> processors;
  if (!parts_->may_bind || cores == 0 || cores > parts_->cores.size()) return processors;
  // From the deepest level upwards: the first object with room is the smallest. On one level the
  // fullest that has room wins, so that larger holes stay for larger runs.
  const int depth = hwloc_topology_get_depth(parts_->topology);
  for (int level = depth - 1; level >= 0; --level) {
    std::vector<hwloc_obj_t> best;
    const unsigned width = hwloc_get_nbobjs_by_depth(parts_->topology, level);
    for (unsigned i = 0; i < width; ++i) {
      std::vector<hwloc_obj_t> free =
          parts_->free_below(hwloc_get_obj_by_depth(parts_->topology, level, i));
      if (free.size() >= cores && (best.empty() || free.size() < best.size()))
        best = std::move(free);
    }
    if (best.empty()) continue;
    best.resize(cores);
    for (hwloc_obj_t core : best) {
      parts_->taken.insert(core);
      const std::vector<std::uint32_t> numbers = processors_of(core);
      processors.insert(processors.end(), numbers.begin(), numbers.end());
    }
    return processors;
  }
  return processors;
}

void Topology::claim_cores(const std::vector<std::uint32_t>& processors) {
  for (hwloc_obj_t core : parts_->cores)
    for (const std::uint32_t number : processors)
      if (hwloc_bitmap_isset(core->cpuset, number) != 0) parts_->taken.insert(core);
}

void Topology::free_cores(const std::vector<std::uint32_t>& processors) {
  for (const std::uint32_t number : processors)
    std::erase_if(parts_->taken, [number](hwloc_obj_t core) {
      return hwloc_bitmap_isset(core->cpuset, number) != 0;
    });
}

std::vector<CoreSite> Topology::sites_of(const std::vector<std::uint32_t>& processors) const {
  std::vector<CoreSite> sites;
  for (hwloc_obj_t core : parts_->cores) {
    const bool asked = std::ranges::any_of(processors, [core](std::uint32_t number) {
      return hwloc_bitmap_isset(core->cpuset, number) != 0;
    });
    if (!asked) continue;
    CoreSite site{.processors = processors_of(core)};
    const int numa = hwloc_bitmap_first(core->nodeset);
    site.numa = numa < 0 ? 0 : static_cast<std::uint32_t>(numa);
    const hwloc_obj_t socket =
        hwloc_get_ancestor_obj_by_type(parts_->topology, HWLOC_OBJ_PACKAGE, core);
    site.socket = socket == nullptr ? 0 : socket->logical_index;
    sites.push_back(std::move(site));
  }
  return sites;
}

}  // namespace leat::agent
