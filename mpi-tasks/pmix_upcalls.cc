#include "mpi-tasks/pmix_upcalls.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/check.h"
#include "mpi-tasks/pmix_words.h"

namespace leat::mpi {
namespace {

struct Destination {
  Mailbox<Upcall>* upcalls = nullptr;
  std::string nspace;
};

// libpmix hands no argument of ours to its upcalls, and there is one of it per process. Set before
// its thread starts, which runs until the process ends.
Destination& destination() {
  static Destination the_one;
  return the_one;
}

template <typename Function>
Reply reply_to(Function function, void* data) {
  return {reinterpret_cast<void (*)()>(function), data};
}

// Success means: accepted, the answer comes later.
pmix_status_t put(Upcall upcall) {
  destination().upcalls->put(std::move(upcall));
  return PMIX_SUCCESS;
}

bool is_ours(const pmix_proc_t& proc) {
  return destination().nspace == proc.nspace;
}

std::uint32_t whole_number(const pmix_value_t& value) {
  const std::int64_t number = value.type == PMIX_INT      ? value.data.integer
                              : value.type == PMIX_UINT32 ? value.data.uint32
                              : value.type == PMIX_INT32  ? value.data.int32
                              : value.type == PMIX_SIZE ? static_cast<std::int64_t>(value.data.size)
                                                        : 0;
  return number < 0 ? 0 : static_cast<std::uint32_t>(number);
}

// What the directives of a call say, as far as we heed them.
struct Directives {
  bool collects = false;
  bool once = false;
  std::optional<std::uint32_t> wait;
  std::uint32_t timeout_s = 0;
  std::int32_t local_status = PMIX_SUCCESS;
};

Directives directives_of(const pmix_info_t* infos, std::size_t count) {
  Directives found;
  for (std::size_t i = 0; i < count; ++i) {
    const pmix_info_t& info = infos[i];
    if (PMIX_CHECK_KEY(&info, PMIX_COLLECT_DATA)) {
      found.collects = PMIX_INFO_TRUE(&info);
    } else if (PMIX_CHECK_KEY(&info, PMIX_TIMEOUT)) {
      found.timeout_s = whole_number(info.value);
    } else if (PMIX_CHECK_KEY(&info, PMIX_LOCAL_COLLECTIVE_STATUS)) {
      found.local_status = info.value.data.status;
    } else if (PMIX_CHECK_KEY(&info, PMIX_WAIT)) {
      found.wait = whole_number(info.value);
    } else if (PMIX_CHECK_KEY(&info, PMIX_PERSISTENCE)) {
      found.once = info.value.data.persist == PMIX_PERSIST_FIRST_READ;
    }
  }
  return found;
}

// Directives of a publish, which stand among what is published.
bool is_directive(const pmix_info_t& info) {
  for (const char* key : {PMIX_RANGE, PMIX_PERSISTENCE, PMIX_TIMEOUT, PMIX_USERID, PMIX_GRPID,
                          PMIX_ACCESS_PERMISSIONS})
    if (PMIX_CHECK_KEY(&info, key)) return true;
  return false;
}

std::vector<std::string> strings_of(char** keys) {
  std::vector<std::string> strings;
  for (; keys != nullptr && *keys != nullptr; ++keys) strings.emplace_back(*keys);
  return strings;
}

pmix_status_t on_connected(const pmix_proc_t* proc, void*, pmix_info_t*, size_t,
                           pmix_op_cbfunc_t reply, void* data) {
  if (is_ours(*proc)) put({.type = Upcall::Type::kConnected, .rank = proc->rank});
  // Later versions want the call, this one has none.
  if (reply == nullptr) return PMIX_OPERATION_SUCCEEDED;
  reply(PMIX_SUCCESS, data);
  return PMIX_SUCCESS;
}

pmix_status_t on_finalized(const pmix_proc_t* proc, void*, pmix_op_cbfunc_t reply, void* data) {
  if (!is_ours(*proc)) return PMIX_OPERATION_SUCCEEDED;
  return put(
      {.type = Upcall::Type::kFinalized, .reply = reply_to(reply, data), .rank = proc->rank});
}

// NOLINTNEXTLINE(readability-function-size): libpmix says what it takes.
pmix_status_t on_abort(const pmix_proc_t* proc, void*, int status, const char* text, pmix_proc_t*,
                       size_t, pmix_op_cbfunc_t reply, void* data) {
  return put({.type = Upcall::Type::kAborted,
              .reply = reply_to(reply, data),
              .rank = proc->rank,
              .status = status,
              .text = text == nullptr ? "" : text});
}

// A set of ranks of this gang; false if it is anything else.
bool read_ranks(const pmix_proc_t* procs, std::size_t count, std::vector<Rank>& ranks) {
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_ours(procs[i])) return false;
    if (procs[i].rank == PMIX_RANK_WILDCARD) {
      ranks.clear();
      return true;
    }
    if (procs[i].rank > PMIX_RANK_VALID) return false;
    ranks.push_back(procs[i].rank);
  }
  std::ranges::sort(ranks);
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return !ranks.empty();
}

pmix_status_t gather(Upcall upcall, const pmix_proc_t* procs, std::size_t count,
                     const Directives& directives) {
  if (!read_ranks(procs, count, upcall.ranks)) return PMIX_ERR_NOT_SUPPORTED;
  upcall.type = Upcall::Type::kGather;
  upcall.status = directives.local_status;
  upcall.flag = directives.collects;
  upcall.timeout_s = directives.timeout_s;
  return put(std::move(upcall));
}

// NOLINTNEXTLINE(readability-function-size): libpmix says what it takes.
pmix_status_t on_fence(const pmix_proc_t procs[], size_t count, const pmix_info_t infos[],
                       size_t info_count, char* bytes, size_t size, pmix_modex_cbfunc_t reply,
                       void* data) {
  Upcall upcall{.reply = reply_to(reply, data), .gathering = Gathering::kFence};
  if (bytes != nullptr) upcall.bytes.assign(bytes, size);
  std::free(bytes);
  return gather(std::move(upcall), procs, count, directives_of(infos, info_count));
}

pmix_status_t on_connect(const pmix_proc_t procs[], size_t count, const pmix_info_t infos[],
                         size_t info_count, pmix_op_cbfunc_t reply, void* data) {
  return gather({.reply = reply_to(reply, data), .gathering = Gathering::kConnect}, procs, count,
                directives_of(infos, info_count));
}

pmix_status_t on_disconnect(const pmix_proc_t procs[], size_t count, const pmix_info_t infos[],
                            size_t info_count, pmix_op_cbfunc_t reply, void* data) {
  return gather({.reply = reply_to(reply, data), .gathering = Gathering::kDisconnect}, procs, count,
                directives_of(infos, info_count));
}

pmix_status_t on_direct_modex(const pmix_proc_t* proc, const pmix_info_t infos[], size_t count,
                              pmix_modex_cbfunc_t reply, void* data) {
  if (!is_ours(*proc) || proc->rank > PMIX_RANK_VALID) return PMIX_ERR_NOT_FOUND;
  return put({.type = Upcall::Type::kModexAsk,
              .reply = reply_to(reply, data),
              .rank = proc->rank,
              .timeout_s = directives_of(infos, count).timeout_s});
}

pmix_status_t on_publish(const pmix_proc_t* proc, const pmix_info_t infos[], size_t count,
                         pmix_op_cbfunc_t reply, void* data) {
  if (!is_ours(*proc)) return PMIX_ERR_NOT_SUPPORTED;
  Upcall upcall{.type = Upcall::Type::kPublish, .reply = reply_to(reply, data), .rank = proc->rank};
  upcall.flag = directives_of(infos, count).once;
  for (std::size_t i = 0; i < count; ++i)
    if (!is_directive(infos[i]))
      upcall.entries.push_back({infos[i].key, proc->rank, packed(infos[i].value)});
  return put(std::move(upcall));
}

pmix_status_t on_lookup(const pmix_proc_t* proc, char** keys, const pmix_info_t infos[],
                        size_t count, pmix_lookup_cbfunc_t reply, void* data) {
  if (!is_ours(*proc)) return PMIX_ERR_NOT_SUPPORTED;
  Upcall upcall{
      .type = Upcall::Type::kLookup, .reply = reply_to(reply, data), .keys = strings_of(keys)};
  const Directives directives = directives_of(infos, count);
  const auto all = static_cast<std::uint32_t>(upcall.keys.size());
  // To wait for 0 of them is to wait for all.
  if (directives.wait)
    upcall.wanted = *directives.wait == 0 ? all : std::min(all, *directives.wait);
  upcall.timeout_s = directives.timeout_s;
  return put(std::move(upcall));
}

pmix_status_t on_unpublish(const pmix_proc_t* proc, char** keys, const pmix_info_t*, size_t,
                           pmix_op_cbfunc_t reply, void* data) {
  if (!is_ours(*proc)) return PMIX_ERR_NOT_SUPPORTED;
  return put({.type = Upcall::Type::kUnpublish,
              .reply = reply_to(reply, data),
              .rank = proc->rank,
              .keys = strings_of(keys)});
}

// NOLINTNEXTLINE(readability-function-size): libpmix says what it takes.
pmix_status_t on_spawn(const pmix_proc_t*, const pmix_info_t*, size_t, const pmix_app_t*, size_t,
                       pmix_spawn_cbfunc_t, void*) {
  return PMIX_ERR_NOT_SUPPORTED;
}

// Never called, but without it the library does not clean up behind ranks that are killed.
// NOLINTNEXTLINE(readability-function-size): libpmix says what it takes.
pmix_status_t on_job_control(const pmix_proc_t*, const pmix_proc_t*, size_t, const pmix_info_t*,
                             size_t, pmix_info_cbfunc_t, void*) {
  return PMIX_ERR_NOT_SUPPORTED;
}

pmix_status_t on_query(pmix_proc_t*, pmix_query_t*, size_t, pmix_info_cbfunc_t, void*) {
  return PMIX_ERR_NOT_SUPPORTED;
}

}  // namespace

void attach_upcalls(Mailbox<Upcall>& upcalls, const std::string& nspace) {
  LEAT_CHECK(destination().upcalls == nullptr);
  destination() = {&upcalls, nspace};
}

pmix_server_module_t upcall_table() {
  pmix_server_module_t table{};
  table.client_connected2 = &on_connected;
  table.client_finalized = &on_finalized;
  table.abort = &on_abort;
  table.fence_nb = &on_fence;
  table.direct_modex = &on_direct_modex;
  table.publish = &on_publish;
  table.lookup = &on_lookup;
  table.unpublish = &on_unpublish;
  table.spawn = &on_spawn;
  table.connect = &on_connect;
  table.disconnect = &on_disconnect;
  table.job_control = &on_job_control;
  table.query = &on_query;
  return table;
}

void take_modex_data(pmix_status_t status, char* data, std::size_t size, void* ask) {
  const std::unique_ptr<ModexAsk> owned(static_cast<ModexAsk*>(ask));
  // The library frees `data` as soon as this returns.
  put({.type = Upcall::Type::kModexData,
       .status = status,
       .bytes = data == nullptr ? std::string() : std::string(data, size),
       .id = owned->id,
       .node = owned->node});
}

}  // namespace leat::mpi
