#include "tests/sim/stages.h"

#include <algorithm>

#include "base/check.h"
#include "scheduler/store/spec_codec.h"
#include "tests/sim/world.h"

namespace leat::sim {
namespace {

using core::Condition;

std::uint64_t count_of(const core::StateCounts& counts, core::TaskState state) {
  return counts[static_cast<std::size_t>(state)];
}

void come_after(schema::After::Builder after, StageId stage, bool element_wise, Random& random) {
  after.setStage(stage);
  after.setElementWise(element_wise);
  // Mostly what people want.
  after.setOn(random.chance(50) ? schema::After::Condition::SUCCESS
                                : static_cast<schema::After::Condition>(random.below(3)));
}

void reduce(schema::StageSpec::Builder stage, StageId of, std::uint64_t width) {
  auto outputs = stage.getInputs().initOutputs();
  outputs.setStage(of);
  outputs.setWidth(width);
}

// Whether anything but cancelling the job may have made a difference since: then nothing follows
// from how the stage ended at last.
bool is_reduced(const core::JobSpec& spec, StageId id) {
  return std::any_of(spec.stages.begin(), spec.stages.end(), [id](const core::StageSpec& stage) {
    return stage.reduces && stage.reduces->stage == id;
  });
}

}  // namespace

void write_stage(schema::StageSpec::Builder stage, std::uint64_t tasks, Random& random) {
  stage.getProgram().initArgv(1).set(0, "/bin/true");
  stage.getProgram().setDirectory("/");
  auto indices = stage.initIndices(1);
  indices[0].setCount(tasks);
  auto members = stage.initMembers(1);
  members[0].setCount(1);
  stage.setRetries(4);
  stage.setLeaseUs(15'000'000 + static_cast<std::int64_t>(random.below(15'000'000)));
}

core::JobSpec make_pipeline(schema::JobSpec::Builder job, const Plan& plan, Random& random) {
  const bool by_task = random.chance(50);
  const std::uint64_t prepared = 1 + random.below(plan.tasks_max);
  const std::uint64_t simulated = by_task ? prepared : 1 + random.below(plan.tasks_max);
  const std::uint64_t width = 2 + random.below(6);
  std::vector<std::uint64_t> steps{(simulated - 1) / width + 1};
  while (steps.back() > 1) steps.push_back((steps.back() - 1) / width + 1);
  const auto last = static_cast<StageId>(2 + steps.size());
  auto stages = job.initStages(last + 4u);
  write_stage(stages[0], prepared, random);
  write_stage(stages[1], simulated, random);
  come_after(stages[1].initAfter(1)[0], 0, by_task, random);
  if (random.chance(50)) {
    stages[1].getMembers()[0].setCount(1 + static_cast<std::uint32_t>(random.below(3)));
    stages[1].getMembers()[0].setSpread(schema::Member::Spread::DISTINCT_NODES);
    stages[1].initGang().setLaunch(schema::GangSpec::Launch::APPLICATION);
  }
  // Beside the reduce, and sometimes after two.
  write_stage(stages[2], simulated, random);
  auto after = stages[2].initAfter(random.chance(50) ? 1 : 2);
  come_after(after[0], 1, true, random);
  if (after.size() > 1) come_after(after[1], 0, false, random);
  for (std::size_t n = 0; n < steps.size(); ++n) {
    const auto id = static_cast<StageId>(3 + n);
    write_stage(stages[id], steps[n], random);
    reduce(stages[id], static_cast<StageId>(n == 0 ? 1 : id - 1), width);
  }
  write_stage(stages[last + 1], 1, random);
  reduce(stages[last + 1], last, 1);
  write_stage(stages[last + 2], 1 + random.below(4), random);
  come_after(stages[last + 2].initAfter(1)[0], last, false, random);
  write_stage(stages[last + 3], 1 + random.below(4), random);
  come_after(stages[last + 3].initAfter(1)[0], 2, false, random);
  // The last step, which the report reads, or the report.
  job.setResultStage(last + (random.chance(50) ? 1 : 0));
  auto spec = store::read_job_spec(job.asReader());
  if (!spec.ok()) std::fprintf(stderr, "sim: %s\n", spec.refusal().message.c_str());
  LEAT_CHECK(spec.ok());
  return std::move(spec).value();
}

bool is_doomed(const RunId& run) {
  // In one of three jobs, so that others come to their results.
  return run.job.value % 3 == 0 && (run.job.value * 7 + run.stage * 5 + run.index) % 23 == 0;
}

std::uint64_t tasks_in_result(const core::JobSpec& spec) {
  auto id = static_cast<std::size_t>(spec.result_stage);
  while (spec.stages[id].reduces) id = spec.stages[id].reduces->stage;
  return spec.stages[id].indices.size();
}

std::string check_stage_launch(const core::JobSpec& spec, const core::Job* job,
                               const Evidence& evidence, const RunId& run) {
  for (const core::After& after : spec.stages[run.stage].after) {
    if (after.job) continue;
    const std::uint64_t size = spec.stages[after.stage].indices.size();
    const Index first = after.element_wise ? run.index : 0;
    const Index last = after.element_wise ? run.index : size - 1;
    for (Index i = first; i <= last; ++i) {
      const bool early =
          after.on == Condition::kSuccess && evidence.successes(run.job, after.stage, i) == 0;
      // How else a task has ended only the head can tell, while it has not lost its output since.
      const bool known = job != nullptr && job->active() && !is_reduced(spec, after.stage);
      const bool open = known && core::fate_of(job->stages[after.stage].cells.at(i).state,
                                               Condition::kAny) == core::AfterState::kOpen;
      if (early || open)
        return "task " + std::to_string(run.stage) + '.' + std::to_string(run.index) +
               " ran before task " + std::to_string(after.stage) + '.' + std::to_string(i) +
               " had ended as it should";
    }
  }
  return {};
}

// Every task of every stage has ended once, and ran or was skipped as what it came after ended.
void World::check_stages(const User& user, const core::Job& job) {
  const auto complain = [&](std::size_t id, const std::string& what) {
    evidence_.complain(user.key + ": stage " + std::to_string(id) + ": " + what);
  };
  for (std::size_t id = 0; id < job.final_counts.size(); ++id) {
    const core::StageSpec& stage = user.spec.stages[id];
    const std::uint64_t size = stage.indices.size();
    const core::StateCounts& counts = job.final_counts[id];
    std::uint64_t over = 0;
    for (std::size_t s = 0; s < counts.size(); ++s)
      if (core::is_terminal(static_cast<core::TaskState>(s))) over += counts[s];
    if (over != size) complain(id, "its tasks do not add up");
    std::uint64_t ran_well = 0;
    stage.indices.for_each([&](Index index) {
      ran_well += evidence_.successes(*user.job, static_cast<StageId>(id), index) > 0 ? 1 : 0;
    });
    const std::uint64_t succeeded = count_of(counts, core::TaskState::kSucceeded);
    if (ran_well < succeeded) complain(id, "tasks succeeded that never ran to their end");
    const bool one = stage.after.size() == 1 && !stage.after[0].job;
    if (!one || user.cancels || is_reduced(user.spec, stage.after[0].stage)) continue;
    const core::After& after = stage.after[0];
    const core::StateCounts& before = job.final_counts[after.stage];
    const std::uint64_t all = user.spec.stages[after.stage].indices.size();
    const std::uint64_t well = count_of(before, core::TaskState::kSucceeded);
    const bool success = after.on == Condition::kSuccess;
    std::uint64_t skipped = 0;
    if (after.on != Condition::kAny && after.element_wise) skipped = success ? all - well : well;
    if (after.on != Condition::kAny && !after.element_wise && success != (well == all))
      skipped = size;
    if (count_of(counts, core::TaskState::kSkipped) != skipped)
      complain(id, "skipped " + std::to_string(count_of(counts, core::TaskState::kSkipped)) +
                       " tasks, not " + std::to_string(skipped));
  }
}

}  // namespace leat::sim
