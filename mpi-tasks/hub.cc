#include "mpi-tasks/hub.h"

#include <utility>

namespace leat::mpi {
namespace {

using Type = Message::Type;

constexpr std::size_t kMissingNamedMax = 4;

Message of_type(Type type) {
  Message message;
  message.type = type;
  return message;
}

}  // namespace

Hub::Hub(const Layout& layout, const Tree& tree, Rules rules)
    : layout_(layout),
      tree_(tree),
      rules_(rules),
      welcomed_(layout.node_count()),
      sent_off_(layout.node_count()),
      addresses_(layout.node_count()),
      registered_(layout.node_count()),
      coordinated_(layout.node_count()),
      rank_ended_(layout.size()),
      book_(layout),
      collectives_(layout, tree, 0) {}

Hub::Outs Hub::welcome(NodeIndex node, std::string address) {
  welcomed_[node] = true;
  if (ended()) {
    to(node, *end_);
    return std::exchange(outs_, {});
  }
  const NodeIndex parent = tree_.parent(node);
  if (parent != 0 && !addresses_[parent].empty()) send_off(node);
  if (!address.empty() && tree_.is_inner(node)) {
    addresses_[node] = std::move(address);
    for (const NodeIndex child : tree_.children(node))
      if (welcomed_[child]) send_off(child);
  }
  return std::exchange(outs_, {});
}

void Hub::send_off(NodeIndex node) {
  sent_off_[node] = true;
  Message message = of_type(Type::kAttach);
  message.node = tree_.parent(node);
  message.text = addresses_[message.node];
  to(node, std::move(message));
}

Hub::Outs Hub::take(NodeIndex link, Message message) {
  const NodeIndex from = message.peer == 0 ? link : std::exchange(message.peer, 0);
  if (!is_node(from) || !tree_.is_under(link, from))
    nonsense(link, "words of node " + std::to_string(from));
  else if (message.type == Type::kAttached)
    take_attached(from, message.node);  // also after the end: one connection less to wait for
  else if (!ended())
    dispatch(from, message);
  return std::exchange(outs_, {});
}

Hub::Outs Hub::lose(NodeIndex node) {
  if (!ended()) end(kExitLost, "the launcher of node " + layout_.node(node).name + " is lost");
  return std::exchange(outs_, {});
}

bool Hub::is_cut_off(NodeIndex node) const {
  if (!welcomed_[node]) return false;
  while (node != 0 && welcomed_[node]) node = tree_.parent(node);
  return node != 0;
}

Hub::Outs Hub::registered_too_late() {
  if (ended() || registered_count_ == layout_.node_count()) return {};
  std::string missing;
  std::size_t count = 0;
  for (NodeIndex node = 0; node < layout_.node_count(); ++node) {
    if (registered_[node] || is_cut_off(node)) continue;
    if (count++ < kMissingNamedMax) missing += (count > 1 ? ", " : "") + layout_.node(node).name;
  }
  if (count > kMissingNamedMax)
    missing += " and " + std::to_string(count - kMissingNamedMax) + " more";
  end(kExitLost, "no launcher was ready in time on node " + missing);
  return std::exchange(outs_, {});
}

void Hub::to_all(Message message) {
  outs_.push_back({layout_.nodes_of({}), std::move(message)});
}

void Hub::end(std::int32_t code, std::string cause, bool signalled) {
  if (ended()) return;
  Message message = of_type(Type::kEnd);
  message.status = code;
  message.signalled = signalled;
  message.text = std::move(cause);
  to_all(message);
  end_ = std::move(message);
}

void Hub::end_if(const std::optional<Failure>& failure) {
  if (failure) end(failure->code, failure->cause);
}

void Hub::nonsense(NodeIndex from, const std::string& what) {
  end(kExitLost,
      "the launcher of node " + layout_.node(from).name + " does not make sense: " + what);
}

void Hub::dispatch(NodeIndex from, Message& message) {
  switch (message.type) {
    case Type::kRegistered:
      return take_registered(from);
    case Type::kCoordinated:
      return take_coordinated(from);
    case Type::kEnded:
      return take_application_end(from, message);
    case Type::kExecute:
    case Type::kOutput:
    case Type::kMore:
    case Type::kExecuted:
    case Type::kHangUp:
      return take_command(from, message);
    case Type::kConnected:
    case Type::kRankEnded:
    case Type::kAborted:
      return take_about_rank(from, message);
    case Type::kFailed:
      return end(failure_code(message.status), message.text, message.signalled);
    case Type::kCollect:
      return take_collect(from, message);
    case Type::kPublish:
    case Type::kLookup:
    case Type::kUnpublish:
    case Type::kForget:
      return take_name_call(from, message);
    case Type::kModexAsk:
    case Type::kModexTell:
      return take_modex(from, message);
    case Type::kLost:
      return take_lost(from, message.node);
    case Type::kHello:
    case Type::kAttach:
    case Type::kAttached:
    case Type::kStart:
    case Type::kCollected:
    case Type::kAnswer:
    case Type::kFound:
    case Type::kEnd:
    case Type::kCoordinate:
      break;
  }
  nonsense(from, "message " + std::to_string(static_cast<int>(message.type)));
}

void Hub::take_attached(NodeIndex from, NodeIndex child) {
  if (!is_node(child) || !sent_off_[child] || tree_.parent(child) != from)
    return nonsense(from, "node " + std::to_string(child) + " attached");
  sent_off_[child] = false;
  to(child, of_type(Type::kAttached));
}

void Hub::take_lost(NodeIndex from, NodeIndex child) {
  if (!is_node(child) || child == 0 || tree_.parent(child) != from)
    return nonsense(from, "node " + std::to_string(child) + " lost");
  end(kExitLost, "the launcher of node " + layout_.node(child).name + " is lost");
}

void Hub::take_registered(NodeIndex from) {
  if (registered_[from]) return nonsense(from, "registered twice");
  registered_[from] = true;
  if (++registered_count_ == layout_.node_count())
    to_all(of_type(rules_.coordinates ? Type::kCoordinate : Type::kStart));
}

void Hub::take_coordinated(NodeIndex from) {
  if (!rules_.coordinates || registered_count_ < layout_.node_count() || coordinated_[from])
    return nonsense(from, "coordinated out of turn");
  coordinated_[from] = true;
  if (++coordinated_count_ == layout_.node_count()) to_all(of_type(Type::kStart));
}

void Hub::take_application_end(NodeIndex from, const Message& message) {
  if (!rules_.application || from != 0) return nonsense(from, "the end of no application of its");
  if (message.status == 0 && !message.signalled) return end(0, "");
  end(failure_code(message.status + (message.signalled ? kSignalBase : 0)),
      "the application on node " + layout_.node(from).name +
          how_it_ended(message.status, message.signalled));
}

void Hub::take_command(NodeIndex from, Message& message) {
  const NodeIndex peer = message.node;
  if (!rules_.application || !is_node(peer)) return nonsense(from, "a command");
  message.node = from;
  to(peer, std::move(message));
}

void Hub::take_about_rank(NodeIndex from, const Message& message) {
  const Rank rank = message.rank;
  if (rules_.application || !layout_.has(rank) || layout_.node_of(rank) != from ||
      rank_ended_[rank])
    return nonsense(from, "rank " + std::to_string(rank));
  if (message.type == Type::kConnected) return end_if(book_.connect(rank));
  if (message.type == Type::kAborted)
    return end_if(book_.abort(rank, message.status, message.text));
  rank_ended_[rank] = true;
  end_if(book_.end(rank, message.status, message.signalled, message.stage));
  if (ended() || !book_.all_ended()) return;
  if (book_.any_connected()) return end(0, "");
  const std::string what = layout_.size() == 1 ? "the rank never called MPI_Init"
                                               : "none of the " + std::to_string(layout_.size()) +
                                                     " ranks called MPI_Init: each ran by itself";
  end(rules_.mpi_required ? 1 : 0, what);
}

void Hub::take_collect(NodeIndex from, const Message& message) {
  const Result<std::optional<Collectives::Outcome>> added = collectives_.add(from, message);
  if (!added.ok()) return nonsense(from, added.refusal().message);
  if (!added.value()) return;
  Message result = of_type(Type::kCollected);
  result.gathering = message.gathering;
  result.ranks = message.ranks;
  result.id = message.id;
  result.status = added.value()->status;
  result.bytes = added.value()->bytes;
  outs_.push_back({added.value()->nodes, std::move(result)});
}

void Hub::take_name_call(NodeIndex from, Message& message) {
  Message answer = of_type(Type::kAnswer);
  answer.id = message.id;
  switch (message.type) {
    case Type::kLookup:
      names_.lookup({from, message.id}, std::move(message.keys),
                    message.status < 0 ? 0 : static_cast<std::uint32_t>(message.status));
      return answer_lookups();
    case Type::kForget:
      return names_.forget({from, message.id});
    case Type::kPublish:
      answer.status = names_.publish(std::move(message.entries), message.flag);
      break;
    default:
      answer.status = names_.unpublish(message.rank, message.keys);
      break;
  }
  to(from, std::move(answer));
  answer_lookups();
}

void Hub::take_modex(NodeIndex from, Message& message) {
  if (message.type == Type::kModexTell) {
    if (!is_node(message.node)) return nonsense(from, "an answer for no node");
    const NodeIndex asker = message.node;
    return to(asker, std::move(message));
  }
  message.node = from;
  if (layout_.has(message.rank)) {
    const NodeIndex holder = layout_.node_of(message.rank);
    return to(holder, std::move(message));
  }
  message.type = Type::kModexTell;
  message.status = kPmixErrorNotFound;
  to(from, std::move(message));
}

void Hub::answer_lookups() {
  for (NameStore::Found& found : names_.answers()) {
    Message message = of_type(Type::kFound);
    message.id = found.asker.id;
    message.status = found.status;
    message.entries = std::move(found.entries);
    to(found.asker.node, std::move(message));
  }
}

}  // namespace leat::mpi
