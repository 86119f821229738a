#include "node-agent/warden/warden.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace leat::warden {

namespace {

// Marks SIGTERM's descriptor in the epoll set, beside the attachment's sources.
constexpr std::uint32_t kTerminateSource = 8;

template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <typename... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

Warden::Warden(WardenOptions options)
    : options_(std::move(options)),
      runs_(options_.runs, *this),
      attachment_(std::move(options_.listener), options_.epoll.get()) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = event_of(Watch::kOther, {kTerminateSource, 0});
  LEAT_CHECK(epoll_ctl(options_.epoll.get(), EPOLL_CTL_ADD, options_.terminate.get(), &event) == 0);
  now_us_ = idle_since_us_ = options_.runs.clock.monotonic_us();
  update_floor();
}

void Warden::run() {
  while (turn()) {
  }
  // The agent sees the socket close only after this, when nothing of ours runs any more.
  kill_all_below(kLastRoundsMax, 10'000);
}

bool Warden::turn() {
  now_us_ = options_.runs.clock.monotonic_us();
  if (++turns_ % kFloorEveryTurns == 0) update_floor();
  const bool more = take_commands(kCommandsPerTurn);
  runs_.on_time(now_us_);
  send_reports();
  if (is_over(now_us_)) return false;

  std::int64_t until_us = runs_.due_us();
  const auto sooner = [&until_us](std::int64_t at_us) {
    if (at_us >= 0 && (until_us < 0 || at_us < until_us)) until_us = at_us;
  };
  sooner(attachment_.on_time(now_us_));
  if (owes_wake_) sooner(wake_by_us_);
  if (over_) sooner(over_by_us_);
  if (!attachment_.attached()) sooner(now_us_ + kIdleUs);
  if (more) until_us = 0;
  wait(until_us);
  return true;
}

void Warden::wait(std::int64_t until_us) {
  const bool attached = attachment_.attached();
  // While too many refusals wait to be heard, commands are no reason to stay awake.
  const bool listens = attached && refusals_ < kRefusalsMax;
  if (listens && until_us != 0 && !attachment_.rings().commands().fall_asleep()) until_us = 0;
  int timeout_ms = -1;
  if (until_us >= 0) {
    const std::int64_t left_us = std::max<std::int64_t>(until_us - now_us_, 0);
    timeout_ms = static_cast<int>(std::min<std::int64_t>((left_us + 999) / 1000, 3'600'000));
  }
  std::array<epoll_event, kEventsPerWait> events;
  const int count = epoll_wait(options_.epoll.get(), events.data(), kEventsPerWait, timeout_ms);
  LEAT_CHECK(count >= 0 || errno == EINTR);
  if (attached) attachment_.rings().commands().wake_up();
  now_us_ = options_.runs.clock.monotonic_us();
  for (int i = 0; i < count; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
    const auto watch = static_cast<Watch>(data >> 56);
    const RunRef ref{static_cast<std::uint32_t>(data >> 32) & 0xff'ffffu,
                     static_cast<std::uint32_t>(data)};
    if (watch != Watch::kOther) {
      runs_.on_watch(watch, ref, now_us_);
    } else if (ref.index == kTerminateSource) {
      shut_down();
    } else {
      on_change(attachment_.on_ready(ref.index, now_us_, floor_kib_));
    }
  }
}

bool Warden::take_commands(int commands_max) {
  for (int i = 0; i < commands_max; ++i) {
    if (!attachment_.attached() || refusals_ >= kRefusalsMax) return false;
    RingReader& commands = attachment_.rings().commands();
    switch (commands.next(record_)) {
      case RingReader::Next::kEmpty:
        if (commands.release()) attachment_.wake_agent();
        return false;
      case RingReader::Next::kBroken:
        detach();
        return false;
      case RingReader::Next::kRecord:
        break;
    }
    if (!decode(record_, command_)) {
      detach();
      return false;
    }
    obey(command_);
  }
  if (attachment_.attached() && attachment_.rings().commands().release()) attachment_.wake_agent();
  return true;
}

void Warden::obey(Command& command) {
  std::visit(Overloaded{
                 [this](Template& given) { runs_.set_template(std::move(given)); },
                 [this](const Forget& forget) { runs_.forget(forget.id); },
                 [this](const Launch& launch) {
                   if (!over_) runs_.launch(launch, now_us_);
                 },
                 [this](const End& order) { runs_.end(order, now_us_); },
                 [this](const Signal& order) { runs_.signal(order); },
                 [this](const Confirm& confirm) { runs_.confirm(confirm.run); },
                 [this](const Shutdown&) { shut_down(); },
             },
             command);
}

void Warden::report(Run& run, bool can_wait) {
  if (!attachment_.attached()) return;
  const std::int64_t by_us = can_wait ? now_us_ + kWakeDelayUs : now_us_;
  if (outgoing_.empty() && !owes_wake_) wake_by_us_ = by_us;
  wake_by_us_ = std::min(wake_by_us_, by_us);
  if (run.report_queued) return;
  run.report_queued = true;
  outgoing_.emplace_back(run.ref);
}

void Warden::refuse(const Exited& exited) {
  if (!attachment_.attached()) return;
  ++refusals_;
  wake_by_us_ = now_us_;
  outgoing_.emplace_back(exited);
}

Event Warden::event_for(Run& run) const {
  if (run.state == RunState::kEnded) return run.exited;
  Running running;
  running.run = run.exited.run;
  running.slot = run.exited.slot;
  running.segment = run.exited.segment;
  running.phase = run.state == RunState::kWaiting   ? RunPhase::kWaiting
                  : run.state == RunState::kRunning ? RunPhase::kRunning
                                                    : RunPhase::kEnding;
  running.in_dump = in_dump_;
  running.pid = run.pid;
  running.start_wall_us = run.exited.start_wall_us;
  running.start_monotonic_us = run.exited.start_monotonic_us;
  running.out_offset = run.exited.out_offset;
  running.err_offset = run.exited.err_offset;
  running.gpu_mask = run.gpu_mask;
  return running;
}

void Warden::send_reports() {
  if (!attachment_.attached()) return;
  RingWriter& events = attachment_.rings().events();
  while (!outgoing_.empty()) {
    Outgoing& next = outgoing_.front();
    Run* run = nullptr;
    if (const auto* ref = std::get_if<RunRef>(&next)) {
      run = runs_.table().at(*ref);  // gone if the agent has confirmed what it heard before
      if (run != nullptr) encode(event_for(*run), record_);
    } else if (const auto* refusal = std::get_if<Exited>(&next)) {
      encode(Event(*refusal), record_);
    } else {
      encode(Event(std::get<DumpEnd>(next)), record_);
    }
    const bool to_send = run != nullptr || !std::holds_alternative<RunRef>(next);
    if (to_send && !events.put(record_)) break;  // full: the agent wakes us when there is room
    if (run != nullptr) run->report_queued = false;
    if (std::holds_alternative<Exited>(next)) --refusals_;
    if (std::holds_alternative<DumpEnd>(next)) in_dump_ = false;
    outgoing_.pop_front();
  }
  owes_wake_ = events.publish() || owes_wake_;
  if (owes_wake_ && wake_by_us_ <= now_us_) {
    owes_wake_ = false;
    attachment_.wake_agent();
  }
  attachment_.rings().drop_used_pages();
}

void Warden::on_change(Attachment::Change change) {
  switch (change) {
    case Attachment::Change::kNone:
      return;
    case Attachment::Change::kDetached: {
      // What the agent had published, it had sent; a full ring of the shortest records is the
      // bound.
      constexpr int kRecordsMax = kRingBytes / 16;
      take_commands(kRecordsMax);
      detach();
      return;
    }
    case Attachment::Change::kAttached: {
      attachment_.rings().header().enforcement.store(
          static_cast<std::uint32_t>(runs_.enforcement()));
      DumpEnd end;
      runs_.table().for_each([this, &end](Run& run) {
        report(run, false);
        ++end.runs;
      });
      outgoing_.emplace_back(end);
      wake_by_us_ = now_us_;
      in_dump_ = true;
      return;
    }
  }
}

void Warden::detach() {
  attachment_.drop();
  outgoing_.clear();
  refusals_ = 0;
  in_dump_ = false;
  owes_wake_ = false;
  runs_.table().for_each([](Run& run) { run.report_queued = false; });
  idle_since_us_ = now_us_;
}

void Warden::shut_down() {
  if (over_) return;
  over_ = true;
  over_by_us_ = now_us_ + kLastWordsUs;
  runs_.end_all(now_us_);
}

bool Warden::is_over(std::int64_t now_us) {
  if (over_) return runs_.live_count() == 0 || now_us >= over_by_us_;
  if (attachment_.attached()) {
    idle_since_us_ = now_us;
    return false;
  }
  if (now_us - idle_since_us_ < kIdleUs) return false;
  idle_since_us_ = now_us;
  // Runs and unconfirmed exits are kept for an agent as long as there is a directory it could
  // come from.
  struct stat status {};
  if (fstat(options_.lock_fd, &status) == 0 && status.st_nlink == 0) shut_down();
  return runs_.table().size() == 0;
}

void Warden::update_floor() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return;
  floor_kib_ = static_cast<std::uint32_t>(usage.ru_maxrss);
  if (attachment_.attached()) attachment_.rings().header().floor_kib.store(floor_kib_);
}

}  // namespace leat::warden
