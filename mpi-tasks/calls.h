#pragma once

// calls.h - what ranks ask of other nodes: on its way to the hub, and its answer.

#include <kj/async.h>
#include <kj/timer.h>

#include <functional>
#include <map>
#include <string>

#include "base/time.h"
#include "mpi-tasks/collectives.h"
#include "mpi-tasks/message.h"
#include "mpi-tasks/pmix_server.h"

namespace leat::mpi {

// Remembers who waits for what and answers each exactly once: with what came, or that it took too
// long. Borrows timer and server. Thread: the loop's.
class Calls final : private kj::TaskSet::ErrorHandler {
 public:
  struct Limits {
    Duration fence{};  // zero: none
    Duration modex{};  // zero: none
  };
  using Send = std::function<void(Message)>;
  // A fence took longer than the gang allows.
  using OnStuck = std::function<void(std::string cause)>;

  Calls(kj::Timer& timer, PmixServer& server, Limits limits, Send send, OnStuck on_stuck);
  ~Calls() noexcept(false);

  // kGather, kModexAsk, kModexData, kPublish, kLookup, kUnpublish.
  void take(Upcall upcall);
  // kCollected, kModexAsk, kModexTell, kAnswer, kFound.
  void take(Message message);

 private:
  void gather(Upcall upcall);
  void ask_modex(Upcall upcall);
  void name_call(Upcall upcall);
  void after(Duration limit, std::function<void()> then);
  // Takes a waiting call out; an empty one if it has been answered.
  Upcall taken(std::uint64_t id);
  void taskFailed(kj::Exception&& exception) override;

  kj::Timer& timer_;
  PmixServer& server_;
  const Limits limits_;
  Send send_;
  OnStuck on_stuck_;
  GatheringCounter counter_;
  std::map<GatheringKey, Upcall> gathering_;
  std::map<std::uint64_t, Upcall> waiting_;
  std::uint64_t next_id_ = 1;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::mpi
