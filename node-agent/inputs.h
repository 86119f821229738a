#pragma once

// inputs.h - what runs are given to work on, made ready before their turn comes.

#include <kj/async.h>
#include <kj/timer.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node-agent/data_fetch.h"
#include "node-agent/line_source.h"
#include "node-agent/messages.h"
#include "node-agent/shared_input.h"

namespace leat::agent {

// Runs of a stage whose input is prepared ahead of their start.
inline constexpr std::size_t kPrefetch = 64;
// Inputs of reduce steps that are fetched at once.
inline constexpr std::size_t kFetchesMax = 8;

struct PreparedInput {
  std::string path;                 // empty: nothing to read
  std::optional<std::string> text;  // of a task with one line
};

// Owns the files under DIR/inputs. Borrows links, outputs and timer. Thread: the loop's.
class InputStore final : private kj::TaskSet::ErrorHandler {
 public:
  InputStore(PeerLinks& links, Outputs& outputs, kj::Timer& timer, const std::string& directory,
             NodeRef self, const std::string& cluster_id);

  void set_store(StoreAddress store) {
    shared_.set_store(store);
    lines_.set_store(std::move(store));
  }

  // Where the parts of a reduce step's input are; the newest word counts.
  void set_parts(const RunId& run, TaskInputs parts);

  // Prepares the inputs of these tasks of one stage, in order of position; what is there or under
  // way already is left alone.
  void prefetch(const StartSet& stage, const std::vector<LineTask>& tasks);
  // Whether a run's input is there, or under way.
  bool has(const RunId& run) const { return entries_.contains(run); }

  // The input of a run that is to start now. Refused if it cannot be had. Never rejects; the
  // promise must be dropped before drop(run).
  kj::Promise<Result<PreparedInput>> take(const StartSet& stage, const LineTask& task);

  // The run is over, or will never start: its file goes.
  void drop(const RunId& run);
  void drop_all(const RunSet& runs);
  void forget(JobId job);

 private:
  struct Entry {
    std::optional<Result<PreparedInput>> outcome;
    kj::Own<kj::PromiseFulfiller<Result<PreparedInput>>> waiting;  // null unless somebody waits
  };

  kj::Promise<Result<PreparedInput>> take_own(const StartSet& stage, const LineTask& task);
  void complete(const RunId& run, Result<PreparedInput> outcome);
  void next_fetch();
  kj::Promise<void> fetch_parts(RunId run, TaskInputs parts);
  void taskFailed(kj::Exception&& exception) override;

  std::string directory_;
  DataFetch fetch_;
  LineSource lines_;
  SharedInputs shared_;
  std::map<RunId, TaskInputs> parts_;
  std::map<RunId, Entry> entries_;
  std::vector<RunId> fetches_waiting_;
  std::size_t fetches_ = 0;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes
};

}  // namespace leat::agent
