#pragma once

// head.h - all parts of the head, put together.

#include <kj/async-io.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "scheduler/engine/engine_loop.h"
#include "scheduler/engine/log.h"
#include "scheduler/engine/tickets.h"
#include "scheduler/home.h"
#include "transport/token.h"

namespace leat::scheduler {

struct HeadOptions {
  std::string home;  // absolute
  // Numeric address of all ports, without a port; empty: that of the earlier life, else loopback.
  std::string bind;
  bool mock_agents = false;  // nodes that answer without processes, for benchmarks
  std::string version;
  std::string host_name;
};

// The instruments that only main.cc may touch.
struct Instruments {
  std::function<std::int64_t()> wall_us;  // since 1970
  std::function<Duration()> monotonic;    // goes on while the machine is suspended
  std::function<transport::Secret()> new_secret;
  Random random;
  engine::Log log;
};

// Owns everything, in the order in which it is built. Thread: the loop of `io`.
class Head {
 public:
  Head(HeadOptions options, Instruments instruments, kj::AsyncIoContext& io);
  ~Head() noexcept(false);
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  // Locks the home, opens and recovers the store, makes keys at the first start. Blocks.
  Result<Done> open();

  // Starts the head's new life and opens its ports. Afterwards users and agents can come.
  kj::Promise<Result<Done>> start();

  // Resolves when somebody has asked the head to stop and it has; rejects when it cannot go on.
  kj::Promise<void> run();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace leat::scheduler
