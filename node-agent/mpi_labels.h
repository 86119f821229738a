#pragma once

// mpi_labels.h - what of MPI a node has, as labels by which jobs choose nodes.

#include <string>
#include <string_view>
#include <vector>

namespace leat::agent {

// "leat:mpi=40.30.4" if ranks can be started here: the launcher is there, and Open MPI's library,
// whose name has that number, in `search` (directories with colons between them) or where systems
// have theirs. Reads directories, starts nothing.
std::vector<std::string> mpi_labels(const std::string& launcher, std::string_view search);

}  // namespace leat::agent
