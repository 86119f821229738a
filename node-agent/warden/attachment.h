#pragma once

// attachment.h - the warden's end: who may attach, and the rings to the agent that has.

#include <cstdint>
#include <memory>
#include <vector>

#include "node-agent/warden/fd.h"
#include "node-agent/warden_ring.h"

namespace leat::warden {

// One mapping of the shared memory with what belongs to it.
class Rings {
 public:
  // Null if the system has no memory or descriptors left.
  static std::unique_ptr<Rings> make();
  Rings(Fd memory, Fd to_warden, Fd to_agent, std::byte* base);
  Rings(const Rings&) = delete;
  Rings& operator=(const Rings&) = delete;
  ~Rings();

  SharedHeader& header() { return *header_; }
  RingReader& commands() { return commands_; }
  RingWriter& events() { return events_; }

  int memory_fd() const { return memory_.get(); }
  int to_warden_fd() const { return to_warden_.get(); }
  int to_agent_fd() const { return to_agent_.get(); }

  // Takes pages of the rings that are done with out of this process's resident memory: each task
  // starts with a copy of it as its own peak.
  void drop_used_pages();

 private:
  Fd memory_;
  Fd to_warden_;
  Fd to_agent_;
  std::byte* base_ = nullptr;
  SharedHeader* header_ = nullptr;
  RingReader commands_;
  RingWriter events_;
  std::uint64_t commands_dropped_ = 0;
  std::uint64_t events_dropped_ = 0;
};

// The socket agents attach to.
//
// Owns: the listening socket, at most one attached agent, a few peers that have not spoken yet.
// Borrows: the epoll set; events on it are marked Watch::kOther with the numbers below.
class Attachment {
 public:
  enum Source : std::uint32_t { kListener = 1, kAgentSocket = 2, kCommands = 3, kPeers = 16 };

  Attachment(Fd listener, int epoll_fd);

  bool attached() const { return rings_ != nullptr; }
  // Precondition: attached().
  Rings& rings() { return *rings_; }

  enum class Change : std::uint8_t { kNone, kAttached, kDetached };

  // epoll says that `source` is ready. With kDetached the rings still stand, so that published
  // commands can be read; drop() ends that.
  Change on_ready(std::uint32_t source, std::int64_t now_us, std::uint32_t floor_kib);

  // Forgets the agent.
  void drop();

  // Closes peers that have not said anything for kSilenceUs. Returns when to come back; -1: never.
  std::int64_t on_time(std::int64_t now_us);

  void wake_agent();

 private:
  static constexpr std::size_t kPeersMax = 8;
  static constexpr std::int64_t kSilenceUs = 2'000'000;

  struct Peer {
    Fd socket;
    std::int64_t deadline_us = 0;
  };

  void accept_peers(std::int64_t now_us);
  Change hear(Peer& peer, std::uint32_t floor_kib);
  bool agent_has_gone();
  bool welcome(int socket, AttachStatus status, std::uint32_t floor_kib);
  bool watch(int fd, std::uint32_t source);
  void unwatch(int fd);

  Fd listener_;
  int epoll_fd_;
  std::vector<Peer> peers_;
  Fd agent_;
  std::unique_ptr<Rings> rings_;
};

}  // namespace leat::warden
