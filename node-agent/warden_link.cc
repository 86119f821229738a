#include "node-agent/warden_link.h"

#include <kj/debug.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "node-agent/warden_ring.h"
#include "node-agent/warden_start.h"

namespace leat::agent {

namespace {

using warden::RingReader;
using warden::RingWriter;
using warden::SharedHeader;

// The shared memory as this side maps it.
class Mapping {
 public:
  explicit Mapping(int fd) {
    struct stat status {};
    KJ_SYSCALL(fstat(fd, &status));
    KJ_REQUIRE(status.st_size == warden::kSharedBytes, "the warden's rings have another size");
    void* base = mmap(nullptr, warden::kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    KJ_REQUIRE(base != MAP_FAILED, "cannot map the warden's rings");
    base_ = static_cast<std::byte*>(base);
  }
  ~Mapping() { munmap(base_, warden::kSharedBytes); }
  KJ_DISALLOW_COPY(Mapping);

  SharedHeader& header() { return *reinterpret_cast<SharedHeader*>(base_); }
  std::byte* commands() { return base_ + warden::kRingsOffset; }
  std::byte* events() { return base_ + warden::kRingsOffset + warden::kRingBytes; }

 private:
  std::byte* base_ = nullptr;
};

class Link final : public WardenLink, private kj::TaskSet::ErrorHandler {
 public:
  Link(kj::UnixEventPort& port, WardenHandles handles, OnEvent on_event)
      : handles_(kj::mv(handles)),
        mapping_(handles_.memory),
        commands_(mapping_.header().commands, mapping_.commands()),
        events_(mapping_.header().events, mapping_.events()),
        on_event_(std::move(on_event)),
        eventfd_(port, handles_.to_agent, kj::UnixEventPort::FdObserver::OBSERVE_READ),
        socket_(port, handles_.socket, kj::UnixEventPort::FdObserver::OBSERVE_READ),
        tasks_(*this) {
    tasks_.add(kj::evalLater([this] { return pump(); }));
    tasks_.add(watch_socket());
  }

  bool put(const warden::Command& command) override {
    encode(command, command_record_);
    if (!commands_.put(command_record_)) return false;
    // Within a batch of events the flush at its end is enough.
    if (!flush_is_due_) {
      flush_is_due_ = true;
      tasks_.add(kj::evalLast([this] { flush(); }));
    }
    return true;
  }

  kj::Promise<void> when_room() override {
    if (commands_.room_was_given()) return kj::READY_NOW;
    auto paf = kj::newPromiseAndFulfiller<void>();
    room_ = kj::mv(paf.fulfiller);
    return kj::mv(paf.promise);
  }

  kj::Promise<void> on_lost() override {
    auto paf = kj::newPromiseAndFulfiller<void>();
    lost_ = kj::mv(paf.fulfiller);
    if (is_lost_) lost_->fulfill();
    return kj::mv(paf.promise);
  }

  warden::Enforcement enforcement() const override {
    const std::uint32_t told = const_cast<Mapping&>(mapping_).header().enforcement.load();
    return told <= static_cast<std::uint32_t>(warden::Enforcement::kUnified)
               ? static_cast<warden::Enforcement>(told)
               : warden::Enforcement::kPlain;
  }

  std::uint32_t floor_kib() const override {
    return const_cast<Mapping&>(mapping_).header().floor_kib.load();
  }

  int warden_pid() const override { return handles_.welcome.pid; }

 private:
  // Bounds one turn, so that a burst of exits cannot starve the agent's other work.
  static constexpr int kEventsPerTurn = 256;

  enum class Heard { kAll, kSome, kBroken };

  void flush() {
    flush_is_due_ = false;
    if (commands_.publish()) wake_warden();
  }

  void wake_warden() {
    const std::uint64_t one = 1;
    // A full counter means that it is awake, a missing reader that watch_socket() will tell.
    if (write(handles_.to_warden, &one, sizeof one) < 0) return;
  }

  Heard hear(int events_max) {
    for (int i = 0; i < events_max; ++i) {
      switch (events_.next(event_record_)) {
        case RingReader::Next::kEmpty:
          return Heard::kAll;
        case RingReader::Next::kBroken:
          return Heard::kBroken;
        case RingReader::Next::kRecord:
          break;
      }
      if (!decode(event_record_, event_)) return Heard::kBroken;
      on_event_(event_);
    }
    return Heard::kSome;
  }

  // Delivers events until there are none, then waits for the warden's wake-up, and so on.
  kj::Promise<void> pump() {
    if (is_lost_) return kj::READY_NOW;
    flush_is_due_ = true;
    const Heard heard = hear(kEventsPerTurn);
    flush();
    if (events_.release()) wake_warden();
    if (room_.get() != nullptr && commands_.room_was_given()) std::exchange(room_, {})->fulfill();
    if (heard == Heard::kBroken) {
      lose();
      return kj::READY_NOW;
    }
    if (heard == Heard::kSome || !events_.fall_asleep())
      return kj::evalLater([this] { return pump(); });
    return eventfd_.whenBecomesReadable().then([this] {
      std::uint64_t count = 0;
      while (read(handles_.to_agent, &count, sizeof count) > 0) {
      }
      events_.wake_up();
      return pump();
    });
  }

  // The warden never writes to the socket again: readable means closed.
  kj::Promise<void> watch_socket() {
    return socket_.whenBecomesReadable().then([this]() -> kj::Promise<void> {
      std::byte byte{};
      const ssize_t got = recv(handles_.socket, &byte, 1, MSG_DONTWAIT);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return watch_socket();
      if (!is_lost_) hear(warden::kRingBytes / 16);  // its last words; a ring holds no more
      lose();
      return kj::READY_NOW;
    });
  }

  void lose() {
    is_lost_ = true;
    if (lost_.get() != nullptr) lost_->fulfill();
  }

  void taskFailed(kj::Exception&& exception) override {
    KJ_LOG(ERROR, "warden link", exception);
    lose();
  }

  WardenHandles handles_;
  Mapping mapping_;
  RingWriter commands_;
  RingReader events_;
  OnEvent on_event_;
  kj::UnixEventPort::FdObserver eventfd_;
  kj::UnixEventPort::FdObserver socket_;
  warden::Bytes command_record_;
  warden::Bytes event_record_;
  warden::Event event_;
  kj::Own<kj::PromiseFulfiller<void>> room_;
  kj::Own<kj::PromiseFulfiller<void>> lost_;
  bool flush_is_due_ = false;
  bool is_lost_ = false;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace

kj::Promise<kj::Own<WardenLink>> WardenLink::attach(kj::UnixEventPort& port, kj::Timer& timer,
                                                    WardenOptions options, OnEvent on_event) {
  return kj::evalNow([&] {
    ensure_node_token(options.directory, options.node_token);
    return timer.timeoutAfter(kAttachSeconds * kj::SECONDS, attach_to_warden(port, timer, options))
        .then([&port, on_event = std::move(on_event)](
                  WardenHandles handles) mutable -> kj::Own<WardenLink> {
          return kj::heap<Link>(port, kj::mv(handles), std::move(on_event));
        });
  });
}

bool WardenLink::fits(const warden::Command& command) {
  warden::Bytes record;
  encode(command, record);
  return record.size() <= warden::kRecordBytesMax;
}

}  // namespace leat::agent
