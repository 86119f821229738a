#pragma once

// gang_file.h - what one launcher is told at its start: schema/gang.capnp's GangFile.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "mpi-tasks/layout.h"
#include "mpi-tasks/tree.h"
#include "transport/authority.h"

namespace leat::mpi {

enum class MpiMode : std::uint8_t { kAutomatic, kRequired, kPmi1 };

// Checked: what the schema demands of the fields holds.
struct GangSpec {
  std::string nspace{};
  std::uint32_t attempt = 0;
  NodeIndex node = 0;
  Layout layout;
  std::string hub_address{};
  int listen_fd = -1;
  std::string listen_address{};  // where to listen without one
  NodeIndex star_nodes = 0;
  NodeIndex tree_width = 0;
  std::vector<std::string> program{};
  std::vector<std::string> environment{};
  std::string directory{};
  std::vector<std::vector<std::uint16_t>> cpus{};  // one list per rank of this node, perhaps empty
  std::uint32_t node_cpus = 0;
  Duration grace{};
  MpiMode mpi = MpiMode::kAutomatic;
  std::vector<std::string> coordination{};  // empty: none
  bool application = false;                 // `program` runs once, on node 0
  std::string interfaces{};
  std::string private_directory{};
  std::string topology{};  // a file; empty: none
  transport::Credentials credentials{};
  Duration registered_limit{};
  Duration fence_limit{};  // zero: none
  Duration modex_limit{};

  bool is_hub() const { return node == 0; }
  const GangNode& here() const { return layout.node(node); }
  Tree tree() const { return Tree::of(layout.node_count(), star_nodes, tree_width); }
  bool speaks_pmix() const { return !application && mpi != MpiMode::kPmi1; }
  // Beside PMIx it does no harm: Open MPI does not look for it, and MPICH for nothing else.
  bool speaks_pmi1() const { return !application; }
  bool oversubscribed() const { return node_cpus > 0 && here().ranks.size() > node_cpus; }
};

// Refused with one line that names the file and what is wrong: not a file of ours with mode 0600,
// not such a message, another version, a field out of its limits.
Result<GangSpec> read_gang_file(const std::string& path);

// The same for its content.
Result<GangSpec> parse_gang(std::span<const std::byte> bytes);

}  // namespace leat::mpi
