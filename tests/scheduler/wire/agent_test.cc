// What agents find at the head's door, over a pipe.

#include <gtest/gtest.h>
#include <kj/debug.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "scheduler/store/value_codec.h"
#include "scheduler/wire/convert.h"
#include "tests/scheduler/wire/wire_head.h"
#include "transport/authority.h"

#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace leat::wire {
namespace {

// An agent that takes everything.
class QuietAgent final : public schema::Agent::Server {
 public:
  explicit QuietAgent(std::uint64_t& runs) : runs_(runs) {}
  kj::Promise<void> start(StartContext context) override {
    for (const auto set : context.getParams().getBatch().getSets())
      runs_ += store::read_run_set(set.getRuns()).value().indices.size();
    return kj::READY_NOW;
  }
  kj::Promise<void> end(EndContext) override { return kj::READY_NOW; }
  kj::Promise<void> release(ReleaseContext) override { return kj::READY_NOW; }
  kj::Promise<void> ping(PingContext) override { return kj::READY_NOW; }

 private:
  std::uint64_t& runs_;
};

struct Cluster {
  NodeRef node() {
    if (!pool) pool = wire.head.pool(10);
    return wire.head.request_node(pool);
  }

  auto join_request(schema::AgentGate::Client& gate, NodeRef node) {
    auto request = gate.joinRequest();
    auto hello = request.initHello();
    hello.setVersion(schema::PROTOCOL_VERSION);
    store::write_node_ref(node, hello.initNode());
    store::write_resources({4000, std::uint64_t{8} << 30, 0}, hello.initCapacity());
    hello.setHostName("host");
    hello.setDataAddress("127.0.0.1:4001");
    hello.setAgentPid(7);
    hello.setWardenPid(8);
    request.setAgent(kj::heap<QuietAgent>(runs));
    return request;
  }

  schema::HeadSession::Client join(NodeRef node) {
    auto gate = wire.gate(node);
    auto answer = wire.call(join_request(gate, node));
    EXPECT_TRUE(answer.isWelcome());
    return answer.getWelcome().getHead();
  }

  auto report_request(schema::HeadSession::Client& head, JobId job, Stride which) {
    auto request = head.reportRequest();
    auto ended = request.initBatch().initEnded(1);
    store::write_run_set({{job, 0}, 1, IndexList(which)}, ended[0].initRuns());
    store::write_columns({}, ended[0].initColumns());
    return request;
  }

  std::uint64_t runs = 0;
  PoolId pool;
  WireHead wire;
};

TEST(AgentDoor, WelcomesTheNodeThatItsCertificateNames) {
  Cluster cluster;
  const NodeRef node = cluster.node();
  auto gate = cluster.wire.gate(node);
  auto answer = cluster.wire.call(cluster.join_request(gate, node));
  ASSERT_TRUE(answer.isWelcome());
  const auto welcome = answer.getWelcome();
  EXPECT_EQ(welcome.getHeadEpoch(), 1u);
  EXPECT_EQ(welcome.getSession(), 1u);
  EXPECT_EQ(welcome.getTicketKey().size(), 32u);
  EXPECT_EQ(std::string(welcome.getPool().cStr()), "local");
  EXPECT_EQ(std::string(welcome.getStoreAddress().cStr()), "127.0.0.1:7");
  cluster.wire.head.submit(4);
  EXPECT_EQ(cluster.runs, 4u);
}

TEST(AgentDoor, SaysOnceWhichNodeHasAnotherOpenMpi) {
  Cluster cluster;
  const NodeRef first = cluster.node();
  const NodeRef second = cluster.node();
  const auto join_with = [&cluster](NodeRef node, const char* label) {
    auto gate = cluster.wire.gate(node);
    auto request = cluster.join_request(gate, node);
    request.getHello().initLabels(1).set(0, label);
    EXPECT_TRUE(cluster.wire.call(std::move(request)).isWelcome());
  };
  const auto told = [&cluster] {
    const std::vector<std::string>& said = cluster.wire.said;
    return std::count_if(said.begin(), said.end(), [](const std::string& line) {
      return line ==
             "node 2 has Open MPI 50.0.1; in pool \"local\" node 1 has 40.30.4: the ranks of one "
             "program run on nodes of one version";
    });
  };
  join_with(first, "leat:mpi=40.30.4");
  EXPECT_EQ(told(), 0);
  join_with(second, "leat:mpi=50.0.1");
  EXPECT_EQ(told(), 1);
  join_with(second, "leat:mpi=50.0.1");
  EXPECT_EQ(told(), 1) << "it is no news";
}

TEST(AgentDoor, LetsANodeInAgainThatIsBeingDeleted) {
  Cluster cluster;
  const NodeRef node = cluster.node();
  const NodeRef never = cluster.node();
  auto gate = cluster.wire.gate(node);
  ASSERT_TRUE(cluster.wire.call(cluster.join_request(gate, node)).isWelcome());
  for (const NodeRef ref : {node, never})
    ASSERT_TRUE(
        cluster.wire.head.ask(core::RemoveNode{std::to_string(ref.id.value), {}, ref.id}).ok());
  ASSERT_TRUE(cluster.wire.head.ask(core::Tick{}).ok());
  const core::State& state = cluster.wire.head.engine.state();
  ASSERT_EQ(state.node(node)->state, core::NodeState::kDeleting);
  auto again = cluster.wire.gate(node);
  const auto early = cluster.wire.call(cluster.join_request(again, node));
  EXPECT_EQ(early.getRefusal().getReason(), schema::Refusal::Reason::OVERLOADED);
  cluster.wire.clients.front() = nullptr;
  cluster.wire.head.settle();
  const auto welcome = cluster.wire.call(cluster.join_request(again, node));
  ASSERT_TRUE(welcome.isWelcome());
  EXPECT_EQ(welcome.getWelcome().getSession(), 1u);
  EXPECT_EQ(state.node(node)->session, 1u);
  EXPECT_TRUE(cluster.wire.links.find(node)->connected());
  // Who has never been here has nothing to bring.
  auto stranger = cluster.wire.gate(never);
  EXPECT_EQ(cluster.wire.call(cluster.join_request(stranger, never)).getRefusal().getReason(),
            schema::Refusal::Reason::CONFLICT);
}

TEST(AgentDoor, TurnsAwayOtherNamesVersionsAndKinds) {
  Cluster cluster;
  const NodeRef node = cluster.node();
  const NodeRef other = cluster.node();
  auto gate = cluster.wire.gate(node);
  EXPECT_TRUE(cluster.wire.call(cluster.join_request(gate, other)).isRefusal());
  auto request = cluster.join_request(gate, node);
  request.getHello().setVersion(99);
  EXPECT_EQ(cluster.wire.call(kj::mv(request)).getRefusal().getReason(),
            schema::Refusal::Reason::NOT_IN_THIS_VERSION);
  auto old_life = cluster.wire.gate(NodeRef{node.id, NodeEpoch{999}});
  EXPECT_TRUE(
      cluster.wire.call(cluster.join_request(old_life, {node.id, NodeEpoch{999}})).isRefusal());
  auto user = cluster.wire.gate({transport::Peer::Kind::kUser, {}, 0});
  auto promise = cluster.join_request(user, node).send();
  cluster.wire.head.settle();
  EXPECT_THROW(promise.wait(cluster.wire.head.scope), kj::Exception);
  EXPECT_EQ(cluster.wire.head.engine.state().node(node)->session, 0u);
}

TEST(AgentDoor, AcknowledgesAReportOnlyWhenItIsOnDisk) {
  Cluster cluster;
  const NodeRef node = cluster.node();
  auto head = cluster.join(node);
  const JobId job = cluster.wire.head.submit(4);
  cluster.wire.head.store.at_once = false;
  auto promise = cluster.report_request(head, job, {0, 2, 1}).send();
  cluster.wire.head.settle();
  ASSERT_EQ(cluster.wire.head.store.waiting(), 1u);
  EXPECT_FALSE(promise.poll(cluster.wire.head.scope));
  cluster.wire.head.store.answer();
  EXPECT_TRUE(promise.poll(cluster.wire.head.scope));
  // Said again after a lost answer, it changes nothing.
  cluster.wire.head.store.at_once = true;
  const std::uint64_t digest = cluster.wire.head.engine.state().digest();
  cluster.wire.call(cluster.report_request(head, job, {0, 2, 1}));
  EXPECT_EQ(cluster.wire.head.engine.state().digest(), digest);
}

TEST(AgentDoor, DoesNotTakeReportsOfAnOlderSession) {
  Cluster cluster;
  const NodeRef node = cluster.node();
  auto old = cluster.join(node);
  const JobId job = cluster.wire.head.submit(4);
  auto fresh = cluster.join(node);
  auto promise = cluster.report_request(old, job, {0, 2, 1}).send();
  cluster.wire.head.settle();
  EXPECT_THROW(promise.wait(cluster.wire.head.scope), kj::Exception);
  cluster.wire.call(cluster.report_request(fresh, job, {0, 2, 1}));
  // The old connection has been closed for it.
  EXPECT_EQ(cluster.wire.agents.sessions(), 1u);
}

TEST(AgentDoor, RefusesReportsThatMakeNoSense) {
  Cluster cluster;
  const NodeRef node = cluster.node();
  auto head = cluster.join(node);
  const JobId job = cluster.wire.head.submit(4);
  const std::uint64_t digest = cluster.wire.head.engine.state().digest();
  auto too_many = cluster.report_request(head, job, {0, kReportedRunsMax + 1, 1}).send();
  auto columns = cluster.report_request(head, job, {0, 2, 1});
  columns.getBatch().getEnded()[0].getColumns().initCode(3);
  auto wrong_columns = columns.send();
  cluster.wire.head.settle();
  EXPECT_THROW(too_many.wait(cluster.wire.head.scope), kj::Exception);
  EXPECT_THROW(wrong_columns.wait(cluster.wire.head.scope), kj::Exception);
  // Of a job that nobody knows, it is merely stale.
  cluster.wire.call(cluster.report_request(head, JobId{77}, {0, 2, 1}));
  EXPECT_EQ(cluster.wire.head.engine.state().digest(), digest);
}

TEST(AgentDoor, ShowsUsersWhatRunningTasksTell) {
  Cluster cluster;
  const NodeRef node = cluster.node();
  auto head = cluster.join(node);
  const JobId job = cluster.wire.head.submit(4);
  const std::uint64_t digest = cluster.wire.head.engine.state().digest();
  auto request = head.progressRequest();
  auto told = request.initTasks(4);
  for (unsigned n = 0; n < told.size(); ++n) {
    told[n].initRun().setJob(job.value);
    told[n].getRun().setIndex(n);
    told[n].getRun().setAttempt(n == 3 ? 2 : 1);  // of the last there is no such run
    told[n].setPermille(n == 2 ? 60'000 : 420);
    told[n].setMessage(n == 1 ? "\xff" : "solving");
  }
  cluster.wire.call(request);
  auto user = cluster.wire.user();
  const auto ask = [&user, job] {
    auto question = user.jobRequest();
    question.setJob(job.value);
    return question;
  };
  {
    const auto answer = cluster.wire.call(ask());
    const auto progress = answer.getJob().getProgress();
    ASSERT_EQ(progress.size(), 3u);
    EXPECT_EQ(progress[0].getRun().getIndex(), 2u);
    EXPECT_EQ(progress[0].getPermille(), 1000);
    EXPECT_EQ(progress[1].getMessage().size(), 0u);  // no text
    EXPECT_EQ(progress[2].getRun().getJob(), job.value);
    EXPECT_EQ(progress[2].getRun().getAttempt(), 1u);
    EXPECT_EQ(progress[2].getPermille(), 420);
    EXPECT_STREQ(progress[2].getMessage().cStr(), "solving");
  }
  auto watch = user.watchRequest();
  watch.setJob(job.value);
  EXPECT_EQ(cluster.wire.call(watch).getChange().getJob().getProgress().size(), 3u);
  EXPECT_EQ(cluster.wire.head.engine.state().digest(), digest);
  cluster.wire.call(cluster.report_request(head, job, {0, 4, 1}));
  EXPECT_EQ(cluster.wire.board.size(), 0u);
  EXPECT_EQ(cluster.wire.call(ask()).getJob().getProgress().size(), 0u);
}

TEST(AgentDoor, NoticesThatAConnectionIsGone) {
  Cluster cluster;
  const NodeRef node = cluster.node();
  auto head = cluster.join(node);
  EXPECT_TRUE(cluster.wire.links.find(node)->connected());
  cluster.wire.clients.clear();
  cluster.wire.head.settle();
  EXPECT_FALSE(cluster.wire.links.find(node)->connected());
  EXPECT_EQ(cluster.wire.agents.sessions(), 0u);
  EXPECT_GT(cluster.wire.agents.bytes_in(), 0u);
  cluster.wire.pass(engine::kRejoinDeadline);
  EXPECT_EQ(cluster.wire.head.engine.state().node(node)->state, core::NodeState::kLost);
}

TEST(AgentDoor, ClosesConnectionsThatDoNotJoinAndLimitsThemPerNode) {
  Cluster cluster;
  const NodeRef node = cluster.node();
  std::vector<schema::AgentGate::Client> gates;
  for (std::size_t n = 0; n < AgentDoor::kSessionsPerNode + 3; ++n)
    gates.push_back(cluster.wire.gate(node));
  cluster.wire.head.settle();
  EXPECT_EQ(cluster.wire.agents.sessions(), AgentDoor::kSessionsPerNode);
  cluster.wire.pass(AgentDoor::kJoinDeadline);
  EXPECT_EQ(cluster.wire.agents.sessions(), 0u);
}

TEST(EnrolmentDesk, SpendsATokenOnOneRequestOnly) {
  WireHead wire;
  const auto authority = transport::ClusterAuthority::create(
      wire.directory.path + "/ca", transport::new_cluster_id(), kWallSeconds);
  ASSERT_TRUE(authority.ok());
  EnrolmentDesk desk(
      wire.head.engine, authority.value(), [] { return kWallSeconds; }, [](std::string_view) {});
  const PoolId pool = wire.head.pool(1);
  transport::Secret secret{};
  secret[3] = std::byte{9};
  const transport::Hash hash = transport::token_hash(secret);
  core::Hash token{};
  std::memcpy(token.data(), hash.data(), token.size());
  const Time expires = wire.head.now + std::chrono::minutes(15);
  const auto node =
      std::get<NodeRef>(wire.head.ask(core::RequestNode{pool, token, expires}).value());

  const auto enrol = [&](std::span<const std::byte> with, std::span<const std::byte> request) {
    auto answer = desk.enrol(with, request);
    wire.head.settle();
    return answer.wait(wire.head.scope);
  };
  const auto state = [&] { return wire.head.engine.state().node(node)->state; };
  const transport::KeyAndRequest mine = transport::make_key_and_request();
  const transport::KeyAndRequest theirs = transport::make_key_and_request();

  transport::Secret wrong = secret;
  wrong[0] ^= std::byte{1};
  EXPECT_FALSE(enrol(wrong, mine.request_der).ok());
  const transport::Bytes garbage(100, std::byte{7});
  EXPECT_FALSE(enrol(secret, garbage).ok());
  EXPECT_EQ(state(), core::NodeState::kRequested);  // neither has cost the token

  const Result<std::string> first = enrol(secret, mine.request_der);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(state(), core::NodeState::kEnrolled);
  // The answer was lost on the way.
  EXPECT_EQ(enrol(secret, mine.request_der).value(), first.value());
  EXPECT_FALSE(enrol(secret, theirs.request_der).ok());
}

TEST(EnrolmentDesk, RefusesATokenThatHasExpired) {
  WireHead wire;
  const auto authority = transport::ClusterAuthority::create(
      wire.directory.path + "/ca", transport::new_cluster_id(), kWallSeconds);
  ASSERT_TRUE(authority.ok());
  EnrolmentDesk desk(
      wire.head.engine, authority.value(), [] { return kWallSeconds; }, [](std::string_view) {});
  transport::Secret secret{};
  const transport::Hash hash = transport::token_hash(secret);
  core::Hash token{};
  std::memcpy(token.data(), hash.data(), token.size());
  ASSERT_TRUE(
      wire.head.ask(core::RequestNode{wire.head.pool(1), token, wire.head.now + Duration(10)})
          .ok());
  wire.head.now = wire.head.now + Duration(11);
  auto answer = desk.enrol(secret, transport::make_key_and_request().request_der);
  wire.head.settle();
  EXPECT_FALSE(answer.wait(wire.head.scope).ok());
}

}  // namespace
}  // namespace leat::wire
