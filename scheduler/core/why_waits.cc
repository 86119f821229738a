// why_waits.cc - why tasks wait on purpose: for other jobs, for a delay, for a person, and for how
// long yet.

#include "scheduler/core/clock_text.h"
#include "scheduler/core/why_parts.h"

namespace leat::core {
namespace {

const char* word_for(Condition on) {
  switch (on) {
    case Condition::kSuccess:
      return "success";
    case Condition::kFailure:
      return "failure";
    case Condition::kAny:
      break;
  }
  return "end";
}

std::string name_of_target(const Job& target) {
  return "job " + number(target.id.value) + (target.name.empty() ? "" : " (" + target.name + ")") +
         ", which is " + name_of(target.state);
}

// Blocked tasks among those it is about that still wait for `after`.
std::uint64_t tasks_that_wait(const Asked& asked, const After& after) {
  const Stage* target =
      after.job ? asked.state.stage({after.job, 0}) : &asked.job.stages[after.stage];
  std::uint64_t open = 0;
  asked.stage.cells.for_each(asked.where(), [&](Interval part, const TaskCell& cell) {
    if (cell.state != TaskState::kBlocked) return;
    if (!after.element_wise || target == nullptr) {
      open += part.size();
      return;
    }
    target->cells.for_each(part, [&](Interval piece, const TaskCell& theirs) {
      if (fate_of(theirs.state, after.on) == AfterState::kOpen) open += piece.size();
    });
  });
  return open;
}

// Of an earlier stage of the same job.
Cause wait_for_stage(const Asked& asked, const After& after, std::uint64_t tasks) {
  const Stage& target = asked.job.stages[after.stage];
  std::string what = after.on == Condition::kSuccess
                         ? std::string()
                         : std::string("the ") + word_for(after.on) + " of ";
  if (after.element_wise) what += "the task of the same index in ";
  return {"dependency",
          "waits for " + what + text_of(after.stage, target) + ": " + number(open_tasks(target)) +
              " of " + number(target.cells.size()) + " tasks left",
          "wait", tasks};
}

}  // namespace

void explain_dependencies(const Asked& asked, std::vector<Cause>& causes) {
  const Stage& stage = asked.stage;
  for (std::size_t k = 0; k < stage.after.size(); ++k) {
    const After& after = stage.spec->after[k];
    if (stage.after[k].state != AfterState::kOpen) continue;
    const std::uint64_t tasks = tasks_that_wait(asked, after);
    if (tasks == 0) continue;
    if (!after.job) {
      causes.push_back(wait_for_stage(asked, after, tasks));
      continue;
    }
    const Job* target = asked.state.job(after.job);
    if (target == nullptr) continue;
    const std::string what = after.element_wise ? std::string("the ") + word_for(after.on) +
                                                      " of the task of the same index in "
                                                : std::string("the ") + word_for(after.on) + " of ";
    causes.push_back({"dependency", "comes after " + what + name_of_target(*target),
                      "wait, or: leat why " + number(after.job.value), tasks});
  }
}

std::optional<Cause> delayed_try(const Asked& asked) {
  if (asked.delayed == 0) return std::nullopt;
  Time first = kNever;
  for (const auto& [due, positions] : asked.stage.delayed)
    if (first == kNever && positions.intersects(asked.where())) first = due;
  return Cause{"retry",
               "failed, and is tried again after a delay: the next is due at " +
                   clock_text(asked.state.wall_us(first)) + " (in " + span_text(first - asked.now) +
                   ")",
               "wait", asked.delayed};
}

std::optional<Cause> held(const Asked& asked) {
  const Job& job = asked.job;
  if (job.state != JobState::kHeld || asked.tasks() == 0) return std::nullopt;
  return Cause{"held",
               "held by user " + number(job.held_by.uid) +
                   (job.held_by.host.empty() ? "" : "@" + job.held_by.host) + " since " +
                   clock_text(asked.state.wall_us(job.held_since)),
               "leat release " + number(job.id.value), asked.tasks()};
}

std::optional<Cause> start_within(const Asked& asked) {
  const Job& job = asked.job;
  const Duration within = job.spec->stages[0].start_within;
  if (within.count() == 0 || job.started != kNever || asked.tasks() == 0) return std::nullopt;
  const Time by = job.submitted + within;
  return Cause{"start-within",
               "the job is skipped unless it has started by " +
                   clock_text(asked.state.wall_us(by)) + " (" + span_text(by - asked.now) +
                   " left)",
               "wait, or submit it again with a longer --start-within", asked.tasks()};
}

}  // namespace leat::core
