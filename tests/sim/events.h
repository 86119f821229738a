#pragma once

// events.h - virtual time: what happens next, and the KJ loop that is cranked in between.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/time.h"

namespace leat::sim {

// Runs events in order of time, then of arrival. After each, all that the KJ loop has to do is
// done, and its timer shows the same instant.
class Events {
 public:
  Events() : scope_(loop_), timer_(kj::origin<kj::TimePoint>()) {}

  Time now() const { return now_; }
  kj::Timer& timer() { return timer_; }
  kj::WaitScope& scope() { return scope_; }

  void at(Time time, std::function<void()> event) {
    events_.emplace(time < now_ ? now_ : time, std::move(event));
  }
  void after(Duration delay, std::function<void()> event) { at(now_ + delay, std::move(event)); }

  // The next event or timer. False if there is none.
  bool step() {
    Time next = events_.empty() ? kNever : events_.begin()->first;
    KJ_IF_MAYBE (due, timer_.nextEvent()) {
      const Time timer_due{Duration((*due - kj::origin<kj::TimePoint>()) / kj::MICROSECONDS + 1)};
      if (timer_due < next) next = timer_due;
    }
    if (next == kNever) return false;
    if (now_ < next) now_ = next;
    timer_.advanceTo(kj::origin<kj::TimePoint>() + now_.us() * kj::MICROSECONDS);
    drain();
    if (!events_.empty() && events_.begin()->first <= now_) {
      const std::function<void()> event = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      event();
      drain();
    }
    return true;
  }

  // Everything the loop can do without time passing.
  void drain() {
    kj::Promise<void> never = kj::NEVER_DONE;
    never.poll(scope_);
  }

 private:
  kj::EventLoop loop_;
  kj::WaitScope scope_;
  kj::TimerImpl timer_;
  Time now_;
  std::multimap<Time, std::function<void()>> events_;
};

}  // namespace leat::sim
