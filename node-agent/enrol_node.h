#pragma once

// enrol_node.h - a node's credentials: from DIR/tls, or for the first time with DIR/join.token.

#include <kj/async-io.h>
#include <kj/timer.h>

#include <functional>
#include <string>

#include "base/result.h"
#include "node-agent/node.h"
#include "node-agent/node_file.h"
#include "transport/authority.h"
#include "transport/liveness.h"

namespace leat::agent {

// What enrolling takes from the world; network and timer are borrowed.
struct EnrolWorld {
  kj::Network& network;
  kj::Timer& timer;
  std::function<transport::WallSeconds()> wall_clock;
  transport::Backoff backoff;
  LogLine say;
};

// Credentials of this node and cluster. The token is spent at most once, tried again only while
// nobody answers, and removed when the credentials are on disk. Refused if there is neither, if
// they are another node's, if it has expired, or if the head says no.
kj::Promise<Result<transport::Credentials>> enrol_node(EnrolWorld world, std::string directory,
                                                       NodeFile file);

}  // namespace leat::agent
