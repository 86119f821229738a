#pragma once

// topology.h - the cores and the memory of this node, and which cores a run is bound to.
//
// The only place that knows hwloc.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace leat::agent {

// A share of a machine; zeroes mean all of it.
struct Share {
  std::uint32_t millicores = 0;
  std::uint64_t memory_bytes = 0;
  // The share's cores begin with the machine's core number `core_first` and belong to nobody
  // else. Without it a partial share is never bound.
  std::optional<std::uint32_t> core_first;
};

// Devices that compute, as hwloc finds them: on this machine, or in an XML file (for tests).
std::uint32_t count_gpus(const std::optional<std::string>& xml_path = std::nullopt);

// Writes what hwloc finds on this machine, network cards and other devices included, to an XML file
// which is there whole or not at all. Takes 10 ms and more. Refused if it cannot be written.
Result<Done> save_machine(const std::string& path);

// One core and where it is; the numbers are hwloc's logical ones.
struct CoreSite {
  std::vector<std::uint32_t> processors;
  std::uint32_t numa = 0;
  std::uint32_t socket = 0;
};

// Owns the hwloc topology. Thread: any one.
class Topology {
 public:
  // This machine, as far as the process may use it (its affinity mask).
  static Result<Topology> discover(const Share& share);
  // A machine from an hwloc XML file, for tests. Nothing is restricted.
  static Result<Topology> from_xml(const std::string& path, const Share& share);

  Topology(Topology&&) noexcept;
  Topology& operator=(Topology&&) noexcept;
  ~Topology();

  // What this node offers: its share, at most what there is. A hyperthreaded core counts once.
  std::uint32_t millicores() const;
  std::uint64_t memory_bytes() const;
  // SHA-256 of the XML: equal machines have equal ones.
  std::array<std::byte, 32> hash() const;

  // Processor numbers for a run that wants `cores` whole cores: free ones, together under the
  // smallest object that has room, the lowest first. Empty if this share may not be bound or not
  // enough cores are free: the run then goes unbound. They are taken until freed.
  std::vector<std::uint32_t> take_cores(std::uint32_t cores);
  void free_cores(const std::vector<std::uint32_t>& processors);
  // For a run that has them already, after a restart of the agent.
  void claim_cores(const std::vector<std::uint32_t>& processors);
  bool may_bind() const;
  // The cores to which these processors belong, in hwloc's order.
  std::vector<CoreSite> sites_of(const std::vector<std::uint32_t>& processors) const;

 private:
  struct Parts;
  explicit Topology(std::unique_ptr<Parts> parts);
  static Result<Topology> load(std::unique_ptr<Parts> parts, const Share& share);

  std::unique_ptr<Parts> parts_;
};

}  // namespace leat::agent
