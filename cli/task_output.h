#pragma once

// task_output.h - one stream of one task, from wherever it is: its node, or leat-store.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "cli/command.h"
#include "cli/data_link.h"
#include "cli/head.h"
#include "transport/liveness.h"

namespace leat::cli {

struct OutputWanted {
  JobId job;
  StageId stage = 0;
  Index index = 0;
  bool error = false;   // standard error instead of standard output
  bool follow = false;  // wait for the start, and go on to the end
};

// Takes the next bytes, in order. May throw.
using OutputSink = std::function<void(std::string_view bytes)>;

// Reads one task after the other; connections are kept from one to the next. Borrows the shell and
// the head. One call is under way at a time and brings a mebibyte at most, so a slow sink holds up
// the sender and nothing piles up.
class TaskOutputs {
 public:
  TaskOutputs(Shell& shell, Head& head);

  enum class Found : std::uint8_t {
    kWhole,
    kCut,     // it was longer than its limit
    kNotYet,  // the task has not run; never with `follow`
  };
  // Throws Failure: kWorkFailed if the output is lost, kUsage if there is no such task,
  // kUnreachable if its node is silent for too long.
  Found read(const OutputWanted& wanted, const OutputSink& sink);

 private:
  using Answer = capnp::Response<schema::ReadResult>;
  enum class Step : std::uint8_t { kDone, kAway, kNotYet };

  Step read_once(const OutputWanted& wanted, const OutputSink& sink);
  Step read_all(const OutputWanted& wanted, const OutputSink& sink,
                schema::LocateResult::Place::Reader place);
  // Nothing if the other end went away.
  kj::Maybe<Answer> ask(const OutputWanted& wanted, schema::LocateResult::Place::Reader place,
                        std::uint32_t length);
  bool connect(schema::LocateResult::Place::Reader place);
  void wait_for_change(JobId job);
  void start_over_if_new(std::uint32_t attempt);

  Shell& shell_;
  Head& head_;
  DataLink link_;
  transport::Backoff backoff_;
  std::string connected_to_;  // empty: to nobody
  kj::Maybe<schema::DataServer::Client> agent_;
  kj::Maybe<schema::BlobServer::Client> store_;
  std::uint64_t cursor_ = 0;  // of the job that is waited for

  // Of the task in hand.
  std::uint64_t offset_ = 0;
  std::uint32_t attempt_ = 0;
  std::uint32_t node_ = 0;
  bool truncated_ = false;
};

}  // namespace leat::cli
