#include "node-agent/inputs.h"

#include <dirent.h>
#include <kj/debug.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace leat::agent {
namespace {

// What a former life left there. Runs that go on have their input open.
void clear_files(const std::string& path) {
  ::mkdir(path.c_str(), 0700);
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = ::readdir(directory))
    ::unlinkat(::dirfd(directory), entry->d_name, 0);
  ::closedir(directory);
}

}  // namespace

InputStore::InputStore(PeerLinks& links, Outputs& outputs, kj::Timer& timer,
                       const std::string& directory, NodeRef self, const std::string& cluster_id)
    : directory_(directory),
      fetch_(links, outputs, timer, self, cluster_id),
      lines_(links, timer, directory),
      shared_(links, timer, directory),
      tasks_(*this) {
  clear_files(directory + "/inputs");
}

void InputStore::taskFailed(kj::Exception&& exception) {
  // Nothing in here rejects but by a mistake of ours.
  kj::throwFatalException(kj::mv(exception));
}

void InputStore::set_parts(const RunId& run, TaskInputs parts) {
  parts_[run] = std::move(parts);
}

void InputStore::prefetch(const StartSet& stage, const std::vector<LineTask>& tasks) {
  std::vector<LineTask> lines;
  for (const LineTask& task : tasks) {
    const auto [entry, is_new] = entries_.try_emplace(task.run);
    if (!is_new) continue;
    if (stage.spec->inputs.kind == Inputs::Kind::kLines) {
      lines.push_back(task);
    } else {
      fetches_waiting_.push_back(task.run);
    }
  }
  next_fetch();
  if (lines.empty()) return;
  const bool to_file = stage.spec->inputs.use != Inputs::Use::kFile;
  const auto on_lines = [this, to_file](const RunId& run, const Result<Done>& done,
                                        const std::string* line) {
    if (!done.ok()) return complete(run, done.refusal());
    PreparedInput input{to_file ? input_path(directory_, run) : std::string(), std::nullopt};
    if (line != nullptr) input.text = *line;
    complete(run, std::move(input));
  };
  tasks_.add(
      lines_.fetch(stage.runs.stage, stage.spec, stage.read_ticket(), std::move(lines), on_lines));
}

void InputStore::next_fetch() {
  while (fetches_ < kFetchesMax && !fetches_waiting_.empty()) {
    const RunId run = fetches_waiting_.front();
    fetches_waiting_.erase(fetches_waiting_.begin());
    if (!entries_.contains(run)) continue;  // dropped meanwhile
    const auto parts = parts_.find(run);
    if (parts == parts_.end()) {
      complete(run, invalid("the head has not said where the input of a reduce step is"));
      continue;
    }
    ++fetches_;
    tasks_.add(fetch_parts(run, parts->second));
  }
}

kj::Promise<void> InputStore::fetch_parts(RunId run, TaskInputs parts) {
  const std::string path = input_path(directory_, run);
  Result<InputFile> made = InputFile::create(path);
  kj::Promise<Result<Done>> done = Result<Done>(Done{});
  kj::Own<InputFile> file;
  if (made.ok()) {
    file = kj::heap<InputFile>(std::move(made).value());
    done = fetch_.fetch(std::move(parts), *file);
  } else {
    done = Result<Done>(made.refusal());
  }
  return done.then([this, run, path, file = kj::mv(file)](const Result<Done>& result) mutable {
    --fetches_;
    if (result.ok()) {
      file->keep();
      complete(run, PreparedInput{path, std::nullopt});
    } else {
      complete(run, result.refusal());
    }
    next_fetch();
  });
}

void InputStore::complete(const RunId& run, Result<PreparedInput> outcome) {
  const auto entry = entries_.find(run);
  if (entry == entries_.end()) {
    ::unlink(input_path(directory_, run).c_str());  // nobody wants it any more
    return;
  }
  if (entry->second.waiting.get() != nullptr)
    entry->second.waiting->fulfill(std::move(outcome));
  else
    entry->second.outcome.emplace(std::move(outcome));
}

kj::Promise<Result<PreparedInput>> InputStore::take(const StartSet& stage, const LineTask& task) {
  const Inputs& inputs = stage.spec->inputs;
  kj::Promise<Result<PreparedInput>> own = inputs.kind == Inputs::Kind::kNone
                                               ? Result<PreparedInput>(PreparedInput{})
                                               : take_own(stage, task);
  if (!inputs.standard_input) return own;
  return own.then([this, stage](Result<PreparedInput> input) -> kj::Promise<Result<PreparedInput>> {
    if (!input.ok()) return input;
    return shared_.get(stage).then(
        [input](Result<std::string> path) mutable -> Result<PreparedInput> {
          if (!path.ok()) return path.refusal();
          PreparedInput whole = std::move(input).value();
          whole.path = std::move(path).value();
          return whole;
        });
  });
}

kj::Promise<Result<PreparedInput>> InputStore::take_own(const StartSet& stage,
                                                        const LineTask& task) {
  prefetch(stage, {task});
  Entry& entry = entries_.at(task.run);
  if (entry.outcome) return std::move(*entry.outcome);
  auto paf = kj::newPromiseAndFulfiller<Result<PreparedInput>>();
  entry.waiting = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

void InputStore::drop(const RunId& run) {
  parts_.erase(run);
  if (entries_.erase(run) != 0) ::unlink(input_path(directory_, run).c_str());
}

void InputStore::drop_all(const RunSet& runs) {
  const auto next_of = [&runs](auto& map, Index index) {
    const auto at = map.lower_bound(run_id(runs.stage, runs.attempt, index));
    const bool is_ours =
        at != map.end() && stage_of(at->first) == runs.stage && at->first.attempt == runs.attempt;
    return is_ours ? std::optional<Index>(at->first.index) : std::nullopt;
  };
  // Few of a large set have been prepared: look at those only.
  for (std::optional<Index> i = next_of(parts_, 0); i; i = next_of(parts_, *i + 1))
    if (runs.indices.position_of(*i)) drop(run_id(runs.stage, runs.attempt, *i));
  for (std::optional<Index> i = next_of(entries_, 0); i; i = next_of(entries_, *i + 1))
    if (runs.indices.position_of(*i)) drop(run_id(runs.stage, runs.attempt, *i));
}

void InputStore::forget(JobId job) {
  lines_.forget(job);
  shared_.forget(job);
  std::erase_if(parts_, [job](const auto& entry) { return entry.first.job == job; });
}

}  // namespace leat::agent
