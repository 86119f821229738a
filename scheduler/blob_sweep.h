#pragma once

// blob_sweep.h - tells leat-store now and then which inputs jobs still need; the others go. Asks
// it whether those of a job are there.

#include <kj/async-io.h>
#include <kj/timer.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/state.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/log.h"
#include "transport/session.h"

namespace leat::scheduler {

// Between two rounds, and before the first.
inline constexpr kj::Duration kSweepInterval = 10 * kj::MINUTES;
// An input goes when no job has needed it, and nobody has uploaded or asked for it, for so long:
// whoever submits uploads first, and who looks at a failed job may want to run it again.
inline constexpr std::uint64_t kInputsKeptS = 24 * 3600;
// Jobs looked at in one turn of the loop.
inline constexpr std::size_t kJobsPerTurn = 256;
// Hashes in one call.
inline constexpr std::size_t kHashesPerCall = 8192;
inline constexpr kj::Duration kSweepDeadline = 60 * kj::SECONDS;
inline constexpr kj::Duration kAskDeadline = 10 * kj::SECONDS;

// The hashes of the blobs that the stages of `spec` read.
std::vector<core::Hash> inputs_of(const core::JobSpec& spec);

struct SweepServices {
  engine::Engine& engine;
  kj::Timer& timer;
  // To leat-store, wherever it is now.
  std::function<kj::Promise<kj::Own<kj::AsyncIoStream>>()> connect;
  std::function<std::string()> ticket;  // by which the head may ask there
  engine::Log log;
};

// A round that fails is forgotten: the next one says everything again, and nothing has gone.
//
// Borrows all. Thread: engine loop.
class BlobSweep final : private kj::TaskSet::ErrorHandler {
 public:
  explicit BlobSweep(SweepServices services);
  ~BlobSweep() noexcept(false);

  // One round, now. Resolves with how many blobs went.
  kj::Promise<std::uint64_t> sweep();

  // Whether all inputs of the job are there; what has been asked for stays for kInputsKeptS.
  // Refused with kOverloaded if leat-store does not answer. Never rejects.
  kj::Promise<Result<bool>> has_inputs(const core::JobSpec& spec);

 private:
  struct Round;
  struct Question;

  kj::Promise<void> sweep_for_ever();
  kj::Promise<void> collect(const std::shared_ptr<Round>& round);
  kj::Promise<std::uint64_t> send(const std::shared_ptr<Round>& round);
  kj::Promise<std::uint64_t> send_some(const std::shared_ptr<Round>& round);
  kj::Promise<Result<bool>> ask_next(const std::shared_ptr<Question>& question);
  void taskFailed(kj::Exception&& exception) override;

  SweepServices services_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes
};

}  // namespace leat::scheduler
