// scheduler_wishes.cc - jobs made, made again, held, released and changed.

#include <algorithm>
#include <set>
#include <utility>

#include "scheduler/store/spec_codec.h"
#include "scheduler/store/value_codec.h"
#include "scheduler/wire/convert.h"
#include "scheduler/wire/retry_spec.h"
#include "scheduler/wire/scheduler_server.h"

namespace leat::wire {
namespace {

core::PastJob to_past(const core::Job& job) {
  core::PastJob past;
  past.job = job.id;
  past.state = job.state;
  if (job.past == nullptr || !job.past->known) return past;
  past.indices = job.past->indices;
  past.unsuccessful = job.past->unsuccessful;
  return past;
}

Refusal not_kept(JobId id) {
  return {Reason::kConflict, "job " + std::to_string(id.value) +
                                 ": which of its tasks succeeded is not known any more: submit it "
                                 "again"};
}

// Tasks of `job` that are to run again, as a job of their own.
Result<RetrySpec> spec_of_retry(const core::Job& job) {
  const std::string name = "job " + std::to_string(job.id.value);
  if (job.active() && job.stages.size() > 1)
    return Refusal{Reason::kConflict, name +
                                          " has several stages and has not ended: wait for it "
                                          "(leat wait), or cancel it, and then retry it"};
  Retried retried{job.id, nullptr, {}, job.priority, job.name};
  if (job.active()) {
    retried.encoded = job.spec->encoded;
    retried.unsuccessful = {core::unsuccessful_tasks(job.stages[0])};
    return retry_spec(retried);
  }
  if (job.past == nullptr || !job.past->known) return not_kept(job.id);
  if (job.past->encoded == nullptr && job.state == core::JobState::kSucceeded)
    return Refusal{Reason::kConflict, name + " has no task that ended without success"};
  // An older version kept no more than the first stage.
  if (job.past->encoded == nullptr || job.past->later.size() + 1 != job.final_counts.size())
    return not_kept(job.id);
  retried.encoded = job.past->encoded;
  retried.unsuccessful = job.past->later;
  retried.unsuccessful.insert(retried.unsuccessful.begin(), job.past->unsuccessful);
  return retry_spec(retried);
}

void write_job_id(const Result<core::Answer>& answer, schema::SubmitResult::Builder to) {
  if (answer.ok()) {
    to.setJob(std::get<JobId>(answer.value()).value);
  } else {
    write_refusal(answer.refusal(), to.initRefusal());
  }
}

}  // namespace

kj::Promise<void> SchedulerServer::submit(SubmitContext context) {
  const auto params = context.getParams();
  const bool has_pool = params.getPool().getName().size() > 0;
  Result<core::JobSpec> spec = has_pool ? store::read_job_spec(params.getSpec(), params.getPool())
                                        : store::read_job_spec(params.getSpec());
  if (!spec.ok()) {
    write_refusal(spec.refusal(), context.getResults().initRefusal());
    return kj::READY_NOW;
  }
  core::Submit command{store::read_text(params.getKey()), user_, std::move(spec).value()};
  if (has_pool) {
    Result<core::PoolSpec> pool = store::read_pool_spec(params.getPool());
    if (!pool.ok()) {
      write_refusal(pool.refusal(), context.getResults().initRefusal());
      return kj::READY_NOW;
    }
    command.pool = std::move(pool).value();
    command.pool->for_job = {};
  }
  context.releaseParams();
  return post_submit(std::move(command))
      .then([context](const Result<core::Answer>& answer) mutable {
        write_job_id(answer, context.getResults());
      });
}

kj::Promise<Result<core::Answer>> SchedulerServer::post_submit(core::Submit command) {
  auto held = kj::heap<core::Submit>(std::move(command));
  core::Submit& submit = *held;
  return look_up_past(submit)
      .then([this, &submit] { return services_.engine.post(core::Submit(submit)); })
      .then([this, &submit](Result<core::Answer> answer) -> kj::Promise<Result<core::Answer>> {
        // What it comes after may have ended meanwhile; once is enough, as it does so once.
        const bool raced = !answer.ok() && answer.refusal().reason == Reason::kOverloaded;
        const auto& stages = submit.spec.stages;
        const bool waits = std::any_of(stages.begin(), stages.end(),
                                       [](const auto& stage) { return !stage.after.empty(); });
        if (!raced || !waits) return answer;
        return look_up_past(submit).then(
            [this, &submit] { return services_.engine.post(core::Submit(submit)); });
      })
      .attach(kj::mv(held));
}

kj::Promise<void> SchedulerServer::look_up_past(core::Submit& command) {
  std::set<JobId> ended;
  for (const core::StageSpec& stage : command.spec.stages)
    for (const core::After& after : stage.after) {
      if (!after.job) continue;
      const core::Job* job = services_.engine.state().job(after.job);
      if (job == nullptr || !job->active()) ended.insert(after.job);
    }
  command.past.clear();
  kj::Promise<void> all = kj::READY_NOW;
  for (const JobId id : ended)
    all = all.then([this, id] { return services_.store.find_job(id); })
              .then([&command](std::optional<core::Job> job) {
                if (job) command.past.push_back(to_past(*job));
              });
  return all;
}

bool SchedulerServer::is_known(const std::string& key) const {
  return services_.engine.state().granted().find(core::WishKind::kSubmit, key, services_.clock()) !=
         nullptr;
}

kj::Promise<void> SchedulerServer::retry(RetryContext context) {
  const auto params = context.getParams();
  const JobId id = resolve(services_.engine.state(), params.getJob());
  // Who repeats a wish gets its first answer, whatever has become of the job and its inputs.
  if (core::Submit again{store::read_text(params.getKey()), user_, {}}; is_known(again.key))
    return services_.engine.post(std::move(again))
        .then([context](const Result<core::Answer>& answer) mutable {
          write_job_id(answer, context.getResults());
        });
  auto made = kj::heap<Result<RetrySpec>>(
      Refusal{Reason::kNotFound, "no job " + std::to_string(id.value) + "; see: leat job list"});
  Result<RetrySpec>& spec = *made;
  const std::string key = store::read_text(params.getKey());
  const auto from_history = [this, id, &spec]() -> kj::Promise<void> {
    return services_.store.find_job(id).then([&spec](std::optional<core::Job> job) {
      if (job) spec = spec_of_retry(*job);
    });
  };
  const core::Job* known = services_.engine.state().job(id);
  const bool active = known != nullptr && known->active();
  // Only what is on disk is tried again.
  kj::Promise<void> ready = active ? services_.engine.query([id, &spec](const core::State& state) {
    const core::Job* job = state.job(id);
    if (job != nullptr && job->active()) spec = spec_of_retry(*job);
    if (job != nullptr && !job->active())
      spec = Refusal{Reason::kOverloaded,
                     "job " + std::to_string(id.value) + " has just ended: try again"};
  })
                                   : from_history();
  return ready
      .then([this, context, key, &spec]() mutable -> kj::Promise<void> {
        if (!spec.ok()) {
          write_refusal(spec.refusal(), context.getResults().initRefusal());
          return kj::READY_NOW;
        }
        core::Submit command{key, user_, spec.value().spec};
        command.pool = own_pool_of(command.spec);
        return post_retry(command).then(
            [context, note = spec.value().note](const Result<core::Answer>& answer) mutable {
              write_job_id(answer, context.getResults());
              context.getResults().setNote(store::text_of(note));
            });
      })
      .attach(kj::mv(made));
}

kj::Promise<Result<core::Answer>> SchedulerServer::post_retry(const core::Submit& command) {
  return services_.has_inputs(command.spec)
      .then([this, command](const Result<bool>& there) -> kj::Promise<Result<core::Answer>> {
        if (!there.ok()) return Result<core::Answer>(there.refusal());
        if (there.value()) return services_.engine.post(command);
        return Result<core::Answer>(
            Refusal{Reason::kConflict, "job " + std::to_string(command.spec.retry_of.value) +
                                           ": its inputs are not kept any more: submit it again"});
      });
}

template <typename Context>
kj::Promise<void> SchedulerServer::post_wish(core::Command command, Context context) {
  return services_.engine.post(std::move(command))
      .then([context](const Result<core::Answer>& answer) mutable {
        if (answer.ok()) {
          context.getResults().setDone();
        } else {
          write_refusal(answer.refusal(), context.getResults().initRefusal());
        }
      });
}

kj::Promise<void> SchedulerServer::setJob(SetJobContext context) {
  const auto params = context.getParams();
  const auto change = params.getChange();
  core::SetJob wish{store::read_text(params.getKey()), user_, JobId{params.getJob()}, {}, {}};
  if (change.getSetsPriority()) wish.priority = change.getPriority();
  if (change.getSetsName()) wish.name = store::read_text(change.getName());
  return post_wish(std::move(wish), context);
}

kj::Promise<void> SchedulerServer::hold(HoldContext context) {
  const auto params = context.getParams();
  return post_wish(core::HoldJob{store::read_text(params.getKey()), user_, JobId{params.getJob()}},
                   context);
}

kj::Promise<void> SchedulerServer::release(ReleaseContext context) {
  const auto params = context.getParams();
  return post_wish(
      core::ReleaseJob{store::read_text(params.getKey()), user_, JobId{params.getJob()}}, context);
}

}  // namespace leat::wire
