#include "scheduler/core/lifecycles.h"

#include <cstddef>

#include "base/check.h"

namespace leat::core {
namespace {

template <std::size_t N>
const char* pick(const char* const (&names)[N], unsigned n) {
  LEAT_CHECK(n < N);
  return names[n];
}

}  // namespace

const char* name_of(TaskState state) {
  static constexpr const char* kNames[] = {"blocked",     "waiting",   "placed", "ending",
                                           "held",        "succeeded", "failed", "cancelled",
                                           "quarantined", "skipped",   "delayed"};
  return pick(kNames, static_cast<unsigned>(state));
}

const char* name_of(JobState state) {
  static constexpr const char* kNames[] = {"waiting", "running",   "cancelling", "succeeded",
                                           "failed",  "cancelled", "skipped",    "held"};
  return pick(kNames, static_cast<unsigned>(state));
}

const char* name_of(NodeState state) {
  static constexpr const char* kNames[] = {"requested", "enrolled", "up",
                                           "lost",      "gone",     "deleting"};
  return pick(kNames, static_cast<unsigned>(state));
}

const char* name_of(NodeDuty duty) {
  static constexpr const char* kNames[] = {"serving", "draining", "closing", "leaving"};
  return pick(kNames, static_cast<unsigned>(duty));
}

const char* name_of(PoolState state) {
  static constexpr const char* kNames[] = {"open", "removed", "paused", "deleting"};
  return pick(kNames, static_cast<unsigned>(state));
}

const char* name_of(TaskStep step) {
  static constexpr const char* kNames[] = {
      "unblock", "block", "place",       "end",     "hold",   "succeed",    "fail", "requeue",
      "delay",   "wake",  "lose-output", "release", "cancel", "quarantine", "skip"};
  return pick(kNames, static_cast<unsigned>(step));
}

const char* name_of(JobStep step) {
  static constexpr const char* kNames[] = {"start", "cancel", "succeed", "fail",  "end-cancelled",
                                           "skip",  "hold",   "release", "resume"};
  return pick(kNames, static_cast<unsigned>(step));
}

const char* name_of(NodeStep step) {
  static constexpr const char* kNames[] = {"enrol", "join", "lose", "prove-gone", "delete"};
  return pick(kNames, static_cast<unsigned>(step));
}

const char* name_of(DutyStep step) {
  static constexpr const char* kNames[] = {"drain", "resume", "close", "reopen", "leave"};
  return pick(kNames, static_cast<unsigned>(step));
}

const char* name_of(PoolStep step) {
  static constexpr const char* kNames[] = {"remove", "pause", "reopen", "delete"};
  return pick(kNames, static_cast<unsigned>(step));
}

}  // namespace leat::core
