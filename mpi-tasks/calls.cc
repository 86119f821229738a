#include "mpi-tasks/calls.h"

#include <utility>

#include "transport/liveness.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

std::string describe(const GatheringKey& key) {
  const std::string who =
      key.ranks.empty() ? "all ranks" : std::to_string(key.ranks.size()) + " ranks";
  const std::string what = key.gathering == Gathering::kFence     ? "a fence"
                           : key.gathering == Gathering::kConnect ? "a connect"
                           : key.gathering == Gathering::kBarrier ? "a barrier"
                                                                  : "a disconnect";
  return what + " of " + who;
}

}  // namespace

Calls::Calls(kj::Timer& timer, PmixServer& server, Limits limits, Send send, OnStuck on_stuck)
    : timer_(timer),
      server_(server),
      limits_(limits),
      send_(std::move(send)),
      on_stuck_(std::move(on_stuck)),
      tasks_(*this) {}

Calls::~Calls() noexcept(false) = default;

void Calls::take(Upcall upcall) {
  switch (upcall.type) {
    case Upcall::Type::kGather:
      return gather(std::move(upcall));
    case Upcall::Type::kModexAsk:
      return ask_modex(std::move(upcall));
    case Upcall::Type::kModexData: {
      Message message;
      message.type = Type::kModexTell;
      message.id = upcall.id;
      message.node = upcall.node;
      message.status = upcall.status;
      message.bytes = std::move(upcall.bytes);
      return send_(std::move(message));
    }
    case Upcall::Type::kPublish:
    case Upcall::Type::kLookup:
    case Upcall::Type::kUnpublish:
      return name_call(std::move(upcall));
    case Upcall::Type::kConnected:
    case Upcall::Type::kFinalized:
    case Upcall::Type::kAborted:
    case Upcall::Type::kExited:
      return;
  }
}

void Calls::take(Message message) {
  switch (message.type) {
    case Type::kCollected: {
      const auto at = gathering_.find(key_of(message));
      if (at == gathering_.end()) return;
      server_.answer_bytes(at->second, message.status, std::move(message.bytes));
      gathering_.erase(at);
      return;
    }
    case Type::kModexAsk:
      return server_.ask_modex(message.rank, message.id, message.node);
    case Type::kModexTell:
      if (const Upcall call = taken(message.id); call.reply)
        server_.answer_bytes(call, message.status, std::move(message.bytes));
      return;
    case Type::kAnswer:
      return server_.answer(taken(message.id), message.status);
    case Type::kFound:
      if (const Upcall call = taken(message.id); call.reply)
        server_.answer_found(call, message.status, message.entries);
      return;
    default:
      return;
  }
}

void Calls::gather(Upcall upcall) {
  Message message;
  message.type = Type::kCollect;
  message.gathering = upcall.gathering;
  message.ranks = upcall.ranks;
  message.id = counter_.next(upcall.gathering, upcall.ranks);
  message.status = upcall.status;
  message.flag = upcall.flag;
  message.bytes = std::move(upcall.bytes);
  const GatheringKey key = key_of(message);
  const Duration patience = std::chrono::seconds(upcall.timeout_s);
  gathering_.emplace(key, std::move(upcall));
  send_(std::move(message));
  if (patience > Duration::zero())
    after(patience, [this, key] {
      const auto at = gathering_.find(key);
      if (at == gathering_.end()) return;
      server_.answer_bytes(at->second, kPmixErrorTimeout, {});
      gathering_.erase(at);
    });
  if (limits_.fence > Duration::zero())
    after(limits_.fence, [this, key] {
      if (gathering_.contains(key)) on_stuck_(describe(key) + " took longer than it may");
    });
}

void Calls::ask_modex(Upcall upcall) {
  Message message;
  message.type = Type::kModexAsk;
  message.id = next_id_++;
  message.rank = upcall.rank;
  const std::uint64_t id = message.id;
  const Duration limit =
      upcall.timeout_s > 0 ? Duration(std::chrono::seconds(upcall.timeout_s)) : limits_.modex;
  waiting_.emplace(id, std::move(upcall));
  send_(std::move(message));
  if (limit == Duration::zero()) return;
  after(limit, [this, id] {
    if (const Upcall call = taken(id); call.reply)
      server_.answer_bytes(call, kPmixErrorTimeout, {});
  });
}

void Calls::name_call(Upcall upcall) {
  Message message;
  message.type = upcall.type == Upcall::Type::kPublish  ? Type::kPublish
                 : upcall.type == Upcall::Type::kLookup ? Type::kLookup
                                                        : Type::kUnpublish;
  message.id = next_id_++;
  message.rank = upcall.rank;
  message.flag = upcall.flag;
  message.status = static_cast<std::int32_t>(upcall.wanted);
  message.keys = upcall.keys;
  message.entries = std::move(upcall.entries);
  const std::uint64_t id = message.id;
  const bool may_wait = upcall.wanted > 0 && upcall.timeout_s > 0;
  const Duration patience = std::chrono::seconds(upcall.timeout_s);
  waiting_.emplace(id, std::move(upcall));
  send_(std::move(message));
  if (!may_wait) return;
  after(patience, [this, id] {
    const Upcall call = taken(id);
    if (!call.reply) return;
    Message forget;
    forget.type = Type::kForget;
    forget.id = id;
    send_(std::move(forget));
    server_.answer_found(call, kPmixErrorTimeout, {});
  });
}

void Calls::after(Duration limit, std::function<void()> then) {
  tasks_.add(timer_.afterDelay(transport::to_kj(limit)).then(std::move(then)));
}

Upcall Calls::taken(std::uint64_t id) {
  const auto at = waiting_.find(id);
  if (at == waiting_.end()) return {};
  Upcall call = std::move(at->second);
  waiting_.erase(at);
  return call;
}

void Calls::taskFailed(kj::Exception&& exception) {
  const kj::StringPtr why = exception.getDescription();
  on_stuck_(std::string(why.cStr(), why.size()));
}

}  // namespace leat::mpi
