#pragma once

// pmix_server.h - libpmix's server: what ranks ask of it, and what it is told.
//
// The library is one per process and runs a thread of its own. What ranks want arrives there, is
// copied, and goes to the loop through a mailbox; the loop answers through the Reply it came with.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/loop/mailbox.h"
#include "base/result.h"
#include "mpi-tasks/collectives.h"
#include "mpi-tasks/gang_file.h"
#include "mpi-tasks/message.h"

namespace leat::mpi {

// Whom to answer. Exactly one answer is due unless it is empty.
struct Reply {
  void (*function)() = nullptr;
  void* data = nullptr;

  explicit operator bool() const { return function != nullptr; }
};

// What the loop is told, in the order in which it happened.
struct Upcall {
  enum class Type : std::uint8_t {
    kConnected,  // rank
    kFinalized,  // rank; reply
    kAborted,    // rank, status, text; reply
    kGather,     // gathering, ranks, status, flag (collects), bytes, timeout_s; reply
    kModexAsk,   // rank, timeout_s; reply_bytes
    kModexData,  // id, node, status, bytes: what a call of ask_modex() brought
    kPublish,    // rank, entries, flag (gone after first read); reply
    kLookup,     // keys, wanted, timeout_s; reply_found
    kUnpublish,  // rank, keys; reply
    kExited,     // rank, status, signalled: from the loop itself, to keep the order
  };

  Type type = Type::kConnected;
  Reply reply{};
  Rank rank = 0;
  std::int32_t status = 0;
  bool signalled = false;
  bool flag = false;
  Gathering gathering = Gathering::kFence;
  std::vector<Rank> ranks{};  // ascending; empty: everybody
  std::string text{};
  std::string bytes{};
  std::vector<Entry> entries{};
  std::vector<std::string> keys{};
  std::uint32_t wanted = 0;
  std::uint32_t timeout_s = 0;  // what the rank is willing to wait; 0: for ever
  std::uint64_t id = 0;
  NodeIndex node = 0;
};

// Borrows spec and mailbox. Thread: the loop's; none of these is called from an upcall.
// One per process, which must end by _exit once start() has been called: the library's thread runs
// on.
class PmixServer {
 public:
  PmixServer(const GangSpec& spec, Mailbox<Upcall>& upcalls);
  PmixServer(const PmixServer&) = delete;
  PmixServer& operator=(const PmixServer&) = delete;
  ~PmixServer();

  // Starts the library and registers the gang and the ranks of this node. `directory` is private
  // and exists. Signals of ours must be blocked already: the library's threads inherit that.
  Result<Done> start(const std::string& directory);

  // The variables by which a rank finds us.
  Result<std::vector<std::string>> variables_of(Rank rank);

  void answer(const Upcall& upcall, std::int32_t status);
  // To kGather and kModexAsk.
  void answer_bytes(const Upcall& upcall, std::int32_t status, std::string bytes);
  // To kLookup.
  void answer_found(const Upcall& upcall, std::int32_t status, const std::vector<Entry>& entries);

  // What `rank`, one of ours, has committed; arrives as kModexData once it has committed anything.
  void ask_modex(Rank rank, std::uint64_t id, NodeIndex node);

 private:
  Result<Done> register_gang();

  const GangSpec& spec_;
  Mailbox<Upcall>& upcalls_;
  std::string directory_;
};

}  // namespace leat::mpi
