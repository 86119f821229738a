#include "scheduler/engine/task_board.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace leat::engine {
namespace {

bool is_there(const core::State& state, const RunId& run, NodeRef node) {
  const StageRef ref{run.job, run.stage};
  const core::Stage* stage = state.stage(ref);
  if (stage == nullptr) return false;
  const std::optional<std::uint64_t> position = stage->spec->indices.position_of(run.index);
  return position && state.is_on(ref, *position, run.attempt, node);
}

}  // namespace

void TaskBoard::take(const core::State& state, NodeRef node, TaskWord word) {
  if (!is_there(state, word.run, node)) return;
  const RunId run = word.run;
  auto& words = jobs_[run.job];
  if (const auto known = words.find(run); known != words.end()) {
    oldest_first_.erase(known->second);
    words.erase(known);
  }
  oldest_first_.push_back({std::move(word), node, ++next_});
  words[run] = std::prev(oldest_first_.end());
  if (words.size() > kPerJob) {
    const auto oldest = std::min_element(words.begin(), words.end(), [](auto& a, auto& b) {
      return a.second->number < b.second->number;
    });
    erase(oldest->second);
  }
  if (oldest_first_.size() > kAll) erase(oldest_first_.begin());
}

std::vector<TaskWord> TaskBoard::of(const core::State& state, JobId job) const {
  std::vector<Entries::const_iterator> found;
  if (const auto words = jobs_.find(job); words != jobs_.end())
    for (const auto& [run, entry] : words->second)
      if (is_there(state, run, entry->node)) found.emplace_back(entry);
  std::sort(found.begin(), found.end(), [](auto a, auto b) { return a->number > b->number; });
  std::vector<TaskWord> told;
  told.reserve(found.size());
  for (const auto entry : found) told.push_back(entry->word);
  return told;
}

void TaskBoard::forget(JobId job) {
  const auto words = jobs_.find(job);
  if (words == jobs_.end()) return;
  for (const auto& [run, entry] : words->second) oldest_first_.erase(entry);
  jobs_.erase(words);
}

void TaskBoard::erase(Entries::iterator entry) {
  const auto words = jobs_.find(entry->word.run.job);
  words->second.erase(entry->word.run);
  if (words->second.empty()) jobs_.erase(words);
  oldest_first_.erase(entry);
}

}  // namespace leat::engine
