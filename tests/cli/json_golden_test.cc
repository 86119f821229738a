// What every reader says with --json, compared with golden/json: programs read it, so fields are
// added and never changed. UPDATE_GOLDEN=1 in the environment rewrites the files.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "spool/rank_places.h"
#include "tests/cli/fake_cluster.h"

namespace leat::cli {
namespace {

struct Reader {
  const char* file;
  const CommandEntry& entry;
  std::vector<std::string> words;
};

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void fill_job(schema::JobSummary::Builder job) {
  job.setName("sweep");
  job.initOwner().setUid(1000);
  job.getOwner().setHost("here");
  job.setState(schema::JobState::FAILED);
  job.initCounts().setTotal(10);
  job.getCounts().setSucceeded(9);
  job.getCounts().setFailed(1);
  job.initStages(1).setWithCaveats(0, job.getCounts().asReader());
  job.setSubmittedUs(1);
  job.setStartedUs(2);
  job.setEndedUs(5);
  auto failure = job.initFailures(1)[0];
  failure.setIndex(4);
  failure.setCode(3);
  failure.setNode(2);
  auto words = job.initProgress(1)[0];
  words.initRun().setIndex(7);
  words.getRun().setAttempt(2);
  words.setPermille(425);
  words.setMessage("step 17");
}

void fill_event(schema::EventsResult::Page::Builder page) {
  auto event = page.initEvents(1)[0];
  event.initNext().setTurn(7);
  event.getNext().setFact(1);
  event.setAtUs(5);
  event.setKind("runs-ended");
  event.setJob(17);
  event.setStage(1);
  auto stride = event.initIndices(1)[0];
  stride.setFirst(3);
  stride.setCount(4);
  event.setCount(4);
  event.setAttempt(2);
  event.setNode(3);
  event.setPool(1);
  event.setState("failed");
  event.setRetryInUs(30'000'000);
  event.setUid(1000);
  event.setPerson(true);
  event.setText("text");
  page.initNext().setTurn(8);
  page.setLostTurns(2);
}

void fill_overview(schema::Overview::Builder overview) {
  overview.setCursor(9);
  overview.setNowUs(10);
  overview.initPools(1)[0].setId(1);
  auto node = overview.initNodes(1)[0];
  node.setNode(3);
  node.setPool(1);
  node.setState("up");
  node.setBusyPermille(250);
  fill_job(overview.initJobs(1)[0]);
  overview.setJobsActive(1);
  overview.initCounts().setTotal(10);
}

class JsonGolden : public testing::Test {
 protected:
  JsonGolden() {
    cluster.start_head();
    cluster.start_data_servers();
    std::string words;
    spool::append_about_ranks(words, spool::rank_place_line({0, 4711, {0, 1}, "here"}) +
                                         spool::rank_place_line({1, 4712, {}, "here"}));
    const auto tell = [&words](const std::string& line) { spool::append_about_ranks(words, line); };
    tell(spool::subtask_line({spool::kFirstSubtask, 4713, 1'700'000'000'000'000, "here", "x", {}}));
    tell(spool::subtask_end_line(spool::kFirstSubtask, {1'700'000'000'500'000, 3, false}));
    cluster.world.gang = {{"", true, words}};
    cluster.world.attempt = 2;
    cluster.world.fill_job = fill_job;
    cluster.world.sights.pages = {fill_event};
    cluster.world.sights.fill_overview = fill_overview;
    cluster.world.sights.make_copy = [this] {
      const std::string path = cluster.home.path + "/copy.db";
      sqlite3* database = nullptr;
      sqlite3_open(path.c_str(), &database);
      sqlite3_exec(database, "CREATE TABLE t (x); INSERT INTO t VALUES (1), (NULL)", nullptr,
                   nullptr, nullptr);
      sqlite3_close(database);
      return path;
    };
    cluster.world.fill_status = [](schema::Status::Builder status) {
      auto daemon = status.initDaemons(1)[0];
      daemon.setName("leat-agent");
      daemon.setPid(4711);
      daemon.setNode(2);
      status.initPools(1)[0].initSpec().setName("local");
    };
  }

  FakeCluster cluster;
};

TEST_F(JsonGolden, IsWhatEveryReaderSays) {
  const Reader readers[] = {
      {"status", kStatus, {"--json"}},
      {"node_list", kNodeList, {"--json"}},
      {"job_list", kJobList, {"--json"}},
      {"job_show", kJobShow, {"17", "--json"}},
      {"task_show", kTaskShow, {"17.7", "--json"}},
      {"why", kWhy, {"17.3", "--json"}},
      {"events", kEvents, {"--since", "3", "--json"}},
      {"top", kTop, {"--once", "--json"}},
      {"history_sql", kHistorySql, {"--json", "SELECT x FROM t"}},
      {"history_prune", kHistoryPrune, {"--json", "--before", "1d"}},
  };
  for (const Reader& reader : readers) {
    SCOPED_TRACE(reader.file);
    cluster.console.written.clear();
    EXPECT_EQ(cluster.run(reader.entry, reader.words), 0) << cluster.failure;
    std::string shown = cluster.console.written;
    const std::size_t home = shown.find(cluster.home.path);
    if (home != std::string::npos) shown.replace(home, cluster.home.path.size(), "HOME");
    const std::string& agent = cluster.world.agent_address;
    const std::size_t address = shown.find(agent);
    if (address != std::string::npos) shown.replace(address, agent.size(), "AGENT");
    EXPECT_EQ(shown.rfind("{\"version\":1,", 0), 0u) << shown;
    const std::string path = std::string(LEAT_GOLDEN_DIR "/json/") + reader.file + ".json";
    if (std::getenv("UPDATE_GOLDEN") != nullptr) {
      std::ofstream(path, std::ios::binary) << shown;
    } else {
      EXPECT_EQ(shown, read_file(path));
    }
  }
}

}  // namespace
}  // namespace leat::cli
