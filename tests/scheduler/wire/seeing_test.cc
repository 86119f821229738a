// Events, the overview and history, as users see them over a pipe.

#include <capnp/message.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/scheduler/wire/wire_head.h"

namespace leat::wire {
namespace {

auto events_request(schema::Scheduler::Client& user, EventPlace from, std::uint64_t job = 0,
                    bool wait = false) {
  auto request = user.eventsRequest();
  request.initCursor().setTurn(from.turn);
  request.getCursor().setFact(from.fact);
  request.setJob(job);
  request.setWait(wait);
  return request;
}

EventPlace place(schema::EventCursor::Reader cursor) {
  return {cursor.getTurn(), cursor.getFact()};
}

std::vector<std::string> kinds(schema::EventsResult::Page::Reader page) {
  std::vector<std::string> found;
  for (const auto event : page.getEvents()) found.emplace_back(event.getKind().cStr());
  return found;
}

using Kinds = std::vector<std::string>;

TEST(Events, TellWhatHasHappenedOldestFirst) {
  WireHead wire;
  auto user = wire.user();
  const NodeRef node = wire.head.request_node(wire.head.pool(1));
  wire.head.join(node, 2);
  const JobId job = wire.head.submit(3);
  auto answer = wire.call(events_request(user, {}));
  ASSERT_TRUE(answer.isPage());
  const auto page = answer.getPage();
  EXPECT_EQ(kinds(page), (Kinds{"head-started", "pool-set", "node-requested", "node-enrolled",
                                "node-joined", "job-accepted", "runs-placed"}));
  EXPECT_EQ(page.getLostTurns(), 0u);
  const auto placed = page.getEvents()[6];
  EXPECT_EQ(placed.getJob(), job.value);
  EXPECT_EQ(placed.getNode(), node.id.value);
  EXPECT_EQ(placed.getCount(), 2u);
  EXPECT_EQ(placed.getIndices()[0].getFirst(), 0u);
  EXPECT_TRUE(page.getEvents()[5].getPerson());
  EXPECT_GT(placed.getAtUs(), 0);
}

TEST(Events, GoOnFromACursorAlsoInTheMiddleOfATurn) {
  WireHead wire;
  auto user = wire.user();
  wire.head.request_node(wire.head.pool(1));
  wire.head.submit(3);
  auto all = wire.call(events_request(user, {}));
  const auto events = all.getPage().getEvents();
  ASSERT_GT(events.size(), 3u);
  for (unsigned n = 0; n < events.size(); ++n) {
    auto rest = wire.call(events_request(user, place(events[n].getNext())));
    EXPECT_EQ(rest.getPage().getEvents().size(), events.size() - n - 1);
    EXPECT_EQ(place(rest.getPage().getNext()), place(all.getPage().getNext()));
  }
}

TEST(Events, TellHowLongATaskIsKeptBackBeforeItIsTriedAgain) {
  const core::RunSet runs{{JobId{17}, 0}, 1, IndexList(Stride{3, 1, 1})};
  const core::Fact later =
      core::RunsRequeued{runs, {NodeId{2}, NodeEpoch{9}}, {}, Duration{30'000'000}};
  const core::Fact at_once = core::RunsRequeued{runs, {NodeId{2}, NodeEpoch{9}}, {}};
  capnp::MallocMessageBuilder message;
  auto event = message.initRoot<schema::Event>();
  write_event(view_of(later), {1, 0}, 5, event);
  EXPECT_STREQ(event.getState().cStr(), "delayed");
  EXPECT_EQ(event.getRetryInUs(), 30'000'000);
  write_event(view_of(at_once), {1, 0}, 5, event);
  EXPECT_STREQ(event.getState().cStr(), "waiting");
  EXPECT_EQ(event.getRetryInUs(), 0);
}

TEST(Events, ArePushedToWhoWaits) {
  WireHead wire;
  auto user = wire.user();
  auto all = wire.call(events_request(user, {}));
  auto waiting = events_request(user, place(all.getPage().getNext()), 0, true).send();
  wire.pass(1 * kj::SECONDS);
  EXPECT_FALSE(waiting.poll(wire.head.scope));
  wire.head.submit(3);
  wire.pass(engine::Pulse::kInterval);
  ASSERT_TRUE(waiting.poll(wire.head.scope));
  EXPECT_EQ(kinds(waiting.wait(wire.head.scope).getPage()), (Kinds{"job-accepted"}));
}

TEST(Events, OfOneJobLeaveTheOthersOut) {
  WireHead wire;
  auto user = wire.user();
  const JobId first = wire.head.submit(3, "a");
  const JobId second = wire.head.submit(3, "b");
  auto of_second = wire.call(events_request(user, {}, second.value));
  EXPECT_EQ(kinds(of_second.getPage()), (Kinds{"job-accepted"}));
  // Waits through what concerns others.
  auto waiting =
      events_request(user, place(of_second.getPage().getNext()), first.value, true).send();
  wire.head.submit(3, "c");
  wire.pass(engine::Pulse::kInterval);
  EXPECT_FALSE(waiting.poll(wire.head.scope));
  ASSERT_TRUE(wire.head.ask(core::Cancel{"k", {}, first, 0, {}}).ok());
  wire.pass(engine::Pulse::kInterval);
  ASSERT_TRUE(waiting.poll(wire.head.scope));
  EXPECT_GT(waiting.wait(wire.head.scope).getPage().getEvents().size(), 0u);
}

TEST(Events, TellOfAGapInsteadOfKeepingABacklog) {
  WireHead wire;
  auto user = wire.user();
  for (int n = 0; n < 5; ++n) wire.head.submit(1, "key-" + std::to_string(n));
  auto& turns = wire.head.store.file().turns();
  turns.erase(turns.begin(), turns.find(4));
  auto answer = wire.call(events_request(user, {2, 0}, 0, true));
  EXPECT_EQ(answer.getPage().getLostTurns(), 2u);
  EXPECT_EQ(kinds(answer.getPage()), (Kinds{"job-accepted", "job-accepted", "job-accepted"}));
  // Who asks for whatever is kept has not missed anything.
  EXPECT_EQ(wire.call(events_request(user, {})).getPage().getLostTurns(), 0u);
}

TEST(Events, RefuseACursorOfAnotherCluster) {
  WireHead wire;
  auto user = wire.user();
  auto answer = wire.call(events_request(user, {1'000, 0}));
  ASSERT_TRUE(answer.isRefusal());
  EXPECT_EQ(answer.getRefusal().getReason(), schema::Refusal::Reason::NOT_FOUND);
}

TEST(Events, CursorsHoldAcrossARestartOfTheHead) {
  store::MemoryFile file;
  EventPlace cursor;
  {
    WireHead wire;
    auto user = wire.user();
    wire.head.submit(3);
    cursor = place(wire.call(events_request(user, {})).getPage().getNext());
    wire.head.submit(3, "unseen");
    file = wire.head.store.file();
  }
  auto recovered = store::recover(file);
  ASSERT_TRUE(recovered.ok());
  WireHead wire(std::move(recovered).value(), std::move(file));
  auto user = wire.user();
  auto answer = wire.call(events_request(user, cursor));
  EXPECT_EQ(kinds(answer.getPage()), (Kinds{"job-accepted", "head-started"}));
}

auto overview_request(schema::Scheduler::Client& user, std::uint64_t cursor) {
  auto request = user.overviewRequest();
  request.setCursor(cursor);
  request.setJobsMax(2);
  request.setNodesMax(1);
  return request;
}

TEST(Overview, ShowsPoolsNodesAndJobsWithinTheBoundsAskedFor) {
  WireHead wire;
  auto user = wire.user();
  const PoolId pool = wire.head.pool(2);
  const NodeRef node = wire.head.request_node(pool);
  wire.head.join(node, 4);
  wire.head.request_node(pool);
  const JobId waits = wire.head.submit(1'000, "a");
  const JobId runs = wire.head.submit(3, "b");
  wire.head.submit(3, "c");
  ASSERT_TRUE(wire.head.ask(core::Cancel{"k", {}, runs, 0, {}}).ok());
  auto answer = wire.call(overview_request(user, 0));
  const auto seen = answer.getOverview();
  ASSERT_EQ(seen.getPools().size(), 1u);
  EXPECT_EQ(seen.getPools()[0].getNodesUp(), 1u);
  ASSERT_EQ(seen.getNodes().size(), 1u);
  EXPECT_EQ(seen.getNodesLeftOut(), 1u);
  EXPECT_EQ(seen.getNodes()[0].getBusyPermille(), 1'000u);
  EXPECT_EQ(seen.getNodes()[0].getRunning(), 4u);
  ASSERT_EQ(seen.getJobs().size(), 2u);
  EXPECT_EQ(seen.getJobs()[0].getId(), waits.value);  // some of it runs
  EXPECT_EQ(seen.getJobsActive(), 2u);
  EXPECT_EQ(seen.getCursor(), wire.head.engine.sequence());
}

TEST(Overview, ShowsJobsThatRunBeforeHeldOnes) {
  WireHead wire;
  auto user = wire.user();
  const JobId held = wire.head.submit(1, "a");
  ASSERT_TRUE(wire.head.ask(core::HoldJob{"h", {}, held}).ok());
  const JobId runs = wire.head.submit(1, "b");
  wire.head.join(wire.head.request_node(wire.head.pool(1)), 1);
  ASSERT_EQ(wire.head.engine.state().job(runs)->state, core::JobState::kRunning);
  auto answer = wire.call(overview_request(user, 0));
  const auto jobs = answer.getOverview().getJobs();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].getId(), runs.value);
  EXPECT_EQ(jobs[1].getId(), held.value);
}

TEST(Overview, IsPushedAFewTimesASecondHoweverMuchHappens) {
  WireHead wire;
  auto user = wire.user();
  auto first = wire.call(overview_request(user, 0));
  std::uint64_t cursor = first.getOverview().getCursor();
  unsigned answers = 0;
  auto waiting = overview_request(user, cursor).send();
  for (int n = 0; n < 200; ++n) {
    wire.head.submit(1, "key-" + std::to_string(n));
    wire.pass(10 * kj::MILLISECONDS);
    if (!waiting.poll(wire.head.scope)) continue;
    ++answers;
    auto answer = waiting.wait(wire.head.scope);
    EXPECT_GT(answer.getOverview().getCursor(), cursor);
    cursor = answer.getOverview().getCursor();
    waiting = overview_request(user, cursor).send();
  }
  EXPECT_GE(answers, 8u);
  EXPECT_LE(answers, 11u);
}

TEST(HistoryForPeople, IsCopiedToAPathInTheHome) {
  WireHead wire;
  auto user = wire.user();
  EXPECT_EQ(std::string(wire.call(user.copyHistoryRequest()).getPath().cStr()), "/home/tmp/copy");
  wire.archive.refusal = Refusal{Reason::kOverloaded, "busy"};
  auto answer = wire.call(user.copyHistoryRequest());
  EXPECT_EQ(answer.getRefusal().getReason(), schema::Refusal::Reason::OVERLOADED);
}

TEST(HistoryForPeople, IsPrunedUpToAnInstantInThePastOnly) {
  WireHead wire;
  auto user = wire.user(kUid);
  auto request = user.pruneHistoryRequest();
  request.setBeforeUs(std::int64_t{kWallSeconds} * 1'000'000 + 1);
  EXPECT_TRUE(wire.call(kj::mv(request)).isRefusal());
  EXPECT_FALSE(wire.archive.pruned.has_value());
  auto past = user.pruneHistoryRequest();
  past.setBeforeUs(5'000);
  EXPECT_EQ(wire.call(kj::mv(past)).getPruned().getJobs(), 3u);
  ASSERT_TRUE(wire.archive.pruned.has_value());
  EXPECT_EQ(wire.archive.pruned->before_us, 5'000);
  EXPECT_EQ(wire.archive.pruned->actor.uid, kUid);
}

}  // namespace
}  // namespace leat::wire
