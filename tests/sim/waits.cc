#include "tests/sim/waits.h"

#include <capnp/message.h>

#include "base/check.h"
#include "scheduler/store/spec_codec.h"
#include "tests/sim/stages.h"
#include "tests/sim/world.h"

namespace leat::sim {

Waits plan_waits(std::size_t n, Random& random) {
  Waits waits;
  if (n % 3 == 2) {
    waits.after_user = n - 1;
    waits.after.on = static_cast<core::Condition>(random.below(3));
    waits.after.element_wise = random.chance(50);
  }
  if (n % 4 == 3) {
    waits.held_from = Duration(static_cast<std::int64_t>(random.below(4'000'000)));
    waits.held_for = Duration(static_cast<std::int64_t>(random.below(8'000'000)));
  }
  return waits;
}

core::JobSpec with_waits(const core::JobSpec& spec, std::size_t n, const Waits& waits) {
  capnp::MallocMessageBuilder message;
  store::with_encoded(spec, [&message](schema::JobSpec::Reader from) { message.setRoot(from); });
  auto job = message.getRoot<schema::JobSpec>();
  auto stage = job.getStages()[0];
  if (n % 2 == 1) {
    stage.initRetryDelay().setUs(700'000);
    stage.getRetryDelay().setFactorMilli(2000);
  }
  if (waits.after_user) {
    auto after = stage.initAfter(1)[0];
    after.setJob(waits.after.job.value);
    after.setOn(static_cast<schema::After::Condition>(waits.after.on));
    after.setElementWise(waits.after.element_wise);
  }
  auto read = store::read_job_spec(job.asReader());
  LEAT_CHECK(read.ok());
  return std::move(read).value();
}

std::string check_launch(const Waits& waits, std::uint64_t tasks, const Evidence& evidence,
                         Index index) {
  if (!waits.after_user || waits.after.on != core::Condition::kSuccess) return {};
  const Index first = waits.after.element_wise ? index : 0;
  const Index last = waits.after.element_wise ? index : tasks - 1;
  for (Index i = first; i <= last; ++i)
    if (evidence.successes(waits.after.job, 0, i) == 0)
      return "ran before task " + std::to_string(i) + " of job " +
             std::to_string(waits.after.job.value) + " had succeeded";
  return {};
}

bool may_be_skipped(const Waits& waits, const core::Job& target) {
  if (!waits.after_user || waits.after.on == core::Condition::kAny) return false;
  if (waits.after.element_wise) return true;
  return core::fate_of(target.state, waits.after.on) == core::AfterState::kDead;
}

// False while it is not known what the job comes after.
bool World::prepare(std::size_t n) {
  User& user = users_[n];
  if (user.ready) return true;
  if (user.waits.after_user) {
    const User& target = users_[*user.waits.after_user];
    if (!target.job) return false;
    user.waits.after.job = *target.job;
    // Task by task of one that is over, history would be asked; there is none here.
    const core::Job* job = head_->state().job(*target.job);
    if (job == nullptr || !job->active()) user.waits.after.element_wise = false;
  }
  user.spec = with_waits(user.spec, n, user.waits);
  user.ready = true;
  return true;
}

// The only refusal there is: what it comes after task by task has ended meanwhile.
void World::refused(std::size_t n, const Refusal& refusal) {
  User& user = users_[n];
  // The pool is too small for its gangs just now.
  if (plan_.gangs && refusal.reason == Reason::kConflict) return;
  LEAT_CHECK(refusal.reason == Reason::kOverloaded && user.waits.after.element_wise);
  user.waits.after.element_wise = false;
  user.ready = false;
}

// A hold may get lost with the head; a release is repeated until it has been heard. Then the hold
// is repeated by somebody who has not heard that it was granted: the job must go on all the same.
void World::hold(std::size_t n, bool release) {
  const User& user = users_[n];
  auto heard = std::make_shared<bool>(false);
  const auto note = [this, n, heard](const Result<core::Answer>&) {
    *heard = true;
    if (users_[n].hold_granted) events_.after(Duration(100'000), [this, n] { hold(n, false); });
  };
  if (head_ != nullptr && head_->ready() && user.job) {
    if (release)
      head_->ask(core::ReleaseJob{user.key + "-release", {}, *user.job}, note);
    else
      head_->ask(core::HoldJob{user.key + "-hold", {}, *user.job},
                 [this, n](const Result<core::Answer>& answer) {
                   users_[n].hold_granted = users_[n].hold_granted || answer.ok();
                 });
  }
  if (!release) return;
  events_.after(Duration(2'000'000), [this, n, heard] {
    if (!*heard) hold(n, true);
  });
}

void World::check_order(const RunId& run) {
  for (const User& user : users_) {
    if (user.job != run.job) continue;
    const core::Job* job = head_ == nullptr ? nullptr : head_->state().job(run.job);
    const std::string early = check_stage_launch(user.spec, job, evidence_, run);
    if (!early.empty()) evidence_.complain(user.key + ": " + early);
    if (run.stage != 0 || !user.waits.after_user) continue;
    const std::string wrong =
        check_launch(user.waits, users_[*user.waits.after_user].tasks, evidence_, run.index);
    if (!wrong.empty())
      evidence_.complain(user.key + ": task " + std::to_string(run.index) + " " + wrong);
  }
}

}  // namespace leat::sim
