#pragma once

// rank_environment.h - the variables that a rank finds.
//
// Without the right ones Open MPI takes each rank for a world of its own, without a word.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leat::mpi {

// "NAME=value".
using Variables = std::vector<std::string>;

// What is the same for all ranks of one node.
struct RankSurroundings {
  Variables inherited;           // the launcher's own, as it was started
  Variables user;                // the task's
  Variables place;               // where the gang is: see place_variables()
  std::string memory_directory;  // for shared memory; private to this gang and node
  std::string interfaces;        // for TCP between nodes; empty: any
  std::uint64_t gang_word = 0;   // differs between gangs that share a network card
  bool yields = false;           // there are more ranks than CPUs
  bool several_nodes = false;
  bool has_psm = false;  // the node has a network card that Open MPI's PSM layers drive
  std::uint32_t rank_count = 0;
};

// Removes PMIX_*, PMI_*, OMPI_* and PRTE_*: they speak of somebody else's ranks.
Variables without_foreign_mpi(Variables variables);

// The variables of one rank. Where a name is set more than once the first of these wins: what PMIx
// needs, the user's, ours, the inherited.
Variables rank_environment(const RankSurroundings& surroundings, const Variables& pmix,
                           std::uint32_t rank, std::uint32_t local_rank);

// The gang's nodes and which of them this is. `hosts`: their names, comma-separated.
Variables place_variables(const std::string& hostfile, const std::string& hosts, std::uint32_t node,
                          std::uint32_t node_count);

// What a program finds that is no rank, but perhaps an mpirun: nothing that makes it take a
// surrounding scheduler's nodes for its own.
struct StarterTools {
  std::string rsh;        // the path of leat-rsh
  Variables access;       // by which it finds its launcher; nobody else sets these
  std::string directory;  // for temporary files; private to this gang and node
  bool superuser = false;
};
// `remote`: started through leat-rsh, so perhaps an Open MPI daemon.
Variables application_environment(const RankSurroundings& surroundings, const StarterTools& tools,
                                  bool remote);

// The value of `name`; empty if it is not set.
std::string_view value_of(const Variables& variables, std::string_view name);

}  // namespace leat::mpi
