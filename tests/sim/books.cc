// books.cc - World: what must hold when everything is over.

#include "scheduler/core/decide.h"
#include "tests/sim/stages.h"
#include "tests/sim/world.h"

namespace leat::sim {

// The first job that has not ended, and what it waits for.
std::string World::what_is_left() {
  if (head_ == nullptr || !head_->ready()) return ": there is no head";
  for (const User& user : users_) {
    const core::Job* job = user.job ? head_->state().job(*user.job) : nullptr;
    if (user.job && (job == nullptr || !job->active())) continue;
    std::string text = ": " + user.key;
    if (job == nullptr) return text + " is not there";
    text += std::string(" is ") + core::name_of(job->state);
    for (std::size_t n = 0; n < job->stages.size(); ++n)
      for (const core::Cause& cause :
           core::why(head_->state(), {job->id, static_cast<StageId>(n)}, {}, events_.now()))
        text += "; stage " + std::to_string(n) + ": " + cause.message;
    return text;
  }
  return {};
}

void World::check_books() {
  if (!all_over()) evidence_.complain("not everything ended in time" + what_is_left());
  if (head_ == nullptr) return;
  head_->state().check_invariants();
  for (const User& user : users_) check_job(user);
  if (walk_ != nullptr && evidence_.complaints().empty()) walk_->finish();
  // What is on disk is what is believed.
  if (head_->engine().committing() || plan_.mutant != Mutant::kNone) return;
  const store::Recovered again = Head::recover(disk_);
  if (again.state->digest() != head_->state().digest())
    evidence_.complain("recovery gives another state");
}

void World::check_job(const User& user) {
  const core::Job* job = user.job ? head_->state().job(*user.job) : nullptr;
  if (job == nullptr) {
    evidence_.complain(user.key + ": an acknowledged job is not there");
    return;
  }
  if (job->active()) return;
  check_stages(user, *job);
  const auto count = [job](core::TaskState s) {
    return job->final_counts[0][static_cast<std::size_t>(s)];
  };
  std::uint64_t total = 0;
  for (const std::uint64_t n : job->final_counts[0]) total += n;
  if (total != user.tasks) evidence_.complain(user.key + ": tasks do not add up");
  if (job->state != core::JobState::kSucceeded) {
    const bool skipped = job->state == core::JobState::kSkipped &&
                         may_be_skipped(user.waits, *head_->state().job(user.waits.after.job));
    std::uint64_t lost = 0;  // here or in a step of the reduce
    for (const auto& stage : job->final_counts)
      lost += stage[static_cast<std::size_t>(core::TaskState::kFailed)] +
              stage[static_cast<std::size_t>(core::TaskState::kQuarantined)];
    if (!user.cancels && !skipped && lost == 0)
      evidence_.complain(user.key + ": ended " + core::name_of(job->state) + " for no reason");
    return;
  }
  if (count(core::TaskState::kSucceeded) != user.tasks)
    evidence_.complain(user.key + ": succeeded with tasks missing");
  user.spec.stages[0].indices.for_each([&](Index index) {
    if (evidence_.successes(*user.job, 0, index) == 0)
      evidence_.complain(user.key + ": task " + std::to_string(index) + " never ran to its end");
    const core::StageSpec& stage = user.spec.stages[0];
    if (stage.gang && !evidence_.ended_well_on(*user.job, 0, index, stage.nodes))
      evidence_.complain(user.key + ": gang " + std::to_string(index) +
                         " never ended well on all its nodes");
  });
  if (user.spec.result_stage < 0) return;
  // It was there in case of need.
  const auto& last = job->final_counts[static_cast<std::size_t>(user.spec.result_stage)];
  if (last[static_cast<std::size_t>(core::TaskState::kSkipped)] == 1 && !job->result) return;
  std::uint64_t number = 0;
  if (job->result)
    for (std::size_t n = 8; n-- > 0;) number = number << 8 | job->result->hash[n];
  if (number == 0 || number > results_.size())
    evidence_.complain(user.key + ": no result");
  else if (!results_[number - 1].exact(tasks_in_result(user.spec)))
    evidence_.complain(user.key + ": the result does not count every task once");
}

}  // namespace leat::sim
