#pragma once

// warden_start.h - finding the warden of a node directory, or starting one.

#include <kj/async-unix.h>
#include <kj/io.h>
#include <kj/timer.h>

#include <string>

#include "node-agent/warden_link.h"
#include "node-agent/warden_ring.h"

namespace leat::agent {

// What a warden hands over when an agent attaches.
struct WardenHandles {
  kj::AutoCloseFd socket;
  kj::AutoCloseFd memory;
  kj::AutoCloseFd to_warden;
  kj::AutoCloseFd to_agent;
  warden::Welcome welcome;
};

// Attaches to the warden of the directory, running the program if none answers. Tries again while a
// dead agent's place has not been cleared or a dying warden has not let go, until `timer` says
// that it has been long enough. Throws a kj::Exception that says what is wrong.
kj::Promise<WardenHandles> attach_to_warden(kj::UnixEventPort& port, kj::Timer& timer,
                                            WardenOptions options);

// Writes DIR/node.token unless there is one. Either it is whole or it is not there.
void ensure_node_token(const std::string& directory, const std::string& token);

}  // namespace leat::agent
