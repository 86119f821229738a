#pragma once

// allotment.h - one stage's share of a node: what waits here, and how many may run at once.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/interval_map.h"
#include "base/interval_set.h"
#include "node-agent/messages.h"

namespace leat::agent {

// What the node knows of the newest attempt at one task.
enum class RunState : std::uint8_t {
  kUnknown,  // never here, or acknowledged and forgotten
  kQueued,
  kRunning,
  kEnded,  // the head has not acknowledged it
};

struct Known {
  RunState state = RunState::kUnknown;
  Attempt attempt = 0;

  friend bool operator==(const Known&, const Known&) = default;
};

// Queued runs with neighbouring positions.
struct QueuedPart {
  Attempt attempt = 1;
  Interval positions;
};

// Tasks are named by position, their place in the stage's index list: neighbours are ranges there
// whatever step the user chose, so a million of them cost one entry.
//
// Invariant: `known()` says kQueued of exactly the positions in the queue.
class Allotment {
 public:
  explicit Allotment(std::shared_ptr<const StageSpec> spec);

  const std::shared_ptr<const StageSpec>& spec() const { return spec_; }
  std::uint32_t claims() const { return claims_; }
  void set_claims(std::uint32_t claims) { claims_ = claims; }
  // What is not needed any more is not claimed: the head counts on it.
  void shrink_claims();

  std::uint64_t queued() const { return queued_; }
  std::uint64_t running() const { return running_; }
  std::uint64_t ended() const { return ended_; }
  bool idle() const { return queued_ == 0 && running_ == 0 && ended_ == 0; }
  bool can_launch() const { return queued_ > 0 && running_ < claims_; }

  // The parts of `positions` with what is known of them.
  std::vector<std::pair<Interval, Known>> known(Interval positions) const;
  Known known(std::uint64_t position) const { return known_.at(position); }
  std::optional<std::uint64_t> position_of(Index index) const {
    return spec_->indices.position_of(index);
  }

  // At the end of the queue. Precondition: none of them is queued or running.
  void push(Interval positions, Attempt attempt);
  // The first of the queue, which is running from now on. Precondition: queued() > 0.
  std::pair<std::uint64_t, Attempt> pop();
  // Removes these from the queue; they are unknown from now on. Precondition: all are queued.
  void remove(Interval positions);
  // The last `count` of the queue, removed.
  std::vector<QueuedPart> take_last(std::uint64_t count);
  // The next `count` in order, left where they are.
  std::vector<std::pair<std::uint64_t, Attempt>> peek(std::size_t count) const;

  // Counts a run that is known by other means than the queue (adopted, recovered, given back).
  void mark(Interval positions, Known known);
  // As mark(kUnknown), for those of `positions` that ended with this very attempt.
  void forget_ended(Interval positions, Attempt attempt);

  // Sets by attempt: everything in a state other than kUnknown.
  std::vector<QueuedPart> all() const;
  RunSet to_set(const StageRef& stage, const QueuedPart& part) const;

 private:
  void count(const Known& known, std::uint64_t size, bool add);

  std::shared_ptr<const StageSpec> spec_;
  std::uint32_t claims_ = 0;
  std::uint64_t queued_ = 0;
  std::uint64_t running_ = 0;
  std::uint64_t ended_ = 0;
  std::deque<QueuedPart> queue_;
  IntervalMap<Known> known_;  // by position
};

}  // namespace leat::agent
