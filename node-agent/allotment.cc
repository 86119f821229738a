#include "node-agent/allotment.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace leat::agent {

Allotment::Allotment(std::shared_ptr<const StageSpec> spec)
    : spec_(std::move(spec)), known_(spec_->indices.size(), Known{}) {
  LEAT_CHECK(!spec_->indices.empty());
}

void Allotment::shrink_claims() {
  claims_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(claims_, queued_ + running_));
}

std::vector<std::pair<Interval, Known>> Allotment::known(Interval positions) const {
  std::vector<std::pair<Interval, Known>> parts;
  known_.for_each(positions,
                  [&parts](Interval part, const Known& what) { parts.emplace_back(part, what); });
  return parts;
}

void Allotment::count(const Known& known, std::uint64_t size, bool add) {
  std::uint64_t* counter = nullptr;
  switch (known.state) {
    case RunState::kUnknown:
      return;
    case RunState::kQueued:
      counter = &queued_;
      break;
    case RunState::kRunning:
      counter = &running_;
      break;
    case RunState::kEnded:
      counter = &ended_;
      break;
  }
  LEAT_CHECK(counter != nullptr && (add || *counter >= size));
  *counter = add ? *counter + size : *counter - size;
}

void Allotment::mark(Interval positions, Known known) {
  known_.for_each(
      positions, [this](Interval part, const Known& before) { count(before, part.size(), false); });
  known_.assign(positions, known);
  count(known, positions.size(), true);
}

void Allotment::forget_ended(Interval positions, Attempt attempt) {
  for (const auto& [part, what] : known(positions))
    if (what == Known{RunState::kEnded, attempt}) mark(part, Known{});
}

void Allotment::push(Interval positions, Attempt attempt) {
  for (const auto& [part, what] : known(positions))
    LEAT_CHECK(what.state != RunState::kQueued && what.state != RunState::kRunning);
  mark(positions, Known{RunState::kQueued, attempt});
  if (!queue_.empty() && queue_.back().attempt == attempt &&
      queue_.back().positions.last + 1 == positions.first) {
    queue_.back().positions.last = positions.last;
    return;
  }
  queue_.push_back({attempt, positions});
}

std::pair<std::uint64_t, Attempt> Allotment::pop() {
  LEAT_CHECK(!queue_.empty());
  QueuedPart& front = queue_.front();
  const std::uint64_t position = front.positions.first;
  const Attempt attempt = front.attempt;
  if (front.positions.first == front.positions.last) {
    queue_.pop_front();
  } else {
    ++front.positions.first;
  }
  mark({position, position}, Known{RunState::kRunning, attempt});
  return {position, attempt};
}

void Allotment::remove(Interval positions) {
  for (const auto& [part, what] : known(positions)) LEAT_CHECK(what.state == RunState::kQueued);
  mark(positions, Known{});
  std::deque<QueuedPart> kept;
  for (const QueuedPart& part : queue_) {
    const Interval& p = part.positions;
    if (p.last < positions.first || p.first > positions.last) {
      kept.push_back(part);
      continue;
    }
    if (p.first < positions.first) kept.push_back({part.attempt, {p.first, positions.first - 1}});
    if (p.last > positions.last) kept.push_back({part.attempt, {positions.last + 1, p.last}});
  }
  queue_ = std::move(kept);
}

std::vector<QueuedPart> Allotment::take_last(std::uint64_t count) {
  std::vector<QueuedPart> taken;
  while (count > 0 && !queue_.empty()) {
    QueuedPart& back = queue_.back();
    const std::uint64_t size = std::min(count, back.positions.size());
    const Interval part{back.positions.last - size + 1, back.positions.last};
    taken.push_back({back.attempt, part});
    if (size == back.positions.size()) {
      queue_.pop_back();
    } else {
      back.positions.last -= size;
    }
    mark(part, Known{});
    count -= size;
  }
  return taken;
}

std::vector<std::pair<std::uint64_t, Attempt>> Allotment::peek(std::size_t count) const {
  std::vector<std::pair<std::uint64_t, Attempt>> next;
  for (const QueuedPart& part : queue_) {
    for (std::uint64_t p = part.positions.first; p <= part.positions.last; ++p) {
      if (next.size() == count) return next;
      next.emplace_back(p, part.attempt);
    }
  }
  return next;
}

std::vector<QueuedPart> Allotment::all() const {
  std::vector<QueuedPart> parts;
  known_.for_each([&parts](Interval positions, const Known& what) {
    if (what.state != RunState::kUnknown) parts.push_back({what.attempt, positions});
  });
  return parts;
}

RunSet Allotment::to_set(const StageRef& stage, const QueuedPart& part) const {
  RunSet set;
  set.stage = stage;
  set.attempt = part.attempt;
  set.indices = spec_->indices.select(IntervalSet(part.positions.first, part.positions.last));
  return set;
}

}  // namespace leat::agent
