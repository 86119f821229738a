#pragma once

// pool_definition.h - a pool as its TOML file, or the options of `leat pool create`, describe it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "schema/types.capnp.h"

namespace leat::definitions {

inline constexpr std::uint32_t kNodesMax = 4096;
inline constexpr std::size_t kPoolNameMax = 64;
inline constexpr std::size_t kCountersMax = 16;
inline constexpr std::uint32_t kGpusMax = 64;
inline constexpr std::uint64_t kCounterMax = std::uint64_t{1} << 48;
inline constexpr std::uint32_t kTasksPerNodeMax = 1'000'000;
inline constexpr Duration kIdleTimeoutMin = std::chrono::milliseconds(100);
inline constexpr Duration kIdleTimeoutMax = std::chrono::hours(24 * 30);
inline constexpr Duration kJoinDeadlineMin = std::chrono::seconds(1);
inline constexpr Duration kJoinDeadlineMax = std::chrono::hours(24);

// What stands in the file; everything but name, provider and one of nodes and max may be left out:
//
//   name = "big"             # letters, digits, '-', '_', '.'
//   provider = "local"       # or "static"
//   nodes = 2                # pre-allocated; or, on demand:
//   min = 0                  #   never fewer
//   max = 8                  #   never more
//   idle_timeout = "5m"      #   a node without work goes after so long
//   join_deadline = "60s"    # a node that takes longer to join is replaced
//   cores = 4                # of each node, like all that follows
//   memory = "8G"
//   gpus = 1
//   labels = ["fast", "site=north"]
//   tasks_per_node = 4       # at most so many tasks at once
//   placement = "spread"     # over all nodes; or "pack", one after the other
//   memory_limits = "off"    # no cgroups; or "auto", kept by the kernel where it can
//   mpi_interfaces = "eth0"  # over which ranks of MPI programs talk
//   [counters]
//   licence = 2
struct PoolDefinition {
  std::string name;
  std::string provider;
  std::optional<std::uint32_t> nodes;
  std::optional<std::uint32_t> min;
  std::optional<std::uint32_t> max;
  std::optional<Duration> idle_timeout;
  std::optional<Duration> join_deadline;
  std::optional<std::uint32_t> millicores;
  std::optional<std::uint64_t> memory_bytes;
  std::uint32_t gpus = 0;
  std::vector<std::pair<std::string, std::uint64_t>> counters;  // sorted by name
  std::vector<std::string> labels;
  std::optional<std::uint32_t> tasks_per_node;
  bool spread = false;
  bool keeps_memory_limits = true;
  std::string mpi_interfaces;

  // As few and as many nodes as it may have.
  std::uint32_t nodes_min() const { return nodes ? *nodes : min.value_or(0); }
  std::uint32_t nodes_max() const { return nodes ? *nodes : max.value_or(0); }
};

// What contradicts something else, or is missing: the key it is about, and what would be right.
struct PoolFault {
  std::string_view key;
  std::string what;
  Reason reason = Reason::kInvalid;
};
std::optional<PoolFault> find_fault(const PoolDefinition& pool);

// Reads a definition. Refusals say "FILE:LINE:COLUMN: what is wrong, and what would be right";
// a provider that a later version brings is refused with kNotInThisVersion, all else with kInvalid.
Result<PoolDefinition> parse_pool(std::string_view text, const std::string& file);

// The same, from disk.
Result<PoolDefinition> load_pool(const std::string& path);

// Letters, digits, '-', '_' and '.', beginning with a letter or digit, at most kPoolNameMax.
bool is_pool_name(std::string_view text);

// Fills in `spec`. The shape counts as declared if cores were given.
void fill_pool_spec(const PoolDefinition& pool, schema::PoolSpec::Builder spec);

}  // namespace leat::definitions
