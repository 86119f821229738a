// reduce.cc - the tree of reduce steps: which tasks wait for which outputs.

#include <algorithm>

#include "base/check.h"
#include "scheduler/core/state.h"

namespace leat::core {

namespace {

bool has_failed(const Stage& stage, Interval where) {
  bool failed = false;
  stage.cells.for_each(where, [&failed](Interval, const TaskCell& cell) {
    failed = failed || (is_terminal(cell.state) && cell.state != TaskState::kSucceeded);
  });
  return failed;
}

}  // namespace

Interval inputs_of(const Stage& reduced, const ReduceInput& input, std::uint64_t position) {
  const std::uint64_t size = reduced.cells.size();
  const std::uint64_t first = position * input.width;
  LEAT_CHECK(first < size);
  // width may be "all": compare before adding.
  const std::uint64_t last = input.width > size - first ? size - 1 : first + input.width - 1;
  return {first, last};
}

void State::unblock_reducers(Job& job, StageId id, Interval done) {
  const Stage& reduced = job.stages[id];
  if (!reduced.reduced_by) return;
  const StageId above = *reduced.reduced_by;
  const ReduceInput& input = *job.stages[above].spec->reduces;
  for (std::uint64_t p = done.first / input.width; p <= done.last / input.width; ++p) {
    if (job.stages[above].cells.at(p).state != TaskState::kBlocked) continue;
    if (!reduced.done.contains(inputs_of(reduced, input, p))) continue;
    step_tasks(job, above, {p, p}, TaskStep::kUnblock, [](TaskCell&) {});
  }
  refresh_ready(job, above);
}

void State::block_reducers(Job& job, StageId id, Interval lost) {
  const Stage& reduced = job.stages[id];
  if (!reduced.reduced_by) return;
  const StageId above = *reduced.reduced_by;
  const std::uint64_t width = job.stages[above].spec->reduces->width;
  block_incomplete(job, above, {lost.first / width, lost.last / width});
}

void State::block_incomplete(Job& job, StageId id, Interval where) {
  Stage& stage = job.stages[id];
  if (!stage.spec->reduces) return;
  const ReduceInput& input = *stage.spec->reduces;
  const Stage& reduced = job.stages[input.stage];
  for (std::uint64_t p = where.first; p <= where.last; ++p) {
    if (stage.cells.at(p).state != TaskState::kWaiting) continue;
    if (reduced.done.contains(inputs_of(reduced, input, p))) continue;
    step_tasks(job, id, {p, p}, TaskStep::kBlock, [](TaskCell&) {});
    // An input may have failed for good while the step had started without it.
    const Interval inputs = inputs_of(reduced, input, p);
    if (!has_failed(reduced, inputs)) continue;
    skip_reducers(job, input.stage, inputs);
    note_end(job);
  }
  refresh_ready(job, id);
}

void State::skip_reducers(Job& job, StageId id, Interval failed) {
  // Each level narrows by the width; a level that is already skipped ends the walk.
  while (job.stages[id].reduced_by) {
    const StageId above = *job.stages[id].reduced_by;
    Stage& stage = job.stages[above];
    const std::uint64_t width = stage.spec->reduces->width;
    const Interval hit{failed.first / width, failed.last / width};
    std::vector<Interval> blocked;
    stage.cells.for_each(hit, [&](Interval part, const TaskCell& cell) {
      if (cell.state == TaskState::kBlocked) blocked.push_back(part);
    });
    if (blocked.empty()) return;
    for (const Interval& part : blocked)
      step_tasks(job, above, part, TaskStep::kSkip,
                 [](TaskCell& cell) { cell = TaskCell::bare(cell.state); });
    id = above;
    failed = hit;
  }
}

}  // namespace leat::core
