#include "node-agent/warden/attachment.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "node-agent/warden/runs.h"

namespace leat::warden {

namespace {

// Pages are dropped in pieces of this size, so that it costs next to nothing per task.
constexpr std::uint64_t kDropBytes = 64u << 10;

// Unmaps whole pieces of one ring between `from` and `to`, positions that never wrap.
void drop_pages(std::byte* ring, std::uint64_t& from, std::uint64_t to) {
  while (to - from >= kDropBytes) {
    madvise(ring + from % kRingBytes, kDropBytes, MADV_DONTNEED);
    from += kDropBytes;
  }
}

bool is_same_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

}  // namespace

std::unique_ptr<Rings> Rings::make() {
  Fd memory(memfd_create("leat-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  Fd to_warden(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Fd to_agent(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!memory || !to_warden || !to_agent) return nullptr;
  // The seals keep the other side from pulling the pages away under us.
  if (ftruncate(memory.get(), kSharedBytes) != 0 ||
      fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return nullptr;
  void* base = mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (base == MAP_FAILED) return nullptr;
  new (base) SharedHeader();
  return std::make_unique<Rings>(std::move(memory), std::move(to_warden), std::move(to_agent),
                                 static_cast<std::byte*>(base));
}

Rings::Rings(Fd memory, Fd to_warden, Fd to_agent, std::byte* base)
    : memory_(std::move(memory)),
      to_warden_(std::move(to_warden)),
      to_agent_(std::move(to_agent)),
      base_(base),
      header_(std::launder(reinterpret_cast<SharedHeader*>(base))),
      commands_(header_->commands, base + kRingsOffset),
      events_(header_->events, base + kRingsOffset + kRingBytes) {}

Rings::~Rings() {
  munmap(base_, kSharedBytes);
}

void Rings::drop_used_pages() {
  drop_pages(base_ + kRingsOffset, commands_dropped_, commands_.position());
  drop_pages(base_ + kRingsOffset + kRingBytes, events_dropped_, events_.position());
}

Attachment::Attachment(Fd listener, int epoll_fd)
    : listener_(std::move(listener)), epoll_fd_(epoll_fd), peers_(kPeersMax) {
  watch(listener_.get(), kListener);
}

bool Attachment::watch(int fd, std::uint32_t source) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = event_of(Watch::kOther, {source, 0});
  return epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0;
}

// Closing would not do: the agent has the same eventfd, and a child that is just being started has
// a copy of every descriptor.
void Attachment::unwatch(int fd) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

Attachment::Change Attachment::on_ready(std::uint32_t source, std::int64_t now_us,
                                        std::uint32_t floor_kib) {
  if (source == kListener) {
    accept_peers(now_us);
  } else if (source == kAgentSocket) {
    // It has nothing to say here: whatever it is, this agent is done.
    if (attached()) return Change::kDetached;
  } else if (source == kCommands) {
    std::uint64_t count = 0;
    if (attached() && read(rings_->to_warden_fd(), &count, sizeof count) < 0) return Change::kNone;
  } else if (source >= kPeers && source < kPeers + kPeersMax) {
    Peer& peer = peers_[source - kPeers];
    if (peer.socket) return hear(peer, floor_kib);
  }
  return Change::kNone;
}

void Attachment::accept_peers(std::int64_t now_us) {
  for (std::size_t i = 0; i < kPeersMax; ++i) {
    if (peers_[i].socket) continue;
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    if (!is_same_user(socket.get())) continue;
    if (!watch(socket.get(), kPeers + static_cast<std::uint32_t>(i))) continue;
    peers_[i] = {std::move(socket), now_us + kSilenceUs};
  }
  // All places are taken: one more is turned away, so that the listener does not stay ready.
  const Fd surplus(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

Attachment::Change Attachment::hear(Peer& peer, std::uint32_t floor_kib) {
  // The agent before may be dead already without our having been told. This one is heard again.
  if (attached() && agent_has_gone()) return Change::kDetached;
  Hello hello;
  Fd socket = std::move(peer.socket);
  unwatch(socket.get());
  if (recv(socket.get(), &hello, sizeof hello, MSG_DONTWAIT) != sizeof hello) return Change::kNone;
  if (hello.magic != kRingMagic) return Change::kNone;
  if (hello.version != kRingVersion) {
    welcome(socket.get(), AttachStatus::kWrongVersion, floor_kib);
    return Change::kNone;
  }
  if (attached()) {
    welcome(socket.get(), AttachStatus::kBusy, floor_kib);
    return Change::kNone;
  }
  rings_ = Rings::make();
  if (!rings_) return Change::kNone;
  rings_->header().floor_kib.store(floor_kib);
  agent_ = Fd(fcntl(socket.get(), F_DUPFD_CLOEXEC, 3));
  if (!agent_ || !watch(agent_.get(), kAgentSocket) || !watch(rings_->to_warden_fd(), kCommands) ||
      !welcome(agent_.get(), AttachStatus::kAttached, floor_kib)) {
    drop();
    return Change::kNone;
  }
  return Change::kAttached;
}

bool Attachment::agent_has_gone() {
  std::byte byte{};
  const ssize_t got = recv(agent_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN);
}

bool Attachment::welcome(int socket, AttachStatus status, std::uint32_t floor_kib) {
  Welcome answer;
  answer.status = status;
  answer.pid = getpid();
  answer.floor_kib = floor_kib;
  iovec part{&answer, sizeof answer};
  std::array<int, 3> fds{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (status == AttachStatus::kAttached) {
    fds = {rings_->memory_fd(), rings_->to_warden_fd(), rings_->to_agent_fd()};
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(sizeof answer);
}

void Attachment::drop() {
  if (attached()) unwatch(rings_->to_warden_fd());
  unwatch(agent_.get());
  agent_.reset();
  rings_.reset();
}

std::int64_t Attachment::on_time(std::int64_t now_us) {
  std::int64_t due_us = -1;
  for (Peer& peer : peers_) {
    if (!peer.socket) continue;
    if (peer.deadline_us <= now_us) {
      unwatch(peer.socket.get());
      peer.socket.reset();
    } else if (due_us < 0 || peer.deadline_us < due_us) {
      due_us = peer.deadline_us;
    }
  }
  return due_us;
}

void Attachment::wake_agent() {
  const std::uint64_t one = 1;
  // Full or gone, the agent is awake or dead.
  if (attached() && write(rings_->to_agent_fd(), &one, sizeof one) < 0) return;
}

}  // namespace leat::warden
