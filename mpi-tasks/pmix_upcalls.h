#pragma once

// pmix_upcalls.h - the table of functions that libpmix calls on its own thread.
//
// Only for pmix_server.cc. Each copies its arguments, puts an Upcall into the mailbox and returns
// at once: a blocked upcall would block every rank of the node.

#include <pmix_server.h>

#include <string>

#include "mpi-tasks/pmix_server.h"

namespace leat::mpi {

// From now on upcalls about `nspace` go to `upcalls`.
void attach_upcalls(Mailbox<Upcall>& upcalls, const std::string& nspace);

pmix_server_module_t upcall_table();

// libpmix's answer to PMIx_server_dmodex_request; `ask` is a ModexAsk made with new.
struct ModexAsk {
  std::uint64_t id = 0;
  NodeIndex node = 0;
};
void take_modex_data(pmix_status_t status, char* data, std::size_t size, void* ask);

}  // namespace leat::mpi
