// History against a fake head that hands out a small database.

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "cli/history_file.h"
#include "tests/cli/fake_cluster.h"

namespace leat::cli {
namespace {

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() {
    cluster.start_head();
    cluster.world.sights.make_copy = [this] { return make_copy(); };
  }

  std::string make_copy() {
    const std::string path = cluster.home.path + "/copy.db";
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
    const char* const sql =
        "CREATE TABLE job_history (id INTEGER PRIMARY KEY, name TEXT, summary BLOB);"
        "INSERT INTO job_history VALUES (1, 'a, \"b\"', x'00ff'), (2, NULL, x''), (3, 'c', NULL);";
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    return path;
  }

  int sql(std::vector<std::string> words) {
    cluster.console.written.clear();
    const int code = cluster.run(kHistorySql, std::move(words));
    EXPECT_NE(::access((cluster.home.path + "/copy.db").c_str(), F_OK), 0);
    return code;
  }

  FakeCluster cluster;
};

TEST_F(HistoryTest, IsAskedInSqlAndShownInThreeForms) {
  EXPECT_EQ(sql({"SELECT id, name FROM job_history ORDER BY id"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "id  name\n1   a, \"b\"\n2   -\n3   c\n");
  EXPECT_EQ(sql({"--csv", "SELECT * FROM job_history ORDER BY id;"}), 0);
  EXPECT_EQ(cluster.console.written, "id,name,summary\n1,\"a, \"\"b\"\"\",00ff\n2,,\n3,c,\n");
  EXPECT_EQ(sql({"--json", "SELECT sum(id) / 4.0 AS x, count(*) FROM job_history"}), 0);
  EXPECT_EQ(cluster.console.written,
            "{\"version\":1,\"columns\":[\"x\",\"count(*)\"],\"rows\":[[1.5,3]],\"more\":false}\n");
}

TEST_F(HistoryTest, EndsAtItsLimits) {
  EXPECT_EQ(sql({"--limit", "2", "--json", "SELECT id FROM job_history"}), 0);
  EXPECT_NE(cluster.console.written.find("\"rows\":[[1],[2]],\"more\":true"), std::string::npos);
  ASSERT_EQ(cluster.console.said.size(), 1u);
  EXPECT_EQ(cluster.console.said[0], "leat: only the first 2 rows: --limit shows more");
  // A query without an end; the clock goes on a second at every look.
  std::int64_t now_us = 0;
  cluster.surroundings.wall_us = [&now_us] { return now_us += 1'000'000; };
  EXPECT_EQ(sql({"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i)"
                 " FROM n"}),
            124);
  EXPECT_EQ(cluster.failure, "the query took longer than 1m: ask for less, or give --timeout");
}

TEST_F(HistoryTest, CanOnlyBeRead) {
  const std::string other = cluster.home.path + "/other.db";
  for (const std::string& words :
       {std::string("DELETE FROM job_history"), std::string("DROP TABLE job_history"),
        "ATTACH '" + other + "' AS x", "VACUUM INTO '" + other + "'",
        std::string("PRAGMA user_version = 3"), std::string("CREATE TEMP TABLE t (x)"),
        std::string("INSERT INTO job_history VALUES (9, 'x', NULL)"),
        std::string("SELECT load_extension('x')"), std::string("BEGIN")}) {
    EXPECT_EQ(sql({words}), 2) << words;
    EXPECT_NE(cluster.failure, "") << words;
  }
  EXPECT_NE(::access(other.c_str(), F_OK), 0);
}

TEST_F(HistoryTest, NamesWhatIsWrongWithAQuery) {
  EXPECT_EQ(sql({"SELECT absent FROM job_history"}), 2);
  EXPECT_EQ(cluster.failure, "SQL: no such column: absent: the tables are in man leat-history");
  EXPECT_EQ(sql({"SELECT 1; SELECT 2"}), 2);
  EXPECT_EQ(cluster.failure, "SQL: one statement at a time");
  EXPECT_EQ(sql({" "}), 2);
  EXPECT_EQ(cluster.failure, "SQL: nothing to do: write a SELECT");
}

TEST_F(HistoryTest, IsExportedToAFileThatIsNotThere) {
  EXPECT_EQ(cluster.run(kHistoryExport, {"out.db"}), 0) << cluster.failure;
  struct stat info {};
  EXPECT_EQ(::stat((cluster.home.path + "/out.db").c_str(), &info), 0);
  EXPECT_NE(::access((cluster.home.path + "/copy.db").c_str(), F_OK), 0);
  EXPECT_EQ(cluster.run(kHistoryExport, {"out.db"}), 2);
  EXPECT_EQ(cluster.failure, cluster.home.path + "/out.db: exists: name another");
  EXPECT_EQ(cluster.run(kHistoryExport, {"/none/out.db"}), 2);
  EXPECT_EQ(cluster.failure, "/none/out.db: No such file or directory");
  EXPECT_NE(::access((cluster.home.path + "/copy.db").c_str(), F_OK), 0);
}

TEST_F(HistoryTest, IsExportedToAnotherFileSystem) {
  const std::string path = "/dev/shm/leat-history-test-" + std::to_string(::getpid());
  EXPECT_EQ(cluster.run(kHistoryExport, {path}), 0) << cluster.failure;
  HistoryFile copy(path);  // which removes it
  Value::List rows;
  copy.query(
      "SELECT count(*) FROM job_history", {1, {}}, [](const auto&) {},
      [&rows](Value::List cells) { rows = std::move(cells); });
  EXPECT_EQ(to_json(Value(rows)), "[3]\n");
}

TEST_F(HistoryTest, IsPrunedBeforeAnAgeOrADay) {
  EXPECT_EQ(cluster.run(kHistoryPrune, {"--before", "30d"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.world.sights.pruned_before_us,
            cluster.surroundings.wall_us() - 30ll * 24 * 3600 * 1'000'000);
  EXPECT_EQ(cluster.console.written, "deleted 2 jobs, 30 rows of runs, 4 events\n");
  EXPECT_EQ(cluster.run(kHistoryPrune, {"--before", "2020-02-03T04:05:06", "--json"}), 0);
  std::tm parts{};
  parts.tm_year = 120;
  parts.tm_mon = 1;
  parts.tm_mday = 3;
  parts.tm_hour = 4;
  parts.tm_min = 5;
  parts.tm_sec = 6;
  parts.tm_isdst = -1;
  EXPECT_EQ(cluster.world.sights.pruned_before_us, std::int64_t{std::mktime(&parts)} * 1'000'000);
  for (const char* const bad : {"", "yesterday", "2020-13-01", "2020-02-03x"}) {
    EXPECT_EQ(cluster.run(kHistoryPrune, {"--before", bad}), 2) << bad;
  }
  EXPECT_EQ(cluster.run(kHistoryPrune, {}), 2);
}

}  // namespace
}  // namespace leat::cli
