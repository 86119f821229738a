// A real agent whose reader asks for much and takes nothing.
#include <gtest/gtest.h>
#include <kj/compat/tls.h>

#include <ctime>
#include <string>
#include <vector>

#include "tests/node-agent/agent_world.h"
#include "transport/tls.h"

namespace leat::agent {
namespace {

using transport::Peer;

constexpr JobId kJob{17};
const Peer kUser{Peer::Kind::kUser, {}, 7};

RunId run(Index index) {
  return run_id({kJob, 0}, 1, index);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// A stream from which nothing is read once `deaf` is set.
class DeafStream final : public kj::AsyncIoStream {
 public:
  DeafStream(kj::Own<kj::AsyncIoStream> inner, const bool& deaf)
      : inner_(kj::mv(inner)), deaf_(deaf) {}

  kj::Promise<std::size_t> tryRead(void* buffer, std::size_t min, std::size_t max) override {
    if (deaf_) return kj::NEVER_DONE;
    return inner_->tryRead(buffer, min, max);
  }
  kj::Promise<void> write(const void* buffer, std::size_t size) override {
    return inner_->write(buffer, size);
  }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override {
    return inner_->write(pieces);
  }
  kj::Promise<void> whenWriteDisconnected() override { return kj::NEVER_DONE; }
  void shutdownWrite() override { inner_->shutdownWrite(); }

 private:
  kj::Own<kj::AsyncIoStream> inner_;
  const bool& deaf_;
};

#pragma GCC diagnostic pop

// 300 MiB are asked for at once, and nobody takes the answers.
TEST(SlowReader, IsAnsweredNoFasterThanItReads) {
  AgentWorld world;
  world.give_credentials();
  world.start_agent();
  world.wait_for_join();
  world.start(world.stage_set(kJob, {"/bin/sh", "-c", "head -c 8000000 /dev/zero"}, "0"));
  world.wait_until([&world]() { return world.reported.size() == 1; });
  kj::Timer& timer = world.io.provider->getTimer();
  auto context = transport::make_context(world.authority.issue(kUser, std::time(nullptr)), timer);
  bool deaf = false;
  transport::Session reader(
      kj::heap<DeafStream>(
          transport::connect_tls(
              world.io.provider->getNetwork(), timer, world.data_address, *context,
              transport::agent_server_name(world.node, world.authority.cluster_id()))
              .wait(world.io.waitScope),
          deaf),
      transport::Session::Side::kConnected, nullptr, transport::kDataLimits);
  const std::string reading = world.ticket(kJob, "user:7");
  auto server = reader.peer().castAs<schema::DataServer>();
  const auto ask = [&](std::uint64_t mebibyte) {
    auto request = server.readRequest();
    request.setTicket(kj::arrayPtr(reading.data(), reading.size()).asBytes());
    write_run_id(run(0), request.initRun());
    request.setOffset(mebibyte << 20);
    request.setLength(1 << 20);
    return request.send();
  };
  EXPECT_EQ(ask(0).wait(world.io.waitScope).getBytes().getData().size(), 1u << 20);
  const std::uint64_t before = world.agent_kib("VmRSS:");
  deaf = true;
  std::vector<kj::Promise<void>> calls;
  for (std::uint64_t i = 0; i < 300; ++i)
    calls.push_back(ask(i % 7).ignoreResult().eagerlyEvaluate(nullptr));
  // Others are served meanwhile; so the agent has had turns enough to answer what it would.
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(world.read(kUser, reading, run(0), 7'999'990).data.size(), 10u);
  EXPECT_LT(world.agent_kib("VmHWM:"), before + 100 * 1024);
}

}  // namespace
}  // namespace leat::agent
