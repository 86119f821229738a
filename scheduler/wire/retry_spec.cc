#include "scheduler/wire/retry_spec.h"

#include <capnp/message.h>

#include <algorithm>
#include <utility>

#include "scheduler/store/spec_codec.h"
#include "scheduler/store/value_codec.h"
#include "scheduler/wire/retry_plan.h"

namespace leat::wire {

namespace {

// "stage 2", or by its name.
std::string name_of(const core::StageSpec& stage, std::size_t id) {
  return stage.name.empty() ? "stage " + std::to_string(id) : stage.name;
}

std::string note_of(const Retried& retried, const core::JobSpec& old, const RetryPlan& plan) {
  std::string parts;
  for (std::size_t id = 0; id < old.stages.size(); ++id) {
    const std::uint64_t count = plan.repeated[id].size();
    if (count == 0) continue;
    parts += (parts.empty() ? "" : ", ") + std::to_string(count) +
             (count == 1 ? " task of " : " tasks of ") + name_of(old.stages[id], id);
  }
  std::string note;
  if (!parts.empty())
    note = "runs again although it had succeeded: " + parts +
           " (its output is read again and not kept, or it goes with what runs again)";
  if (old.result_stage < 0 || !plan.runs[static_cast<std::size_t>(old.result_stage)].empty())
    return note;
  return note + (note.empty() ? "" : "; ") + "the result is that of job " +
         std::to_string(retried.job.value);
}

using Numbers = std::vector<StageId>;  // by old number

void write_after(const std::vector<core::After>& after, const Numbers& numbers,
                 schema::StageSpec::Builder to) {
  auto list = to.initAfter(static_cast<capnp::uint>(after.size()));
  for (capnp::uint n = 0; n < list.size(); ++n) {
    list[n].setStage(numbers[after[n].stage]);
    list[n].setElementWise(after[n].element_wise);
    list[n].setOn(static_cast<schema::After::Condition>(after[n].on));
  }
}

void write_stage(const core::StageSpec& stage, const IntervalSet& runs, const Numbers& numbers,
                 schema::StageSpec::Builder to) {
  // Counted from the job that was submitted first, however often it is retried.
  if (to.getOrigin().size() == 0 && runs.size() < stage.indices.size())
    to.setOrigin(to.getIndices().asReader());
  const IndexList indices = stage.indices.select(runs);
  store::write_index_list(indices,
                          to.initIndices(static_cast<capnp::uint>(indices.strides().size())));
  if (stage.reduces) to.getInputs().getOutputs().setStage(numbers[stage.reduces->stage]);
}

// The positions of all stages' unsuccessful tasks. Nothing if they do not add up.
std::optional<std::vector<IntervalSet>> positions_of(const Retried& retried,
                                                     const core::JobSpec& old) {
  if (retried.unsuccessful.size() != old.stages.size()) return std::nullopt;
  std::vector<IntervalSet> found;
  for (std::size_t id = 0; id < old.stages.size(); ++id) {
    auto positions = old.stages[id].indices.positions_of(retried.unsuccessful[id]);
    if (!positions) return std::nullopt;
    found.push_back(std::move(*positions));
  }
  return found;
}

Result<core::JobSpec> write_job(const Retried& retried, const core::JobSpec& old,
                                const std::vector<IntervalSet>& unsuccessful,
                                const RetryPlan& plan) {
  Numbers numbers(old.stages.size());
  StageId kept = 0;
  for (std::size_t id = 0; id < old.stages.size(); ++id)
    if (!plan.runs[id].empty()) numbers[id] = kept++;
  core::JobSpec message_of;
  message_of.encoded = retried.encoded;
  return store::with_encoded(message_of, [&](schema::JobSpec::Reader from) {
    capnp::MallocMessageBuilder message;
    message.setRoot(from);
    auto to = message.getRoot<schema::JobSpec>();
    to.setRetryOf(retried.job.value);
    to.setPriority(retried.priority);
    to.setName(store::text_of(retried.name));
    auto stages = to.initStages(kept);
    for (std::size_t id = 0; id < old.stages.size(); ++id) {
      if (plan.runs[id].empty()) continue;
      auto stage = stages[numbers[id]];
      stages.setWithCaveats(numbers[id], from.getStages()[static_cast<capnp::uint>(id)]);
      write_stage(old.stages[id], plan.runs[id], numbers, stage);
      std::vector<core::After> after;
      for (const core::After& one : old.stages[id].after)
        if (const auto left = left_of(one, plan, unsuccessful)) after.push_back(*left);
      write_after(after, numbers, stage);
    }
    const auto result = static_cast<std::size_t>(old.result_stage);
    const bool has_result = old.result_stage >= 0 && !plan.runs[result].empty();
    to.setResultStage(has_result ? numbers[result] : -1);
    return store::read_job_spec(to.asReader());
  });
}

}  // namespace

Result<RetrySpec> retry_spec(const Retried& retried) {
  const std::string job = "job " + std::to_string(retried.job.value);
  const Result<core::JobSpec> old = store::restore_job_spec(*retried.encoded);
  if (!old.ok()) return old.refusal();
  const auto unsuccessful = positions_of(retried, old.value());
  if (!unsuccessful)
    return Refusal{Reason::kConflict, job + ": its tasks do not add up: submit it again"};
  const Result<RetryPlan> plan = plan_retry(old.value().stages, *unsuccessful);
  if (!plan.ok()) return Refusal{plan.refusal().reason, job + ": " + plan.refusal().message};
  const auto& runs = plan.value().runs;
  if (std::all_of(runs.begin(), runs.end(), [](const auto& some) { return some.empty(); }))
    return Refusal{Reason::kConflict, job + " has no task that ended without success"};
  Result<core::JobSpec> spec = write_job(retried, old.value(), *unsuccessful, plan.value());
  if (!spec.ok()) return spec.refusal();
  return RetrySpec{std::move(spec).value(), note_of(retried, old.value(), plan.value())};
}

std::optional<core::PoolSpec> own_pool_of(const core::JobSpec& spec) {
  return store::with_encoded(spec,
                             [](schema::JobSpec::Reader job) -> std::optional<core::PoolSpec> {
                               if (job.getOwnPool().getName().size() == 0) return std::nullopt;
                               core::PoolSpec pool = store::restore_pool_spec(job.getOwnPool());
                               pool.for_job = {};
                               return pool;
                             });
}

}  // namespace leat::wire
