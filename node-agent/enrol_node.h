#pragma once

// enrol_node.h - a node's credentials: from DIR/tls, or for the first time with DIR/join.token.

#include <kj/async-io.h>
#include <kj/timer.h>

#include <string>

#include "base/result.h"
#include "node-agent/node.h"
#include "node-agent/node_file.h"
#include "transport/authority.h"
#include "transport/liveness.h"

namespace leat::agent {

// Credentials of this node and cluster. The token is spent at most once, tried again only while
// nobody answers, and removed when the credentials are on disk. Refused if there is neither, if
// they are another node's, or if the head says no. Borrows network and timer until resolved.
kj::Promise<Result<transport::Credentials>> enrol_node(kj::Network& network, kj::Timer& timer,
                                                       std::string directory, NodeFile file,
                                                       transport::Backoff backoff, LogLine say);

}  // namespace leat::agent
