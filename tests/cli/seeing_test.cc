// Events and top against a fake head.

#include <capnp/message.h>
#include <gtest/gtest.h>

#include "cli/event_view.h"
#include "cli/top_view.h"
#include "tests/cli/fake_cluster.h"

namespace leat::cli {
namespace {

class SeeingTest : public testing::Test {
 protected:
  SeeingTest() { cluster.start_head(); }

  FakeCluster cluster;
};

// A page with one event about a job: `kind` at turn `turn`.
auto page(std::uint64_t turn, const char* kind, std::uint64_t lost = 0) {
  return [turn, kind, lost](schema::EventsResult::Page::Builder to) {
    auto event = to.initEvents(1)[0];
    event.initNext().setTurn(turn);
    event.getNext().setFact(2);
    event.setKind(kind);
    event.setJob(17);
    event.setNode(3);
    event.setState("succeeded");
    auto strides = event.initIndices(2);
    strides[0].setFirst(0);
    strides[0].setCount(64);
    strides[0].setStep(1);
    strides[1].setFirst(100);
    strides[1].setCount(1);
    event.setCount(65);
    to.initNext().setTurn(turn + 1);
    to.setLostTurns(lost);
  };
}

TEST_F(SeeingTest, EventsAreReadToTheEnd) {
  cluster.world.sights.pages = {page(5, "runs-ended"), page(6, "job-ended")};
  EXPECT_EQ(cluster.run(kEvents, {"--json"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written,
            "{\"version\":1,\"cursor\":\"5.2\",\"at_us\":0,\"kind\":\"runs-ended\",\"job\":17,"
            "\"stage\":0,\"strides\":[[0,64,1],[100,1,1]],\"count\":65,\"node\":3,"
            "\"state\":\"succeeded\"}\n"
            "{\"version\":1,\"cursor\":\"6.2\",\"at_us\":0,\"kind\":\"job-ended\",\"job\":17,"
            "\"stage\":0,\"strides\":[[0,64,1],[100,1,1]],\"count\":65,\"node\":3,"
            "\"state\":\"succeeded\"}\n");
  EXPECT_EQ(cluster.world.sights.event_calls,
            (std::vector<std::string>{"0.0 0", "6.0 0", "7.0 0"}));
}

TEST(EventLine, SaysWhenATaskIsTriedAgain) {
  capnp::MallocMessageBuilder message;
  auto event = message.initRoot<schema::Event>();
  event.setKind("runs-requeued");
  event.setJob(17);
  event.setState("delayed");
  event.setNode(2);
  event.setRetryInUs(30'000'000);
  const std::string line = event_line(event);
  EXPECT_NE(line.find("runs-requeued  17 delayed on node 2  retry in 30s"), std::string::npos)
      << line;
}

TEST_F(SeeingTest, EventsGoOnFromACursor) {
  EXPECT_EQ(cluster.run(kEvents, {"--since", "12.3"}), 0);
  EXPECT_EQ(cluster.run(kEvents, {"--since", "now"}), 0);
  EXPECT_EQ(cluster.world.sights.event_calls, (std::vector<std::string>{"12.3 0", "1.0 0"}));
  for (const char* const bad : {"x", "1.", ".1", "1.2.3", "-1", ""}) {
    EXPECT_EQ(cluster.run(kEvents, {"--since", bad}), 2) << bad;
    EXPECT_NE(cluster.failure.find("is no cursor"), std::string::npos);
  }
}

TEST_F(SeeingTest, EventsOfAJobAreFollowedUntilItHasEnded) {
  cluster.world.sights.pages = {page(5, "runs-ended"), page(6, "job-ended"), page(7, "more")};
  EXPECT_EQ(cluster.run(kEvents, {"-f", "--job", "17"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.world.sights.event_calls,
            (std::vector<std::string>{"0.0 17 wait", "6.0 17 wait"}));
  EXPECT_NE(cluster.console.written.find("runs-ended  17.0-63,100 succeeded on node 3\n"),
            std::string::npos)
      << cluster.console.written;
}

TEST_F(SeeingTest, AGapIsShownBeforeWhatFollowsIt) {
  cluster.world.sights.pages = {page(9, "runs-ended", 4)};
  EXPECT_EQ(cluster.run(kEvents, {"--since", "5"}), 0);
  EXPECT_EQ(cluster.console.written.rfind("-- gap: the events of 4 turns", 0), 0u)
      << cluster.console.written;
  cluster.console.written.clear();
  cluster.world.sights.pages = {page(9, "runs-ended", 4)};
  EXPECT_EQ(cluster.run(kEvents, {"--since", "5", "--json"}), 0);
  EXPECT_EQ(cluster.console.written.rfind(
                "{\"version\":1,\"cursor\":\"10\",\"kind\":\"gap\",\"lost_turns\":4}\n", 0),
            0u)
      << cluster.console.written;
}

TEST_F(SeeingTest, EventsFollowAHeadThatComesBack) {
  FakeSights& sights = cluster.world.sights;
  sights.pages = {page(5, "runs-ended")};
  sights.on_wait = [this, &sights] {
    // It dies while it is waited for, and comes back with the end of the job.
    sights.pages = {page(6, "job-ended")};
    cluster.in_background(kj::evalLater([this] {
      cluster.kill_head();
      cluster.start_head();
    }));
  };
  EXPECT_EQ(cluster.run(kEvents, {"-f", "--job", "17"}), 0) << cluster.failure;
  EXPECT_EQ(sights.event_calls,
            (std::vector<std::string>{"0.0 17 wait", "6.0 17 wait", "6.0 17 wait"}));
}

void fill_overview(schema::Overview::Builder to) {
  to.setCursor(40);
  to.setNowUs(1'700'000'010'000'000);
  auto pool = to.initPools(1)[0];
  pool.setId(1);
  pool.initSpec().setName("local");
  pool.setState("open");
  pool.setNodesUp(2);
  auto nodes = to.initNodes(3);
  for (unsigned n = 0; n < nodes.size(); ++n) {
    nodes[n].setNode(n + 1);
    nodes[n].setPool(1);
    nodes[n].setState(n == 2 ? "lost" : "up");
    nodes[n].setBusyPermille(static_cast<std::uint16_t>(n * 1'000));
  }
  auto job = to.initJobs(1)[0];
  job.setId(17);
  job.setName("sweep");
  job.setState(schema::JobState::RUNNING);
  job.setStartedUs(1'700'000'000'000'000);
  job.initCounts().setTotal(100);
  job.getCounts().setSucceeded(50);
  job.getCounts().setRunning(4);
  to.setJobsActive(3);
  to.initCounts().setRunning(4);
}

TEST_F(SeeingTest, TopShowsThePageOnce) {
  cluster.world.sights.fill_overview = fill_overview;
  EXPECT_EQ(cluster.run(kTop, {"--once"}), 0) << cluster.failure;
  const std::string& page = cluster.console.written;
  EXPECT_NE(page.find("3 jobs, 4 tasks running, 0 waiting"), std::string::npos) << page;
  EXPECT_NE(page.find("pool local  open  2 nodes up, 0 coming, 0 lost\n  ·█!\n"), std::string::npos)
      << page;
  EXPECT_NE(page.find(" 17  sweep  running        4  50/100  50%  5.0/s  10s       0\n"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("and 2 more jobs\n"), std::string::npos) << page;
  EXPECT_EQ(page.find('\033'), std::string::npos);
}

TEST_F(SeeingTest, TopOnceIsADocumentToo) {
  cluster.world.sights.fill_overview = fill_overview;
  EXPECT_EQ(cluster.run(kTop, {"--once", "--json"}), 0) << cluster.failure;
  const std::string& json = cluster.console.written;
  EXPECT_EQ(json.rfind("{\"version\":1,\"cursor\":40,\"now_us\":1700000010000000,\"pools\":[", 0),
            0u)
      << json;
  EXPECT_NE(json.find("{\"id\":3,\"pool\":1,\"state\":\"lost\",\"busy_permille\":2000"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find("\"rate_per_s\":5.0,\"eta_us\":10000000"), std::string::npos) << json;
}

TEST_F(SeeingTest, TopWantsATerminalOrOnce) {
  EXPECT_EQ(cluster.run(kTop, {}), 2);
  EXPECT_EQ(cluster.failure, "top needs a terminal: use --once");
  EXPECT_EQ(cluster.run(kTop, {"--json"}), 2);
}

TEST(TopView, KeepsWithinItsRowsAndColumns) {
  capnp::MallocMessageBuilder message;
  auto overview = message.initRoot<schema::Overview>();
  fill_overview(overview);
  auto nodes = overview.initNodes(500);
  for (unsigned n = 0; n < nodes.size(); ++n) {
    nodes[n].setPool(1);
    nodes[n].setState("up");
  }
  auto jobs = overview.initJobs(50);
  for (unsigned n = 0; n < jobs.size(); ++n) {
    jobs[n].setId(n);
    jobs[n].setName("a name that is much longer than the screen is wide, without an end");
  }
  TopModel model;
  model.observe(overview, Duration(0));
  for (const ScreenSize size : {ScreenSize{24, 80}, ScreenSize{5, 10}, ScreenSize{100, 300}}) {
    const std::string page = model.page(size, false);
    std::size_t rows = 0;
    for (std::size_t at = 0; at < page.size(); ++rows) {
      const std::size_t end = page.find('\n', at);
      const auto width = std::count_if(page.begin() + static_cast<std::ptrdiff_t>(at),
                                       page.begin() + static_cast<std::ptrdiff_t>(end),
                                       [](char c) { return (c & 0xc0) != 0x80; });
      EXPECT_LE(static_cast<std::size_t>(width), size.columns);
      at = end + 1;
    }
    EXPECT_LE(rows, size.rows);
  }
}

TEST(TopView, TakesTheRateOfTheLastSeconds) {
  capnp::MallocMessageBuilder message;
  auto overview = message.initRoot<schema::Overview>();
  fill_overview(overview);
  TopModel model;
  model.observe(overview, Duration(0));
  overview.getJobs()[0].getCounts().setSucceeded(70);
  model.observe(overview, std::chrono::seconds(1));
  EXPECT_NE(model.page({24, 80}, false).find("20/s"), std::string::npos);
  EXPECT_NE(model.page({24, 80}, true).find("\033[32m"), std::string::npos);
}

TEST(TopView, HasACharacterForEveryStateOfANode) {
  EXPECT_STREQ(heat_cell("lost", 0).text, "!");
  EXPECT_STREQ(heat_cell("requested", 0).text, "+");
  EXPECT_STREQ(heat_cell("draining", 1'000).text, "x");
  EXPECT_STREQ(heat_cell("up", 0).text, "·");
  EXPECT_STREQ(heat_cell("up", 1).text, "░");
  EXPECT_STREQ(heat_cell("up", 500).text, "▒");
  EXPECT_STREQ(heat_cell("up", 999).text, "▓");
  EXPECT_STREQ(heat_cell("up", 1'000).text, "█");
}

}  // namespace
}  // namespace leat::cli
