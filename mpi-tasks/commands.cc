#include "mpi-tasks/commands.h"

#include <signal.h>

#include <utility>

#include "spool/rank_frames.h"
#include "transport/liveness.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

Message of(Type type, NodeIndex node, std::uint64_t id) {
  Message message;
  message.type = type;
  message.node = node;
  message.id = id;
  return message;
}

Message refused(std::uint64_t id, std::string why) {
  Message message = of(Type::kExecuted, 0, id);
  message.status = kExitNoSsh;
  message.text = std::move(why);
  return message;
}

// Without telling by the time it takes how much of it is right.
bool same(const std::string& one, const std::string& other) {
  if (one.size() != other.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < one.size(); ++i)
    difference |= static_cast<unsigned>(one[i] ^ other[i]);
  return difference == 0;
}

}  // namespace

Commands::Commands(kj::AsyncIoContext& io, const GangSpec& spec, Processes& processes, Send send)
    : io_(io), spec_(spec), processes_(processes), send_(std::move(send)), tasks_(*this) {}

Commands::~Commands() noexcept(false) = default;

Result<Done> Commands::listen(const std::string& directory, std::string token) {
  path_ = directory + "/rsh";
  token_ = std::move(token);
  Result<kj::Own<transport::LocalListener>> listener = transport::LocalListener::open(
      io_.provider->getNetwork(), io_.provider->getTimer(), path_,
      [this](const transport::Peer&, kj::Own<kj::AsyncIoStream> stream) { greet(kj::mv(stream)); });
  if (!listener.ok()) return listener.refusal();
  listener_ = std::move(listener).value();
  return Done{};
}

Variables Commands::access() const {
  return {"LEAT_RSH_SOCKET=" + path_, "LEAT_RSH_TOKEN=" + token_};
}

void Commands::close() {
  closed_ = true;
  for (auto& [key, command] : commands_) {
    command.deaf = true;
    make_room(command);
  }
}

void Commands::take(const Message& message) {
  if (message.type == Type::kExecute) return execute(message);
  if (message.type == Type::kOutput || message.type == Type::kExecuted) return tell_caller(message);
  const auto at = commands_.find({message.node, message.id});
  if (at == commands_.end()) return;
  if (message.type == Type::kMore) {
    at->second.under_way -= message.status;
  } else {
    at->second.deaf = true;
    processes_.signal(at->second.process, SIGHUP);
  }
  make_room(at->second);
}

void Commands::greet(kj::Own<kj::AsyncIoStream> stream) {
  if (callers_.size() >= kCallersMax) return;
  const std::uint64_t id = next_caller_++;
  Caller& caller = callers_[id];
  caller.link = std::make_unique<GangLink>(kj::mv(stream));
  kj::Timer& timer = io_.provider->getTimer();
  tasks_.add(timer.timeoutAfter(transport::kConnectDeadline, caller.link->receive(kRequestBytesMax))
                 .then([this, id](Message request) { ask(id, std::move(request)); })
                 .catch_([this, id](kj::Exception&&) { callers_.at(id).link->close(); })
                 .then([this, id] {
                   // Also notices when it goes.
                   return callers_.at(id).link->run([this, id](const Message& message) {
                     if (message.type != Type::kMore || message.status <= 0) return;
                     Message more = of(Type::kMore, callers_.at(id).target, id);
                     more.status = message.status;
                     send_(std::move(more));
                   });
                 })
                 .then([this, id] { caller_left(id); }));
}

void Commands::ask(std::uint64_t id, Message request) {
  Caller& caller = callers_.at(id);
  if (request.type != Type::kExecute || request.keys.size() != 2 || !same(request.keys[0], token_))
    return caller.link->send(refused(id, "this is not the gang's token"));
  const std::string& name = request.keys[1];
  NodeIndex node = 0;
  while (node < spec_.layout.node_count() && spec_.layout.node(node).name != name) ++node;
  if (node == spec_.layout.node_count())
    return caller.link->send(refused(id, name + " is no node of this gang"));
  caller.target = node;
  Message message = of(Type::kExecute, node, id);
  message.text = std::move(request.text);
  send_(std::move(message));
}

void Commands::caller_left(std::uint64_t id) {
  // If the command has ended, nobody there knows this number any more.
  send_(of(Type::kHangUp, callers_.at(id).target, id));
  callers_.erase(id);
}

void Commands::tell_caller(const Message& message) {
  const auto at = callers_.find(message.id);
  if (at != callers_.end() && at->second.target == message.node) at->second.link->send(message);
}

void Commands::execute(const Message& message) {
  const Key key{message.node, message.id};
  if (closed_ || commands_.size() >= kRunningMax || commands_.contains(key))
    return ended(key, "node " + spec_.here().name + " starts no more commands",
                 {kExitNoSsh, false});
  Processes::Wish wish;
  wish.frame = spool::kFirstSubtask + started_++;
  wish.program = shell_.path;
  // As ssh does: the words were joined with blanks, and a shell takes them apart. What calls an
  // ssh, as Open MPI does, counts on that; nothing else of ours hands a line to a shell.
  wish.arguments = {shell_.path, "-c", message.text};
  wish.command = message.text;
  wish.environment = shell_.environment;
  const auto tap = [&](bool error) {
    return [this, key, error](std::string_view bytes) { return pass_on(key, error, bytes); };
  };
  wish.out = tap(false);
  wish.error = tap(true);
  commands_.try_emplace(key);
  auto started = processes_.start(wish, [this, key](RankExit exit) {
    commands_.erase(key);
    ended(key, "", exit);
  });
  if (const auto* nothing = std::get_if<NotStarted>(&started)) {
    commands_.erase(key);
    return ended(key, nothing->message, {kExitNoSsh, false});
  }
  commands_.at(key).process = std::get<Processes::Id>(started);
}

kj::Promise<void> Commands::pass_on(Key key, bool error, std::string_view bytes) {
  Command& command = commands_.at(key);
  if (command.deaf) return kj::READY_NOW;
  Message message = of(Type::kOutput, key.first, key.second);
  message.flag = error;
  message.bytes = bytes;
  send_(std::move(message));
  command.under_way += static_cast<std::int32_t>(bytes.size());
  if (command.under_way < kWindow) return kj::READY_NOW;
  auto room = kj::newPromiseAndFulfiller<void>();
  command.room = kj::mv(room.fulfiller);
  return kj::mv(room.promise);
}

void Commands::make_room(Command& command) {
  if (command.room.get() != nullptr && (command.deaf || command.under_way < kWindow))
    std::exchange(command.room, nullptr)->fulfill();
}

void Commands::ended(Key key, const std::string& text, RankExit exit) {
  Message message = of(Type::kExecuted, key.first, key.second);
  message.status = exit.status;
  message.signalled = exit.signalled;
  message.text = text;
  send_(std::move(message));
}

void Commands::taskFailed(kj::Exception&&) {}

}  // namespace leat::mpi
