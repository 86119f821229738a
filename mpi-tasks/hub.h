#pragma once

// hub.h - where all ends meet: joins what the launchers of a gang say, and decides its end.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mpi-tasks/collectives.h"
#include "mpi-tasks/layout.h"
#include "mpi-tasks/message.h"
#include "mpi-tasks/name_store.h"
#include "mpi-tasks/rank_book.h"
#include "mpi-tasks/tree.h"

namespace leat::mpi {

// One per gang, in the launcher of node 0. Pure: takes messages, returns messages, to be sent in
// this order. Borrows the layout.
//
// Invariants:
//   - kStart goes out once, after every node has said kRegistered, and kCoordinated if that is due.
//   - kEnd goes out once to every node, and nothing after it: with 0 when every rank has ended
//     well, with the code and the cause of the first failure otherwise.
class Hub {
 public:
  // By whom it is passed on does not show in it, but for kCollected: that is for nodes to which the
  // hub is connected.
  struct Out {
    std::vector<NodeIndex> to;
    Message message;
  };
  using Outs = std::vector<Out>;

  struct Rules {
    bool mpi_required = false;  // it is a failure if no rank calls MPI_Init
    bool coordinates = false;   // a command runs on every node before anything is started
    bool application = false;   // node 0 runs one, and there are no ranks
  };

  Hub(const Layout& layout, const Tree& tree, Rules rules);

  // That launcher has connected to us and said kHello, for the first time, and listens at `address`
  // if others shall connect to it.
  Outs welcome(NodeIndex node, std::string address);
  // What arrives over the connection to that launcher, or from our own.
  Outs take(NodeIndex link, Message message);
  // That connection is lost.
  Outs lose(NodeIndex node);
  // The time to register is over; nothing if everybody has.
  Outs registered_too_late();

  // What has been said to all at the end; for those who come later.
  const std::optional<Message>& last_word() const { return end_; }
  bool ended() const { return end_.has_value(); }

 private:
  void to(NodeIndex node, Message message) { outs_.push_back({{node}, std::move(message)}); }
  void to_all(Message message);
  void end(std::int32_t code, std::string cause, bool signalled = false);
  void end_if(const std::optional<Failure>& failure);
  // What a launcher of ours never says.
  void nonsense(NodeIndex from, const std::string& what);

  void dispatch(NodeIndex from, Message& message);
  bool is_node(NodeIndex node) const { return node < layout_.node_count(); }
  // It has come, but not all are there through whom we would hear of it.
  bool is_cut_off(NodeIndex node) const;
  // Tells a node to whom it shall connect.
  void send_off(NodeIndex node);
  void take_attached(NodeIndex from, NodeIndex child);
  void take_lost(NodeIndex from, NodeIndex child);
  void take_registered(NodeIndex from);
  void take_coordinated(NodeIndex from);
  void take_application_end(NodeIndex from, const Message& message);
  void take_command(NodeIndex from, Message& message);
  void take_about_rank(NodeIndex from, const Message& message);
  void take_collect(NodeIndex from, const Message& message);
  void take_name_call(NodeIndex from, Message& message);
  void take_modex(NodeIndex from, Message& message);
  void answer_lookups();

  const Layout& layout_;
  const Tree tree_;
  const Rules rules_;
  std::vector<bool> welcomed_;
  std::vector<bool> sent_off_;          // and not heard of from there
  std::vector<std::string> addresses_;  // of those to whom others connect, once they have come
  std::vector<bool> registered_;
  NodeIndex registered_count_ = 0;
  std::vector<bool> coordinated_;
  NodeIndex coordinated_count_ = 0;
  std::vector<bool> rank_ended_;
  RankBook book_;
  Collectives collectives_;
  NameStore names_;
  Outs outs_;
  std::optional<Message> end_;
};

}  // namespace leat::mpi
