#include "mpi-tasks/pmix_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "mpi-tasks/pmix_upcalls.h"
#include "mpi-tasks/pmix_words.h"

namespace leat::mpi {
namespace {

static_assert(kPmixSuccess == PMIX_SUCCESS && kPmixErrorTimeout == PMIX_ERR_TIMEOUT &&
              kPmixErrorBadParameter == PMIX_ERR_BAD_PARAM &&
              kPmixErrorNotFound == PMIX_ERR_NOT_FOUND &&
              kPmixErrorNotSupported == PMIX_ERR_NOT_SUPPORTED &&
              kPmixErrorPartialSuccess == PMIX_ERR_PARTIAL_SUCCESS &&
              kPmixErrorDuplicateKey == PMIX_ERR_DUPLICATE_KEY);

Refusal refused(const char* what, pmix_status_t status) {
  return invalid(std::string("PMIx: ") + what + ": " + PMIx_Error_string(status));
}

Result<Done> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return Done{};
  return invalid(path + ": cannot be made: " + std::strerror(errno));
}

void free_bytes(void* bytes) {
  delete static_cast<std::string*>(bytes);
}

// What the library makes of a map: text, or from 4 KiB on compressed bytes with a length of their
// own, which is why these are loaded as PMIX_REGEX and never as strings.
pmix_status_t add_map(InfoList& infos, const char* key, const std::string& input,
                      pmix_status_t (*generate)(const char*, char**)) {
  char* map = nullptr;
  const pmix_status_t status = generate(input.c_str(), &map);
  if (status != PMIX_SUCCESS) return status;
  infos.add(key, map, PMIX_REGEX);
  std::free(map);
  return status;
}

// Once one rank has these fields libpmix derives them for none: all ranks get all of them, in
// exactly these types.
void add_rank(InfoList& infos, const Layout& layout, Rank rank) {
  const NodeIndex node = layout.node_of(rank);
  const auto local = static_cast<std::uint16_t>(layout.local_rank_of(rank));
  InfoList fields;
  fields.add_rank(PMIX_RANK, rank);  // must come first
  fields.add_u16(PMIX_LOCAL_RANK, local);
  fields.add_u16(PMIX_NODE_RANK, local);
  fields.add_u32(PMIX_NODEID, node);
  fields.add(PMIX_HOSTNAME, layout.node(node).name);
  fields.add_u32(PMIX_APPNUM, 0);
  fields.add_rank(PMIX_GLOBAL_RANK, rank);
  fields.add_rank(PMIX_APP_RANK, rank);
  infos.add_array(PMIX_PROC_DATA, fields);
}

}  // namespace

PmixServer::PmixServer(const GangSpec& spec, Mailbox<Upcall>& upcalls)
    : spec_(spec), upcalls_(upcalls) {}

PmixServer::~PmixServer() = default;

Result<Done> PmixServer::start(const std::string& directory) {
  directory_ = directory;
  const std::string server_directory = directory + "/pmix";
  for (const std::string& path :
       {server_directory, directory + "/session", directory + "/session/ns"})
    if (const Result<Done> made = make_directory(path); !made.ok()) return made;
  attach_upcalls(upcalls_, spec_.nspace);
  InfoList infos;
  infos.add(PMIX_SERVER_TMPDIR, server_directory);
  infos.add(PMIX_SYSTEM_TMPDIR, server_directory);
  infos.add(PMIX_SERVER_NSPACE, spec_.nspace + "-launcher");
  infos.add_rank(PMIX_SERVER_RANK, spec_.node);
  infos.add(PMIX_HOSTNAME, spec_.here().name);
  infos.add(PMIX_SERVER_SHARE_TOPOLOGY, true);
  pmix_server_module_t table = upcall_table();
  const pmix_status_t status = PMIx_server_init(&table, infos.data(), infos.size());
  if (status != PMIX_SUCCESS) return refused("cannot start", status);
  return register_gang();
}

Result<Done> PmixServer::register_gang() {
  const Layout& layout = spec_.layout;
  const auto here = static_cast<std::uint32_t>(spec_.here().ranks.size());
  InfoList infos;
  pmix_status_t status = add_map(infos, PMIX_NODE_MAP, layout.node_names(), &PMIx_generate_regex);
  if (status != PMIX_SUCCESS) return refused("node map", status);
  status = add_map(infos, PMIX_PROC_MAP, layout.node_ranks(), &PMIx_generate_ppn);
  if (status != PMIX_SUCCESS) return refused("process map", status);
  for (const char* key : {PMIX_UNIV_SIZE, PMIX_JOB_SIZE, PMIX_MAX_PROCS})
    infos.add_u32(key, layout.size());
  infos.add_u32(PMIX_NUM_NODES, layout.node_count());
  infos.add_u32(PMIX_LOCAL_SIZE, here);
  infos.add_u32(PMIX_NODE_SIZE, here);
  infos.add(PMIX_LOCAL_PEERS, layout.peers(spec_.node));
  infos.add_rank(PMIX_LOCALLDR, spec_.here().ranks.front());
  infos.add(PMIX_JOBID, spec_.nspace);
  infos.add_u32(PMIX_JOB_NUM_APPS, 1);
  infos.add(PMIX_SPAWNED, false);
  // Without these Open MPI leaves directories in /tmp; it removes the second itself.
  infos.add(PMIX_TMPDIR, directory_ + "/session");
  infos.add(PMIX_NSDIR, directory_ + "/session/ns");
  infos.add(PMIX_TDIR_RMCLEAN, true);
  if (const std::string mapping = layout.process_mapping(); !mapping.empty())
    infos.add(PMIX_ANL_MAP, mapping);
  for (Rank rank = 0; rank < layout.size(); ++rank) add_rank(infos, layout, rank);
  status = PMIx_server_register_nspace(spec_.nspace.c_str(), static_cast<int>(here), infos.data(),
                                       infos.size(), nullptr, nullptr);
  if (status != PMIX_OPERATION_SUCCEEDED) return refused("cannot register the gang", status);
  for (const Rank rank : spec_.here().ranks) {
    const pmix_proc_t proc = proc_of(spec_.nspace, rank);
    status =
        PMIx_server_register_client(&proc, ::geteuid(), ::getegid(), nullptr, nullptr, nullptr);
    if (status != PMIX_OPERATION_SUCCEEDED) return refused("cannot register a rank", status);
  }
  return Done{};
}

Result<std::vector<std::string>> PmixServer::variables_of(Rank rank) {
  const pmix_proc_t proc = proc_of(spec_.nspace, rank);
  char** variables = nullptr;
  const pmix_status_t status = PMIx_server_setup_fork(&proc, &variables);
  if (status != PMIX_SUCCESS) return refused("no variables for a rank", status);
  std::vector<std::string> result;
  for (char** at = variables; at != nullptr && *at != nullptr; ++at) {
    result.emplace_back(*at);
    std::free(*at);
  }
  std::free(variables);
  return result;
}

void PmixServer::answer(const Upcall& upcall, std::int32_t status) {
  if (upcall.reply)
    reinterpret_cast<pmix_op_cbfunc_t>(upcall.reply.function)(status, upcall.reply.data);
}

void PmixServer::answer_bytes(const Upcall& upcall, std::int32_t status, std::string bytes) {
  if (upcall.gathering != Gathering::kFence) return answer(upcall, status);
  // The library reads it later, and says when it has done.
  auto owned = std::make_unique<std::string>(std::move(bytes));
  const char* data = owned->empty() ? nullptr : owned->data();
  const std::size_t size = owned->size();
  reinterpret_cast<pmix_modex_cbfunc_t>(upcall.reply.function)(
      status, data, size, upcall.reply.data, &free_bytes, owned.release());
}

void PmixServer::answer_found(const Upcall& upcall, std::int32_t status,
                              const std::vector<Entry>& entries) {
  pmix_pdata_t* found = nullptr;
  const std::size_t count = entries.size();
  if (count > 0) PMIX_PDATA_CREATE(found, count);
  for (std::size_t i = 0; i < count; ++i) {
    PMIX_LOAD_PROCID(&found[i].proc, spec_.nspace.c_str(), entries[i].publisher);
    PMIX_LOAD_KEY(found[i].key, entries[i].key.c_str());
    if (!unpack(entries[i].value, found[i].value)) status = kPmixErrorBadParameter;
  }
  reinterpret_cast<pmix_lookup_cbfunc_t>(upcall.reply.function)(status, found, count,
                                                                upcall.reply.data);
  // The library has copied them.
  if (found != nullptr) PMIX_PDATA_FREE(found, count);
}

void PmixServer::ask_modex(Rank rank, std::uint64_t id, NodeIndex node) {
  const pmix_proc_t proc = proc_of(spec_.nspace, rank);
  auto ask = std::make_unique<ModexAsk>(ModexAsk{id, node});
  const pmix_status_t status = PMIx_server_dmodex_request(&proc, &take_modex_data, ask.get());
  if (status == PMIX_SUCCESS) {
    (void)ask.release();  // now take_modex_data's
    return;
  }
  upcalls_.put({.type = Upcall::Type::kModexData, .status = status, .id = id, .node = node});
}

}  // namespace leat::mpi
