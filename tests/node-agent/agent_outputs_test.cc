// A real agent's spool: how long outputs stay, and outputs of many runs for a reduce elsewhere.
#include <gtest/gtest.h>
#include <kj/compat/tls.h>

#include <ctime>
#include <filesystem>
#include <string>

#include "spool/spool_index.h"
#include "tests/node-agent/agent_world.h"
#include "transport/tls.h"

namespace leat::agent {
namespace {

using transport::Peer;

constexpr JobId kJob{17};
const Peer kUser{Peer::Kind::kUser, {}, 7};

RunId run(JobId job, Index index) {
  return run_id({job, 0}, 1, index);
}

TEST(Retention, DeletesTheOldestOutputOfReleasedJobsOnly) {
  AgentWorld world;
  world.write_node_file(R"(, "spool_quota_bytes": 1000)");
  world.give_credentials();
  world.start_agent();
  world.wait_for_join();
  // The first two fill a segment each, and the slot goes on to the next.
  for (std::uint64_t job = 17; job <= 19; ++job) {
    const std::uint64_t bytes = job == 19 ? 10 : spool::kSegmentBytes;
    StartSet set = world.stage_set(
        JobId{job}, {"/bin/sh", "-c", "head -c " + std::to_string(bytes) + " /dev/zero"}, "0");
    set.claims = 1;
    world.start(set);
    world.wait_until([&]() { return world.told(run(JobId{job}, 0)) != nullptr; });
  }
  const auto has = [&world](std::uint64_t job) {
    const JobId id{job};
    return world.read(kUser, world.ticket(id, "user:7"), run(id, 0), spool::kSegmentBytes)
        .refusal.empty();
  };
  EXPECT_TRUE(has(17) && has(18) && has(19));
  auto release = world.agent->releaseRequest();
  release.setHeadEpoch(world.head_epoch.value);
  release.setJobs({18, 19});
  release.send().ignoreResult().wait(world.io.waitScope);
  // The agent looks after its files now and then, and tells nobody.
  const kj::TimePoint deadline = world.io.provider->getTimer().now() + 60 * kj::SECONDS;
  while (has(18) && world.io.provider->getTimer().now() < deadline) {
  }
  EXPECT_FALSE(has(18));
  EXPECT_TRUE(has(17)) << "a reduce may need it";
  EXPECT_TRUE(has(19)) << "the slot writes into it";
  EXPECT_FALSE(std::filesystem::exists(world.directory + "/spool/slot-0.1.out"));
  EXPECT_TRUE(std::filesystem::exists(world.directory + "/spool/slot-0.0.out"));
}

// What one agent asks of another: many outputs in one call, from any byte of any of them.
struct ReadSetTest : testing::Test {
  ReadSetTest() {
    world.give_credentials();
    world.start_agent();
    world.wait_for_join();
    world.start(world.stage_set(
        kJob, {"/bin/sh", "-c", "[ $LEAT_TASK_INDEX = 3 ] || echo out-$LEAT_TASK_INDEX"}, "0-9"));
    world.wait_until([this]() { return world.reported.size() == 10; });
    kj::Timer& timer = world.io.provider->getTimer();
    context = transport::make_context(world.authority.issue(other, std::time(nullptr)), timer);
    session = kj::heap<transport::Session>(
        transport::connect_tls(
            world.io.provider->getNetwork(), timer, world.data_address, *context,
            transport::agent_server_name(world.node, world.authority.cluster_id()))
            .wait(world.io.waitScope),
        transport::Session::Side::kConnected, nullptr, transport::kDataLimits);
  }
  ~ReadSetTest() noexcept override {}

  struct Answer {
    std::string data;
    std::uint64_t position = 0;
    std::uint64_t offset = 0;
    bool finished = false;
    std::string refusal;
  };
  Answer read(std::string_view indices, std::uint64_t position, std::uint64_t offset,
              std::uint32_t length, const std::string& ticket) {
    auto request = session->peer().castAs<schema::DataServer>().readSetRequest();
    request.setTicket(kj::arrayPtr(ticket.data(), ticket.size()).asBytes());
    write_run_set({{kJob, 0}, 1, IndexList::parse(indices).value(), 0}, request.initRuns());
    request.setPosition(position);
    request.setOffset(offset);
    request.setLength(length);
    const auto response = request.send().wait(world.io.waitScope);
    if (response.isRefusal()) return {"", 0, 0, false, response.getRefusal().getMessage().cStr()};
    const auto bytes = response.getBytes();
    const auto data = bytes.getData().asChars();
    return {std::string(data.begin(), data.size()), bytes.getPosition(), bytes.getOffset(),
            bytes.getFinished(), ""};
  }

  const Peer other{Peer::Kind::kAgent, {NodeId{4}, NodeEpoch{2}}, 0};
  AgentWorld world;
  kj::Own<kj::TlsContext> context;
  kj::Own<transport::Session> session;
};

TEST_F(ReadSetTest, GivesOutputsInOrderFromAnyPlace) {
  const std::string good = world.ticket(kJob, "agent:4:2");
  const Answer all = read("2-5", 0, 0, 1 << 20, good);
  EXPECT_EQ(all.data, "out-2\nout-4\nout-5\n") << all.refusal;
  EXPECT_TRUE(all.finished);
  std::string pieces;
  Answer piece;
  for (int calls = 0; !piece.finished && calls < 100; ++calls) {
    piece = read("2-5", piece.position, piece.offset, 4, good);
    ASSERT_EQ(piece.refusal, "");
    ASSERT_LE(piece.data.size(), 4u);
    pieces += piece.data;
  }
  EXPECT_EQ(pieces, all.data);
}

TEST_F(ReadSetTest, AsksForATicketOfItsReader) {
  EXPECT_NE(read("0", 0, 0, 10, world.ticket(kJob, "agent:5:2")).refusal, "");
  EXPECT_NE(read("0", 0, 0, 10, world.ticket(JobId{18}, "agent:4:2")).refusal, "");
  EXPECT_NE(read("0", 0, 0, 10, world.ticket(kJob, "agent:4:2", 60, {{5, 1, 1}})).refusal, "");
  EXPECT_EQ(read("5", 0, 0, 10, world.ticket(kJob, "agent:4:2", 60, {{5, 1, 1}})).data, "out-5\n");
  EXPECT_NE(read("0-10", 10, 0, 10, world.ticket(kJob, "agent:4:2")).refusal, "") << "never ran";
}

}  // namespace
}  // namespace leat::agent
