// What users ask of pools and nodes, over a pipe.

#include <gtest/gtest.h>

#include <string>

#include "tests/scheduler/wire/wire_head.h"

namespace leat::wire {
namespace {

using Refused = schema::Refusal::Reason;
using Running = schema::Farewell::Running;

struct Wishes {
  Wishes() {
    auto request = user.createPoolRequest();
    request.setKey("p");
    fill(request.initSpec(), "burst", 1, 4);
    EXPECT_TRUE(wire.call(kj::mv(request)).isDone());
  }

  static void fill(schema::PoolSpec::Builder spec, const char* name, std::uint32_t min,
                   std::uint32_t max) {
    spec.setName(name);
    spec.setProvider("local");
    spec.setMin(min);
    spec.setMax(max);
    spec.setDeclared(true);
    spec.initShape().setMillicores(1000);
    spec.getShape().setMemoryBytes(1 << 30);
  }

  const core::Pool& pool() const { return *wire.head.engine.state().pool_named("burst"); }
  NodeRef up() {
    const NodeRef node = wire.head.request_node(pool().id);
    wire.head.join(node, 1);
    return node;
  }

  template <typename Answer>
  static std::string refusal(const Answer& answer) {
    return answer.isRefusal() ? answer.getRefusal().getMessage().cStr() : "";
  }

  mutable WireHead wire;
  schema::Scheduler::Client user = wire.user();
};

TEST(PoolWishes, AChangeTouchesOnlyWhatIsGiven) {
  Wishes world;
  auto change = world.user.changePoolRequest();
  change.setKey("c");
  change.setPool("burst");
  change.initChange().setMax(9);
  change.getChange().setIdleTimeoutUs(7'000'000);
  EXPECT_TRUE(world.wire.call(kj::mv(change)).isDone());
  EXPECT_EQ(world.pool().spec.nodes, (core::PoolSize{1, 9}));
  EXPECT_EQ(world.pool().spec.idle_timeout, std::chrono::seconds(7));
  EXPECT_EQ(world.pool().spec.join_deadline, core::PoolSpec{}.join_deadline);
  EXPECT_EQ(world.wire.pools_changed, 2);

  auto wrong = world.user.changePoolRequest();
  wrong.setKey("w");
  wrong.setPool("burst");
  wrong.initChange().setMax(std::int64_t{1} << 40);
  EXPECT_EQ(world.wire.call(kj::mv(wrong)).getRefusal().getReason(), Refused::INVALID);
  auto unknown = world.user.changePoolRequest();
  unknown.setKey("u");
  unknown.setPool("none");
  unknown.initChange().setMax(2);
  EXPECT_EQ(world.wire.call(kj::mv(unknown)).getRefusal().getReason(), Refused::NOT_FOUND);
  EXPECT_EQ(world.pool().spec.nodes, (core::PoolSize{1, 9}));
}

TEST(PoolWishes, NodesAreDrainedResumedAndRemoved) {
  Wishes world;
  const NodeRef node = world.up();
  const auto duty = [&] { return world.wire.head.engine.state().node(node)->duty; };
  auto drain = world.user.drainNodeRequest();
  drain.setKey("d");
  drain.setNode(node.id.value);
  drain.initFarewell().setRunning(Running::COMPLETE);
  EXPECT_TRUE(world.wire.call(kj::mv(drain)).isDone());
  EXPECT_EQ(duty(), core::NodeDuty::kDraining);
  auto nodes = world.wire.call(world.user.nodesRequest());
  EXPECT_EQ(nodes.getNodes()[0].getState(), "drained");
  EXPECT_EQ(nodes.getNodes()[0].getReason(), "drained by a person");
  auto resume = world.user.resumeNodeRequest();
  resume.setKey("r");
  resume.setNode(node.id.value);
  EXPECT_TRUE(world.wire.call(kj::mv(resume)).isDone());
  EXPECT_EQ(duty(), core::NodeDuty::kServing);
  auto remove = world.user.removeNodeRequest();
  remove.setKey("x");
  remove.setNode(node.id.value);
  remove.initFarewell().setRunning(Running::COMPLETE);
  EXPECT_TRUE(world.wire.call(kj::mv(remove)).isDone());
  EXPECT_EQ(duty(), core::NodeDuty::kLeaving);
  auto pools = world.wire.call(world.user.poolsRequest());
  EXPECT_EQ(pools.getPools()[0].getNodesLeaving(), 1u);
  auto unknown = world.user.drainNodeRequest();
  unknown.setKey("n");
  unknown.setNode(99);
  EXPECT_EQ(world.wire.call(kj::mv(unknown)).getRefusal().getReason(), Refused::NOT_FOUND);
}

TEST(PoolWishes, DeletingAsksWhatBecomesOfWork) {
  Wishes world;
  world.up();
  store::SpecMessage message(3, 0);
  auto submit = world.user.submitRequest();
  submit.setKey("job");
  submit.setSpec(message.job());
  EXPECT_TRUE(world.wire.call(kj::mv(submit)).isJob());
  const auto ask = [&](Running running) {
    auto request = world.user.deletePoolRequest();
    request.setKey("x");
    request.setPool("burst");
    request.initFarewell().setRunning(running);
    return Wishes::refusal(world.wire.call(kj::mv(request)));
  };
  EXPECT_NE(ask(Running::REFUSE).find("has work"), std::string::npos);
  EXPECT_EQ(world.pool().state, core::PoolState::kOpen);
  EXPECT_EQ(ask(Running::COMPLETE), "");
  EXPECT_EQ(world.pool().state, core::PoolState::kDeleting);
}

TEST(PoolWishes, APlanChangesNothing) {
  Wishes world;
  auto request = world.user.planPoolRequest();
  Wishes::fill(request.initSpec(), "dry", 2, 5);
  const auto answer = world.wire.call(kj::mv(request));
  ASSERT_TRUE(answer.isPlan());
  EXPECT_EQ(answer.getPlan().getHave(), 0u);
  EXPECT_EQ(answer.getPlan().getWanted(), 2u);
  EXPECT_EQ(answer.getPlan().getWhy().size(), 1u);
  EXPECT_EQ(world.wire.head.engine.state().pools().size(), 1u);
  auto wrong = world.user.planPoolRequest();
  Wishes::fill(wrong.initSpec(), "dry", 6, 5);
  EXPECT_EQ(world.wire.call(kj::mv(wrong)).getRefusal().getReason(), Refused::INVALID);
}

TEST(PoolWishes, AJobMayBringItsOwnPoolAndNobodyElseMay) {
  Wishes world;
  store::SpecMessage message(1, 0);
  auto submit = world.user.submitRequest();
  submit.setKey("job");
  submit.setSpec(message.job());
  Wishes::fill(submit.initPool(), "own", 0, 2);
  const auto answer = world.wire.call(kj::mv(submit));
  ASSERT_TRUE(answer.isJob());
  const core::Pool* own = world.wire.head.engine.state().own_pool(JobId{answer.getJob()});
  ASSERT_NE(own, nullptr);
  EXPECT_EQ(own->spec.name, "own-" + std::to_string(answer.getJob()));
  // A wish for a pool cannot give it to a job.
  auto create = world.user.createPoolRequest();
  create.setKey("q");
  Wishes::fill(create.initSpec(), "mine", 0, 2);
  create.getSpec().setForJob(answer.getJob());
  EXPECT_TRUE(world.wire.call(kj::mv(create)).isDone());
  EXPECT_FALSE(world.wire.head.engine.state().pool_named("mine")->spec.for_job);
}

TEST(PoolWishes, ARetryGetsAPoolOfItsOwnLikeTheFirst) {
  Wishes world;
  store::SpecMessage message(2, 0);
  message.stage().setRetries(0);
  auto submit = world.user.submitRequest();
  submit.setKey("job");
  submit.setSpec(message.job());
  Wishes::fill(submit.initPool(), "own", 0, 2);
  const JobId first{world.wire.call(kj::mv(submit)).getJob()};
  const core::State& state = world.wire.head.engine.state();
  const core::PoolSpec had = state.own_pool(first)->spec;
  const auto retry = [&](const char* key) {
    auto request = world.user.retryRequest();
    request.setKey(key);
    request.setJob(first.value);
    const auto answer = world.wire.call(kj::mv(request));
    EXPECT_TRUE(answer.isJob()) << Wishes::refusal(answer);
    const core::Pool* own = state.own_pool(JobId{answer.getJob()});
    ASSERT_NE(own, nullptr);
    EXPECT_EQ(own->spec.name, "own-" + std::to_string(answer.getJob()));
    EXPECT_EQ(own->spec.nodes, had.nodes);
    EXPECT_EQ(own->spec.shape, had.shape);
  };
  // While it is active, and when it and its pool are gone.
  auto cancel = world.user.cancelRequest();
  cancel.setKey("one");
  cancel.setJob(first.value);
  cancel.initIndices(1)[0].setFirst(0);
  ASSERT_TRUE(world.wire.call(kj::mv(cancel)).isDone());
  ASSERT_TRUE(state.job(first)->active());
  retry("early");
  ASSERT_TRUE(world.wire.head.ask(core::Cancel{"all", {}, first, 0, {}}).ok());
  ASSERT_FALSE(state.job(first)->active());
  ASSERT_TRUE(world.wire.head.ask(core::Tick{}).ok());
  retry("late");
}

TEST(PoolWishes, TokensComeAsTheyWereGiven) {
  Wishes world;
  auto request = world.user.makeTokensRequest();
  request.setKey("t");
  request.setPool("lab");
  request.setCount(2);
  request.setLifeUs(5'000'000);
  const auto answer = world.wire.call(kj::mv(request));
  ASSERT_TRUE(answer.isTokens());
  EXPECT_EQ(world.wire.token_request.pool, "lab");
  EXPECT_EQ(world.wire.token_request.count, 2u);
  EXPECT_EQ(world.wire.token_request.life, std::chrono::seconds(5));
  EXPECT_EQ(answer.getTokens()[0].getNode(), 7u);
  EXPECT_EQ(answer.getTokens()[0].getText(), "leat1.text");
  EXPECT_EQ(answer.getTokens()[0].getExpiresUs(), 9'000'000);
}

}  // namespace
}  // namespace leat::wire
