// The life of a gang: placed whole, ended whole, tried again whole.

#include "tests/scheduler/core/gangs_world.h"

namespace leat::core {
namespace {

TEST(Gang, IsStartedOnEachOfItsNodesOrNowhere) {
  Gangs w;
  w.nodes(2, 2);
  const JobId job = w.submit(gangs(1, 3));
  EXPECT_EQ(w.place(), 0u);
  EXPECT_TRUE(w.starts().empty());
  const NodeRef third = w.node(2);
  EXPECT_EQ(w.place(), 1u);
  const std::vector<StartRuns> starts = w.starts();
  ASSERT_EQ(starts.size(), 3u);
  std::set<NodeRef> distinct;
  for (const StartRuns& start : starts) {
    distinct.insert(start.node);
    EXPECT_EQ(start.runs, Gangs::run(job));
    EXPECT_EQ(start.claims, 1u);
    ASSERT_NE(start.gang, nullptr);
    EXPECT_EQ(*start.gang, w.gang(job)->nodes);
    EXPECT_EQ(w.state.node(start.node)->free.millicores, 1000u);
  }
  EXPECT_EQ(distinct.size(), 3u);
  EXPECT_TRUE(distinct.contains(third));
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 1u);
  w.check_replay();
}

TEST(Gang, OfOneNodeIsAGangToo) {
  Gangs w;
  const NodeRef node = w.node(2);
  const JobId job = w.submit(gangs(1, 1));
  w.place();
  ASSERT_NE(w.gang(job), nullptr);
  ASSERT_EQ(w.starts().at(0).gang->size(), 1u);
  w.member(job, node);
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  w.check_replay();
}

TEST(Gang, EndsWithItsLastMemberAndGivesEachNodeBackAtOnce) {
  Gangs w;
  const auto nodes = w.nodes(3, 1);
  const JobId job = w.submit(gangs(1, 3));
  w.place();
  RunRow row;
  row.start_us = 500;
  row.duration_us = 70;
  row.cpu_us = 30;
  row.peak_kib = 10;
  w.member(job, nodes[1], row);
  EXPECT_EQ(w.state.node(nodes[1])->free.millicores, 1000u);
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 1u);
  row = {Outcome::kExit, 0, 400, 90, 5, -20, 7, RunColumns::kOutputCut};
  w.member(job, nodes[2], row);
  w.member(job, nodes[0], {});
  const auto& ended = std::get<RunsEnded>(w.log.back().first);
  EXPECT_EQ(ended.state, TaskState::kSucceeded);
  EXPECT_EQ(ended.node, nodes[0]);
  EXPECT_EQ(row_of(ended.columns, 0),
            (RunRow{Outcome::kExit, 0, 400, 90, 35, -20, 7, RunColumns::kOutputCut}));
  EXPECT_EQ(w.gang(job), nullptr);
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  w.check_replay();
}

TEST(Gang, IsEndedEverywhereByItsFirstFailureAndTriedAgainWhole) {
  Gangs w;
  const auto nodes = w.nodes(3, 1);
  JobSpec spec = gangs(1, 3);
  spec.stages[0].retries = 1;
  spec.stages[0].grace = seconds(7);
  const JobId job = w.submit(spec);
  w.place();
  w.starts();
  w.member(job, nodes[1], exits(3));
  std::vector<EndRuns> orders = w.ended_orders();
  ASSERT_EQ(orders.size(), 2u);
  for (const EndRuns& order : orders) {
    EXPECT_NE(order.node, nodes[1]);
    EXPECT_EQ(order.runs, Gangs::run(job));
    EXPECT_EQ(order.why, Outcome::kWithdrawn);
    EXPECT_EQ(order.grace, seconds(7));
  }
  // Its node is free, but nobody may start the next attempt while the others live.
  EXPECT_EQ(w.place(), 0u);
  w.member(job, nodes[0], ends(Outcome::kWithdrawn));
  EXPECT_TRUE(w.ended_orders().empty());
  EXPECT_EQ(w.place(), 0u);
  w.member(job, nodes[2], exits(9));
  const auto& requeued = std::get<RunsRequeued>(w.log.back().first);
  EXPECT_EQ(row_of(requeued.columns, 0).code, 3);
  EXPECT_EQ(w.state.job(job)->retried, 1u);
  EXPECT_EQ(w.place(), 1u);
  EXPECT_EQ(w.gang(job)->attempt, 2u);
  // The second failure is the last, and names who is to blame.
  w.member(job, nodes[2], ends(Outcome::kSignal), 2);
  w.member(job, nodes[0], ends(Outcome::kWithdrawn), 2);
  w.member(job, nodes[1], ends(Outcome::kWithdrawn), 2);
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
  ASSERT_EQ(w.state.job(job)->failures.size(), 1u);
  EXPECT_EQ(w.state.job(job)->failures[0].node, nodes[2]);
  EXPECT_EQ(w.state.job(job)->failures[0].outcome, Outcome::kSignal);
  w.check_replay();
}

TEST(Gang, IsNotChangedByStaleOrRepeatedReportsOfAMember) {
  Gangs w;
  const auto nodes = w.nodes(3, 1);
  const JobId job = w.submit(gangs(1, 2));
  w.place();
  const std::size_t before = w.log.size();
  w.member(job, nodes[0], exits(1), 2);  // an attempt that is not
  w.member(job, nodes[2], exits(1));     // a node that has no member
  EXPECT_EQ(w.log.size(), before);
  w.member(job, nodes[0]);
  const std::size_t after = w.log.size();
  EXPECT_EQ(after, before + 1);
  w.member(job, nodes[0], exits(1));
  // Twice in one batch.
  EndedSet set{Gangs::run(job), to_columns({RunRow{}}), {}};
  w.must(ReportEnded{nodes[1], w.state.node(nodes[1])->session, {set, set}});
  w.place();
  EXPECT_EQ(w.log.size(), after + 3);  // the member, the run, the job
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
}

TEST(Gang, CountsALostNodeAsALossWhoeverFailedFirst) {
  Gangs w;
  const auto nodes = w.nodes(3, 1);
  const JobId job = w.submit(gangs(1, 3));
  w.place();
  w.must(LoseNode{nodes[1]});
  // The ranks elsewhere fail of it, before anybody knows.
  w.member(job, nodes[0], exits(1));
  w.member(job, nodes[2], ends(Outcome::kWithdrawn));
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 1u);
  w.must(ProveGone{nodes[1], "it burnt"});
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 1u);
  EXPECT_EQ(w.state.job(job)->lost, 1u);
  EXPECT_EQ(w.state.job(job)->retried, 0u);
  w.node(1);
  EXPECT_EQ(w.place(), 1u);
  w.check_replay();
}

TEST(Gang, KeepsItsLostNodeForTheLeaseAndEndsWithIt) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  const JobId job = w.submit(gangs(1, 2));
  w.place();
  w.starts();
  w.must(LoseNode{nodes[1]});
  w.pass(299);
  EXPECT_FALSE(w.gang(job)->broken);
  EXPECT_EQ(std::string(w.only_cause(job).reason), "node-lost");
  w.pass(2);
  ASSERT_TRUE(w.gang(job)->broken);
  const auto orders = w.ended_orders();
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].node, nodes[0]);
  w.member(job, nodes[0], ends(Outcome::kWithdrawn));
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 1u);
  EXPECT_EQ(w.state.job(job)->lost, 1u);
  w.check_replay();
}

TEST(Gang, IsToldToANodeThatRejoinsAsItIsNow) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  const JobId job = w.submit(gangs(1, 2));
  w.place();
  w.starts();
  w.join(nodes[0], 1);
  const std::vector<StartRuns> again = w.starts();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(*again[0].gang, nodes);
  w.member(job, nodes[1], exits(1));
  w.ended_orders();
  w.join(nodes[0], 1);
  const std::vector<EndRuns> orders = w.ended_orders();
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].node, nodes[0]);
  EXPECT_EQ(orders[0].why, Outcome::kWithdrawn);
}

TEST(Gang, IsCancelledOnAllItsNodes) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  const JobId job = w.submit(gangs(2, 2));
  w.place();
  w.starts();
  w.must(Cancel{"c", {}, job, 0, {}});
  const auto orders = w.ended_orders();
  ASSERT_EQ(orders.size(), 2u);
  EXPECT_EQ(orders[0].why, Outcome::kCancelled);
  w.member(job, nodes[0], ends(Outcome::kCancelled));
  // The other has its order, which stays as it was.
  EXPECT_TRUE(w.ended_orders().empty());
  w.member(job, nodes[1], ends(Outcome::kCancelled));
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kCancelled);
  EXPECT_EQ(w.count(job, TaskState::kCancelled), 2u);
  w.check_replay();
}

TEST(Gang, OfAHeldJobRunsOn) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  const JobId job = w.submit(gangs(2, 2));
  w.place();
  w.starts();
  w.must(HoldJob{"h", {}, job});
  for (const Effect& effect : w.effects) EXPECT_FALSE(std::holds_alternative<Withdrawal>(effect));
  for (const NodeRef node : nodes) w.member(job, node);
  EXPECT_EQ(w.place(), 0u);
  EXPECT_EQ(w.count(job, TaskState::kSucceeded), 1u);
  w.must(ReleaseJob{"r", {}, job});
  EXPECT_EQ(w.place(), 1u);
}

TEST(Gang, IsRecalledAsAWholeFromANodeThatIsToGo) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  const JobId job = w.submit(gangs(1, 2));
  w.place();
  w.starts();
  w.must(RemoveNode{"r", {}, nodes[1].id, {Running::kRequeue, seconds(3)}});
  w.pass(2);
  EXPECT_EQ(w.state_of(nodes[1]), NodeState::kUp);  // a node with a member is not empty
  w.pass(2);
  auto orders = w.ended_orders();
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].node, nodes[1]);
  w.member(job, nodes[1], ends(Outcome::kWithdrawn));
  orders = w.ended_orders();
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].node, nodes[0]);
  w.member(job, nodes[0], ends(Outcome::kWithdrawn));
  EXPECT_EQ(w.state.job(job)->retried, 0u);
  EXPECT_EQ(w.state.job(job)->lost, 0u);
  w.pass(1);
  EXPECT_EQ(w.state_of(nodes[1]), NodeState::kDeleting);
  w.check_replay();
}

TEST(Gang, HoldsItsPrimarysOutputForAReduceAlsoWhileTheOthersRun) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  const JobId job = w.submit(with_reduce(gangs(1, 2), 2));
  w.place();
  w.member(job, nodes[0]);
  EXPECT_EQ(w.state.node(nodes[0])->held, 1u);
  EXPECT_FALSE(node_is_empty(*w.state.node(nodes[0])));
  w.member(job, nodes[1]);
  EXPECT_EQ(w.count(job, TaskState::kHeld), 1u);
  EXPECT_EQ(w.state.node(nodes[0])->held, 1u);
  EXPECT_EQ(w.place(), 1u);  // the reduce
  w.check_replay();
}

TEST(Gang, RunsAgainIfItsPrimaryIsGoneWithAnOutputThatIsStillNeeded) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  const JobId job = w.submit(with_reduce(gangs(1, 2), 2));
  w.place();
  w.member(job, nodes[0]);
  w.must(ProveGone{nodes[0], "it burnt"});
  w.member(job, nodes[1]);
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 1u);
  EXPECT_EQ(w.state.job(job)->retried, 0u);
  w.node(1);
  EXPECT_EQ(w.place(), 1u);
  w.check_replay();
}

TEST(Gang, GivesItsResultWhicheverMemberBroughtIt) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  JobSpec spec = gangs(1, 2);
  spec.result_stage = 0;
  const JobId job = w.submit(spec);
  w.place();
  w.end(nodes[0], Gangs::run(job), {}, Blob{{1}, 5});
  w.end(nodes[1], Gangs::run(job), {});
  w.place();
  EXPECT_EQ(w.state.job(job)->result, (Blob{{1}, 5}));
}

TEST(Gang, WaitsForItsDelayAsAWhole) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  JobSpec spec = gangs(1, 2);
  spec.stages[0].retries = 1;
  spec.stages[0].retry_delay.first = seconds(10);
  const JobId job = w.submit(spec);
  w.place();
  w.member(job, nodes[0], exits(1));
  w.member(job, nodes[1], ends(Outcome::kWithdrawn));
  EXPECT_EQ(w.count(job, TaskState::kDelayed), 1u);
  w.pass(11);
  EXPECT_EQ(w.place(), 1u);
  w.check_replay();
}

TEST(Gang, IsSetAsideAfterThreeLostNodes) {
  Gangs w;
  w.nodes(2, 1);
  const JobId job = w.submit(gangs(1, 2));
  for (int loss = 0; loss < 3; ++loss) {
    ASSERT_EQ(w.place(), 1u);
    const Gang gang = *w.gang(job);
    w.must(ProveGone{gang.nodes[1], "it burnt"});
    w.member(job, gang.nodes[0], ends(Outcome::kWithdrawn), gang.attempt);
    w.node(1);
  }
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kQuarantined), 1u);
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
}

TEST(Gang, OfImpossibleShapeIsRefused) {
  Gangs w;
  w.pool();
  JobSpec spec = gangs(1, 0);
  EXPECT_EQ(w.refused(Submit{"a", {}, spec}, Reason::kInvalid),
            "stage 0: a gang needs at least one node");
  spec = gangs(1, kGangNodesMax + 1);
  EXPECT_EQ(w.refused(Submit{"a", {}, spec}, Reason::kInvalid),
            "stage 0: a gang of more than 4096 nodes");
  spec = gangs(1, 2);
  spec.stages[0].gang = false;
  EXPECT_EQ(w.refused(Submit{"a", {}, spec}, Reason::kInvalid),
            "stage 0: a task on several nodes is a gang");
  spec = with_reduce(sweep(4), 4);
  spec.stages[1].gang = true;
  EXPECT_EQ(w.refused(Submit{"a", {}, spec}, Reason::kNotInThisVersion),
            "stage 1: a reduce step on several nodes: not in this version");
}

}  // namespace
}  // namespace leat::core
