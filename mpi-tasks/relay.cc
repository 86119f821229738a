#include "mpi-tasks/relay.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "mpi-tasks/rank_book.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

Relay::Onward upwards(Message message) {
  return {.up = true, .message = std::move(message)};
}

Relay::Onward upwards_about(Type type, NodeIndex node) {
  Message message;
  message.type = type;
  message.node = node;
  return upwards(std::move(message));
}

}  // namespace

Relay::Relay(const Layout& layout, const Tree& tree, NodeIndex self)
    : layout_(layout),
      tree_(tree),
      self_(self),
      children_(tree.children(self)),
      collectives_(layout, tree, self) {}

Relay::Onward Relay::from_here(Message message) {
  return message.type == Type::kCollect ? gather(self_, message) : upwards(std::move(message));
}

Relay::Onward Relay::from_below(NodeIndex child, Message message) {
  if (message.type == Type::kCollect) return gather(child, message);
  if (message.peer == 0) message.peer = child;
  if (message.peer >= tree_.nodes() || !tree_.is_under(child, message.peer))
    return nonsense(child, "words of node " + std::to_string(message.peer));
  return upwards(std::move(message));
}

Relay::Onward Relay::gather(NodeIndex from, const Message& contribution) {
  Result<std::optional<Collectives::Outcome>> added = collectives_.add(from, contribution);
  if (!added.ok()) return nonsense(from, added.refusal().message);
  std::optional<Collectives::Outcome> outcome = std::move(added).value();
  if (!outcome) return {};
  Message message;
  message.type = Type::kCollect;
  message.gathering = contribution.gathering;
  message.ranks = contribution.ranks;
  message.id = contribution.id;
  message.status = outcome->status;
  message.flag = outcome->collects;
  message.bytes = std::move(outcome->bytes);
  return upwards(std::move(message));
}

Relay::Onward Relay::attached(NodeIndex child) const {
  return upwards_about(Type::kAttached, child);
}

Relay::Onward Relay::lost(NodeIndex child) const {
  return upwards_about(Type::kLost, child);
}

Relay::Onward Relay::from_above(Message message) const {
  Onward onward;
  switch (message.type) {
    case Type::kStart:
    case Type::kCoordinate:
    case Type::kEnd:
      onward.here = true;
      onward.down = children_;
      break;
    case Type::kCollected:
      for (const Rank rank : message.ranks)
        if (!layout_.has(rank)) return {};
      onward.down = tree_.branches(self_, layout_.nodes_of(message.ranks));
      onward.here = std::erase(onward.down, self_) > 0;
      break;
    default:
      if (message.peer == 0 || message.peer == self_) {
        message.peer = 0;
        onward.here = true;
      } else if (message.peer < tree_.nodes() && tree_.is_under(self_, message.peer)) {
        onward.down = {tree_.branch(self_, message.peer)};
      }
  }
  onward.message = std::move(message);
  return onward;
}

Relay::Onward Relay::nonsense(NodeIndex from, const std::string& what) const {
  Message message;
  message.type = Type::kFailed;
  message.status = kExitLost;
  message.text =
      "the launcher of node " + layout_.node(from).name + " does not make sense: " + what;
  return upwards(std::move(message));
}

}  // namespace leat::mpi
