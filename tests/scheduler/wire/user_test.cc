// What users see of the head, over a pipe.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/scheduler/wire/wire_head.h"

namespace leat::wire {
namespace {

using Refused = schema::Refusal::Reason;

auto submit_request(schema::Scheduler::Client& user, const std::string& key, std::uint64_t tasks,
                    std::uint64_t width = 0) {
  store::SpecMessage message(tasks, width);
  auto request = user.submitRequest();
  request.setKey(key.c_str());
  request.setSpec(message.job());
  return request;
}

std::uint64_t submit(WireHead& wire, schema::Scheduler::Client& user, const std::string& key,
                     std::uint64_t tasks, std::uint64_t width = 0) {
  auto answer = wire.call(submit_request(user, key, tasks, width));
  EXPECT_TRUE(answer.isJob());
  return answer.getJob();
}

auto watch_request(schema::Scheduler::Client& user, std::uint64_t job, std::uint64_t cursor) {
  auto request = user.watchRequest();
  request.setJob(job);
  request.setCursor(cursor);
  return request;
}

void end_runs(WireHead& wire, NodeRef node, std::uint64_t session, JobId job, Stride which,
              std::int32_t code = 0) {
  RunColumns columns;
  columns.code = Column<std::int32_t>(code);
  ASSERT_TRUE(wire.head
                  .ask(core::ReportEnded{
                      node, session, {{{{job, 0}, 1, IndexList(which)}, columns, std::nullopt}}})
                  .ok());
}

TEST(SchedulerServer, MakesOneJobOfTwoSubmitsWithOneKey) {
  WireHead wire;
  auto user = wire.user();
  const std::uint64_t first = submit(wire, user, "key", 10);
  auto again = wire.user();  // the connection was lost, the caller asks once more
  EXPECT_EQ(submit(wire, again, "key", 10), first);
  EXPECT_NE(submit(wire, again, "other", 10), first);
}

TEST(SchedulerServer, AnswersASubmitOnlyWhenItIsOnDisk) {
  WireHead wire;
  auto user = wire.user();
  wire.head.store.at_once = false;
  auto promise = submit_request(user, "key", 10).send();
  wire.head.settle();
  EXPECT_FALSE(promise.poll(wire.head.scope));
  auto listing = user.jobsRequest().send();
  wire.head.settle();
  EXPECT_FALSE(listing.poll(wire.head.scope));  // nor may a reader see it
  wire.head.store.answer();
  EXPECT_TRUE(promise.poll(wire.head.scope));
  ASSERT_TRUE(listing.poll(wire.head.scope));
  EXPECT_EQ(listing.wait(wire.head.scope).getJobs().size(), 1u);
}

TEST(SchedulerServer, RefusesWithData) {
  WireHead wire;
  auto user = wire.user();
  auto no_key = wire.call(submit_request(user, "", 10));
  ASSERT_TRUE(no_key.isRefusal());
  EXPECT_EQ(no_key.getRefusal().getReason(), Refused::INVALID);

  store::SpecMessage gang(1);
  gang.stage().getMembers()[0].setCount(2);
  auto request = user.submitRequest();
  request.setKey("k");
  request.setSpec(gang.job());
  EXPECT_EQ(wire.call(kj::mv(request)).getRefusal().getReason(), Refused::NOT_IN_THIS_VERSION);

  auto cancel = user.cancelRequest();
  cancel.setKey("c");
  cancel.setJob(12);
  EXPECT_EQ(wire.call(kj::mv(cancel)).getRefusal().getReason(), Refused::NOT_FOUND);

  auto pool = user.createPoolRequest();
  pool.setKey("p");
  pool.initSpec().setName("big");
  pool.getSpec().setProvider("slurm");
  pool.getSpec().setNodes(1);
  EXPECT_EQ(wire.call(kj::mv(pool)).getRefusal().getReason(), Refused::NOT_IN_THIS_VERSION);

  const std::uint64_t job = submit(wire, user, "key", 1);
  auto result = user.resultRequest();
  result.setJob(job);
  EXPECT_EQ(wire.call(kj::mv(result)).getRefusal().getReason(), Refused::CONFLICT);

  auto unknown = user.jobRequest();
  unknown.setJob(99);
  EXPECT_EQ(wire.call(kj::mv(unknown)).getRefusal().getReason(), Refused::NOT_FOUND);
  EXPECT_EQ(wire.call(watch_request(user, 99, 0)).getRefusal().getReason(), Refused::NOT_FOUND);
}

TEST(SchedulerServer, CountsEveryTaskOnce) {
  WireHead wire;
  auto user = wire.user();
  const NodeRef node = wire.head.request_node(wire.head.pool(1));
  const std::uint64_t session = wire.head.join(node, 2);
  const JobId job{submit(wire, user, "key", 10)};
  end_runs(wire, node, session, job, {0, 1, 1});
  auto request = user.jobRequest();
  request.setJob(0);  // the newest of this user
  const auto answer = wire.call(kj::mv(request));
  const auto summary = answer.getJob();
  EXPECT_EQ(summary.getId(), job.value);
  EXPECT_EQ(summary.getState(), schema::JobState::RUNNING);
  const auto counts = summary.getCounts();
  EXPECT_EQ(counts.getTotal(), 10u);
  EXPECT_EQ(counts.getRunning(), 2u);
  EXPECT_EQ(counts.getSucceeded(), 1u);
  EXPECT_EQ(counts.getWaiting(), 7u);
  EXPECT_EQ(summary.getStages().size(), 1u);

  auto stranger = wire.user(kUid + 1);
  auto theirs = stranger.jobRequest();
  EXPECT_TRUE(wire.call(kj::mv(theirs)).isRefusal());  // has none
}

TEST(SchedulerServer, WakesAWatcherWhenTheJobChangesAndWhenItEnds) {
  WireHead wire;
  auto user = wire.user();
  const JobId job{submit(wire, user, "key", 2)};
  auto now = wire.call(watch_request(user, job.value, 0));
  const std::uint64_t cursor = now.getChange().getCursor();
  auto later = watch_request(user, job.value, cursor).send();
  wire.head.settle();
  EXPECT_FALSE(later.poll(wire.head.scope));
  const NodeRef node = wire.head.request_node(wire.head.pool(1));
  const std::uint64_t session = wire.head.join(node, 2);
  wire.pass(1 * kj::SECONDS);
  ASSERT_TRUE(later.poll(wire.head.scope));
  const auto change = later.wait(wire.head.scope);
  EXPECT_GT(change.getChange().getCursor(), cursor);
  EXPECT_EQ(change.getChange().getJob().getCounts().getRunning(), 2u);

  auto end = watch_request(user, job.value, change.getChange().getCursor()).send();
  wire.head.settle();
  EXPECT_FALSE(end.poll(wire.head.scope));
  end_runs(wire, node, session, job, {0, 2, 1});
  ASSERT_TRUE(end.poll(wire.head.scope));  // at once, without the timer
  EXPECT_EQ(end.wait(wire.head.scope).getChange().getJob().getState(), schema::JobState::SUCCEEDED);
  // Whoever asks of an ended job hears so at once.
  EXPECT_TRUE(wire.call(watch_request(user, job.value, ~std::uint64_t{0})).isChange());
}

TEST(SchedulerServer, KeepsCursorsAcrossARestart) {
  auto before = std::make_unique<WireHead>();
  auto user = before->user();
  const std::uint64_t job = submit(*before, user, "key", 2);
  const std::uint64_t cursor = before->call(watch_request(user, job, 0)).getChange().getCursor();
  auto recovered = store::recover(before->head.store.file());
  ASSERT_TRUE(recovered.ok());
  store::MemoryFile file = std::move(before->head.store.file());
  { auto gone = kj::mv(user); }
  before = nullptr;

  WireHead after(std::move(recovered).value(), std::move(file));
  auto again = after.user();
  // Who has missed something is told at once, who has seen all waits for the next change.
  EXPECT_EQ(after.call(watch_request(again, job, cursor - 1)).getChange().getCursor(), cursor);
  auto pending = watch_request(again, job, cursor).send();
  after.head.settle();
  EXPECT_FALSE(pending.poll(after.head.scope));
  auto cancel = again.cancelRequest();
  cancel.setKey("c");
  cancel.setJob(job);
  EXPECT_TRUE(after.call(kj::mv(cancel)).isDone());
  EXPECT_TRUE(pending.poll(after.head.scope));
}

TEST(SchedulerServer, FreesAWatcherWhoseClientIsGone) {
  WireHead wire;
  auto user = wire.user();
  const std::uint64_t job = submit(wire, user, "key", 2);
  const std::uint64_t cursor = wire.call(watch_request(user, job, 0)).getChange().getCursor();
  {
    auto promise = watch_request(user, job, cursor).send();
    wire.head.settle();
    EXPECT_EQ(wire.progress.watchers(), 1u);
  }
  wire.head.settle();
  EXPECT_EQ(wire.progress.watchers(), 0u);
}

TEST(SchedulerServer, LocatesOutputWhereItIsOrSaysThatItIsLost) {
  WireHead wire;
  auto user = wire.user();
  const NodeRef node = wire.head.request_node(wire.head.pool(1));
  const std::uint64_t session = wire.head.join(node, 2);
  const JobId job{submit(wire, user, "key", 3)};
  end_runs(wire, node, session, job, {0, 1, 1});
  const auto locate = [&](Index index) {
    auto request = user.locateRequest();
    request.setJob(job.value);
    request.setIndex(index);
    return wire.call(kj::mv(request));
  };
  auto ended = locate(0);  // by history
  ASSERT_TRUE(ended.isPlace());
  EXPECT_EQ(ended.getPlace().getRun().getAttempt(), 1u);
  EXPECT_EQ(std::string(ended.getPlace().getAddress().cStr()), "127.0.0.1:4001");
  EXPECT_GT(ended.getPlace().getTicket().size(), 0u);
  EXPECT_TRUE(locate(1).isPlace());  // still running
  auto unknown = locate(17);
  EXPECT_EQ(unknown.getRefusal().getReason(), Refused::NOT_FOUND);

  ASSERT_TRUE(wire.head.ask(core::ProveGone{node, "gone"}).ok());
  // Perhaps leat-store has it; if not, this is what to say.
  auto lost = locate(0);
  ASSERT_TRUE(lost.isPlace());
  EXPECT_TRUE(lost.getPlace().getStored());
  EXPECT_EQ(lost.getPlace().getNode().getId(), 1u);
  EXPECT_EQ(std::string(lost.getPlace().getLost().cStr()),
            "output lost with node 1 at 2023-11-14 22:13:20 UTC");
}

TEST(SchedulerServer, TellsATaskThatWaitsFromOneThatIsNotThere) {
  WireHead wire;
  auto user = wire.user();
  const JobId job{submit(wire, user, "key", 3)};
  const auto locate = [&](Index index) {
    auto request = user.locateRequest();
    request.setJob(job.value);
    request.setIndex(index);
    return wire.call(kj::mv(request));
  };
  auto waits = locate(2);
  ASSERT_TRUE(waits.isNotYet());
  EXPECT_EQ(std::string(waits.getNotYet().cStr()), "task 1.2 has not run yet; see: leat why 1.2");
  EXPECT_EQ(locate(3).getRefusal().getReason(), Refused::NOT_FOUND);
}

TEST(SchedulerServer, NamesTheTasksOfAJob) {
  WireHead wire;
  auto user = wire.user();
  const JobId job{submit(wire, user, "key", 3)};
  const auto tasks = [&](std::uint64_t id) {
    auto request = user.tasksRequest();
    request.setJob(id);
    return wire.call(kj::mv(request));
  };
  const auto answer = tasks(job.value);
  ASSERT_EQ(answer.getIndices().size(), 1u);
  EXPECT_EQ(answer.getIndices()[0].getCount(), 3u);
  EXPECT_TRUE(tasks(99).hasRefusal());
  EXPECT_FALSE(answer.hasRefusal());
}

TEST(SchedulerServer, GivesStatusWithDaemonsAndPools) {
  WireHead wire;
  auto user = wire.user();
  const NodeRef node = wire.head.request_node(wire.head.pool(2));
  wire.head.join(node, 2);
  submit(wire, user, "key", 10, 10);
  const auto answer = wire.call(user.statusRequest());
  const auto status = answer.getStatus();
  std::string daemons;
  for (const auto daemon : status.getDaemons())
    daemons += std::string(daemon.getName().cStr()) + ":" + std::to_string(daemon.getPid()) + " ";
  EXPECT_EQ(daemons, "leat-scheduler:55 leat-store:77 leat-agent:101 leat-warden:201 ");
  EXPECT_EQ(status.getPools()[0].getNodesUp(), 1u);
  EXPECT_EQ(status.getJobsActive(), 1u);
  EXPECT_EQ(status.getCounts().getTotal(), 11u);
  EXPECT_EQ(status.getHeadEpoch(), 1u);

  const auto nodes = wire.call(user.nodesRequest());
  ASSERT_EQ(nodes.getNodes().size(), 1u);
  EXPECT_EQ(std::string(nodes.getNodes()[0].getState().cStr()), "up");
  EXPECT_EQ(nodes.getNodes()[0].getRunning(), 2u);
  EXPECT_EQ(wire.call(user.poolsRequest()).getPools().size(), 1u);
}

TEST(SchedulerServer, ListsJobsNewestFirst) {
  WireHead wire;
  auto user = wire.user();
  for (int n = 0; n < 5; ++n) submit(wire, user, std::to_string(n), 1);
  auto request = user.jobsRequest();
  request.setLimit(2);
  request.setBefore(5);
  const auto answer = wire.call(kj::mv(request));
  ASSERT_EQ(answer.getJobs().size(), 2u);
  EXPECT_EQ(answer.getJobs()[0].getId(), 4u);
  EXPECT_EQ(answer.getJobs()[1].getId(), 3u);
}

TEST(SchedulerServer, SaysWhySomethingWaits) {
  WireHead wire;
  auto user = wire.user();
  const std::uint64_t job = submit(wire, user, "key", 4);
  auto request = user.whyRequest();
  request.setJob(job);
  const auto answer = wire.call(kj::mv(request));
  ASSERT_TRUE(answer.isCauses());
  EXPECT_GE(answer.getCauses().size(), 1u);
  auto task = user.whyRequest();
  task.setJob(job);
  task.setOneTask(true);
  task.setIndex(44);
  EXPECT_TRUE(wire.call(kj::mv(task)).isRefusal());
}

TEST(SchedulerServer, StopsOnlyAnIdleClusterUnlessForced) {
  WireHead wire;
  auto user = wire.user();
  const NodeRef node = wire.head.request_node(wire.head.pool(1));
  wire.head.join(node, 2);
  submit(wire, user, "key", 4);
  auto gently = user.shutdownRequest();
  EXPECT_EQ(wire.call(kj::mv(gently)).getRefusal().getReason(), Refused::CONFLICT);
  EXPECT_FALSE(wire.shut_down);
  auto hard = user.shutdownRequest();
  hard.setEndTasks(true);
  EXPECT_TRUE(wire.call(kj::mv(hard)).isDone());
  EXPECT_TRUE(wire.shut_down);
}

TEST(SchedulerServer, CreatesAPoolOnceAndTellsTheDriver) {
  WireHead wire;
  auto user = wire.user();
  const auto create = [&](std::uint32_t nodes, const char* key) {
    auto request = user.createPoolRequest();
    request.setKey(key);
    auto spec = request.initSpec();
    spec.setName("local");
    spec.setProvider("local");
    spec.setNodes(nodes);
    return wire.call(kj::mv(request));
  };
  EXPECT_TRUE(create(2, "p").isDone());
  EXPECT_EQ(wire.pools_changed, 1);
  EXPECT_TRUE(create(2, "q").isDone());
  EXPECT_TRUE(create(3, "r").isRefusal());
  EXPECT_EQ(wire.head.engine.state().pools().size(), 1u);
}

}  // namespace
}  // namespace leat::wire
