#pragma once

// commands.h - what leat-rsh asks of this node's launcher, and what others ask of this node.
//
// A program of the gang - mpirun, above all - starts a command on another node as it would by ssh.
// It asks the launcher of its own node through a unix socket in the private directory; that asks
// the other's launcher through the hub; output and exit status come back the same way.

#include <kj/async-io.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "mpi-tasks/gang_file.h"
#include "mpi-tasks/gang_link.h"
#include "mpi-tasks/message.h"
#include "mpi-tasks/processes.h"
#include "mpi-tasks/rank_environment.h"
#include "transport/listener.h"

namespace leat::mpi {

// How a command of leat-rsh that could not be run ends, as ssh's do.
inline constexpr std::int32_t kExitNoSsh = 255;

// Borrows everything it is made with. Thread: the loop's.
//
// Invariants:
//   - Only a process of our own uid that knows the token is heard, and only about nodes of the
//   gang.
//   - No more than kWindow bytes of a command's output are under way.
class Commands final : private kj::TaskSet::ErrorHandler {
 public:
  using Send = std::function<void(Message)>;

  struct Shell {
    std::string path;  // the user's
    Variables environment;
  };

  Commands(kj::AsyncIoContext& io, const GangSpec& spec, Processes& processes, Send send);
  ~Commands() noexcept(false);

  // Makes the socket in `directory`, which exists. Refused: a path too long for a socket.
  Result<Done> listen(const std::string& directory, std::string token);
  // How leat-rsh finds us. Precondition: listen().
  Variables access() const;
  // With what commands are started here. Due before the first take().
  void set_shell(Shell shell) { shell_ = std::move(shell); }

  // kExecute, kOutput, kMore, kExecuted, kHangUp.
  void take(const Message& message);
  // No further command is started here, and nobody waits any more for those that run.
  void close();

 private:
  static constexpr std::int32_t kWindow = 256 * 1024;
  static constexpr std::size_t kRunningMax = 1024;
  static constexpr std::size_t kCallersMax = 4096;
  static constexpr std::size_t kRequestBytesMax = 1u << 20;

  // Who asked: the node, and its number for it.
  using Key = std::pair<NodeIndex, std::uint64_t>;

  // A leat-rsh of this node.
  struct Caller {
    NodeIndex target = 0;
    std::unique_ptr<GangLink> link;
  };
  // What runs here for one.
  struct Command {
    Processes::Id process = 0;
    std::int32_t under_way = 0;
    bool deaf = false;  // nobody waits for it any more
    kj::Own<kj::PromiseFulfiller<void>> room{};
  };

  void greet(kj::Own<kj::AsyncIoStream> stream);
  void ask(std::uint64_t id, Message request);
  void caller_left(std::uint64_t id);
  void tell_caller(const Message& message);

  void execute(const Message& message);
  kj::Promise<void> pass_on(Key key, bool error, std::string_view bytes);
  void ended(Key key, const std::string& text, RankExit exit);
  void make_room(Command& command);
  void taskFailed(kj::Exception&& exception) override;

  kj::AsyncIoContext& io_;
  const GangSpec& spec_;
  Processes& processes_;
  Send send_;
  Shell shell_;
  std::string path_;
  std::string token_;
  bool closed_ = false;
  std::uint64_t next_caller_ = 1;
  std::uint32_t started_ = 0;
  std::map<Key, Command> commands_;
  std::map<std::uint64_t, Caller> callers_;
  kj::TaskSet tasks_;                           // before what it uses goes away
  kj::Own<transport::LocalListener> listener_;  // first to go
};

}  // namespace leat::mpi
