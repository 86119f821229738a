#pragma once

// shared_input.h - the standard input that all tasks of a stage read: fetched once, kept as one
// file.

#include <kj/async.h>
#include <kj/timer.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "node-agent/input_file.h"
#include "node-agent/line_source.h"
#include "node-agent/messages.h"
#include "node-agent/peer_links.h"

namespace leat::agent {

// Owns the files DIR/inputs/JOB.STAGE.stdin. Borrows links and timer. Thread: the loop's.
class SharedInputs final : private kj::TaskSet::ErrorHandler {
 public:
  SharedInputs(PeerLinks& links, kj::Timer& timer, std::string node_directory)
      : links_(links), timer_(timer), directory_(std::move(node_directory)), tasks_(*this) {}

  void set_store(StoreAddress store) { store_ = std::move(store); }

  // The file, once all of it is there. Refused if it cannot be had; asking again tries again.
  // Never rejects. Precondition: the stage has a standard input.
  kj::Promise<Result<std::string>> get(const StartSet& stage);

  // Tasks of this job that go on have the file open.
  void forget(JobId job);

 private:
  using Waiting = kj::Own<kj::PromiseFulfiller<Result<std::string>>>;
  struct Entry {
    bool is_there = false;
    std::vector<Waiting> waiting;
  };
  struct Order {
    StageRef stage;
    BlobRef blob;
    std::string ticket;
    std::unique_ptr<InputFile> file;
    int tries_left = 0;
    kj::Duration wait = 0 * kj::SECONDS;
  };

  std::string path_of(const StageRef& stage) const;
  kj::Promise<void> fetch(const std::shared_ptr<Order>& order);
  kj::Promise<Result<Done>> try_once(const std::shared_ptr<Order>& order);
  void complete(Order& order, const Result<Done>& done);
  void taskFailed(kj::Exception&& exception) override;

  PeerLinks& links_;
  kj::Timer& timer_;
  std::string directory_;
  StoreAddress store_;
  std::map<StageRef, Entry> entries_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes
};

}  // namespace leat::agent
