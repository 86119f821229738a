#pragma once

// relay.h - what a launcher other than the hub's does with messages: whose they are, where they go.

#include <vector>

#include "mpi-tasks/collectives.h"
#include "mpi-tasks/layout.h"
#include "mpi-tasks/message.h"
#include "mpi-tasks/tree.h"

namespace leat::mpi {

// One per gang and launcher. Gathers what its node and those under it contribute to a fence and
// sends that up as one message, hands down what concerns several, and passes on everything else.
// It decides nothing. Pure: takes a message, returns one at most. Borrows the layout.
class Relay {
 public:
  // A message and where it goes; nowhere, often.
  struct Onward {
    bool up = false;
    bool here = false;              // to our own node
    std::vector<NodeIndex> down{};  // children
    Message message{};
  };

  Relay(const Layout& layout, const Tree& tree, NodeIndex self);

  // What our own node says.
  Onward from_here(Message message);
  // Precondition of these: `child` is one.
  Onward from_below(NodeIndex child, Message message);
  Onward attached(NodeIndex child) const;
  Onward lost(NodeIndex child) const;
  // What the hub says.
  Onward from_above(Message message) const;

 private:
  Onward gather(NodeIndex from, const Message& contribution);
  // What a launcher of ours never says.
  Onward nonsense(NodeIndex from, const std::string& what) const;

  const Layout& layout_;
  const Tree tree_;
  const NodeIndex self_;
  const std::vector<NodeIndex> children_;
  Collectives collectives_;
};

}  // namespace leat::mpi
