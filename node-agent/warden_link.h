#pragma once

// warden_link.h - the agent's end of the ring to its warden.

#include <kj/async-unix.h>
#include <kj/timer.h>

#include <functional>
#include <string>

#include "node-agent/warden/records.h"

namespace leat::agent {

struct WardenOptions {
  std::string directory;   // the node directory: 0700, ours; spool/ is made in it
  std::string program;     // path of leat-warden
  std::string node_token;  // 32 hex digits, random; written to DIR/node.token if there is none yet
  bool plain = false;      // a warden that is started makes no cgroups
};

// An agent attached to the warden of its node directory.
//
// Owns: mapping, eventfds and socket. Borrows: event port and timer (must outlive it).
// Thread: the loop's. Destroying it detaches; runs go on, and the next attach hears of them.
class WardenLink {
 public:
  // Called from the loop, once per event, in the order the warden sent them. May call put().
  // Must not destroy the link.
  using OnEvent = std::function<void(const warden::Event&)>;

  // Attaches, starting the warden if none answers. Events begin with the dump: one Running or
  // Exited for each run the warden knows, then DumpEnd. Fails with a kj::Exception if there is
  // already an agent, if versions differ, or after kAttachSeconds.
  static kj::Promise<kj::Own<WardenLink>> attach(kj::UnixEventPort& port, kj::Timer& timer,
                                                 WardenOptions options, OnEvent on_event);
  virtual ~WardenLink() noexcept(false) = default;

  // Sends a command; everything put in one turn of the loop leaves together at its end. False if
  // there is no room now (see when_room) or the command is longer than a record may be, which
  // `fits` tells beforehand.
  virtual bool put(const warden::Command& command) = 0;

  // Resolves, after a put() has failed for want of room, once it may succeed.
  virtual kj::Promise<void> when_room() = 0;

  // Whether a command can ever be put. Only templates and launches with huge strings cannot.
  static bool fits(const warden::Command& command);

  // Resolves when the warden is gone (all its runs die with it) or has broken the protocol. All
  // events that it had published have been delivered before. Call once.
  virtual kj::Promise<void> on_lost() = 0;

  // Peak memory below which a run's own cannot be told from the warden's, KiB. Grows slowly.
  virtual std::uint32_t floor_kib() const = 0;

  // Who keeps memory limits there. Known when the dump begins.
  virtual warden::Enforcement enforcement() const = 0;

  virtual int warden_pid() const = 0;

  static constexpr int kAttachSeconds = 10;
};

}  // namespace leat::agent
