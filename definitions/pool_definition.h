#pragma once

// pool_definition.h - a pool as its TOML file describes it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schema/types.capnp.h"

namespace leat::definitions {

inline constexpr std::uint32_t kNodesMax = 4096;
inline constexpr std::size_t kPoolNameMax = 64;
inline constexpr std::size_t kLabelsMax = 64;

// What stands in the file:
//
//   name = "big"          # letters, digits, '-', '_', '.'; required
//   provider = "local"    # required; the only one of this version
//   nodes = 2             # required
//   cores = 4             # of each node; what is left out is not declared
//   memory = "8G"         # of each node
//   labels = ["fast"]
struct PoolDefinition {
  std::string name;
  std::string provider;
  std::uint32_t nodes = 0;
  std::optional<std::uint32_t> millicores;
  std::optional<std::uint64_t> memory_bytes;
  std::vector<std::string> labels;
};

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
