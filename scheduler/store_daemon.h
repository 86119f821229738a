#pragma once

// store_daemon.h - keeps leat-store running beside the head.

#include <kj/async-unix.h>
#include <kj/timer.h>

#include <memory>
#include <string>

#include "base/random.h"
#include "pools/process.h"
#include "scheduler/engine/log.h"
#include "scheduler/home.h"
#include "scheduler/wire/services.h"
#include "transport/liveness.h"

namespace leat::scheduler {

// leat-store outlives the head: a new head takes over the one that HOME/store.pid names, and
// starts one if there is none. One that dies is started again, with back-off.
//
// Borrows port and timer. Thread: engine loop.
class StoreDaemon final : private kj::TaskSet::ErrorHandler {
 public:
  static constexpr kj::Duration kReadyDeadline = 10 * kj::SECONDS;
  static constexpr kj::Duration kStopDeadline = 10 * kj::SECONDS;
  // The store tells by a file; so often we look while it starts.
  static constexpr kj::Duration kLookInterval = 10 * kj::MILLISECONDS;

  // `bind`: numeric address, without a port; a store that serves elsewhere is ended and started
  // anew.
  StoreDaemon(kj::UnixEventPort& port, kj::Timer& timer, Home home, std::string bind, Random random,
              engine::Log log);

  // Resolves when it serves; refused if it cannot be started within kReadyDeadline.
  kj::Promise<Result<Done>> start();

  // Where it is, or was: the pid is 0 while it is not up.
  const wire::BlobStore& where() const { return where_; }

  // Ends it for good.
  kj::Promise<void> stop();

 private:
  bool adopt();
  kj::Promise<Result<Done>> launch();
  kj::Promise<Result<Done>> wait_until_up(kj::TimePoint deadline);
  void follow();
  kj::Promise<void> start_again();
  kj::Promise<void> end_process();
  void taskFailed(kj::Exception&& exception) override;

  kj::UnixEventPort& port_;
  kj::Timer& timer_;
  Home home_;
  std::string bind_;
  transport::Backoff backoff_;
  engine::Log log_;
  std::string boot_id_;
  wire::BlobStore where_;
  bool stopping_ = false;
  std::unique_ptr<pools::Process> process_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::scheduler
