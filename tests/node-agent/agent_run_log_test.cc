#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "node-agent/report_queue.h"
#include "node-agent/run_log.h"
#include "tests/spool/scratch_directory.h"

namespace leat::agent {
namespace {

constexpr StageRef kStage{JobId{4}, 1};

IndexList list(std::string_view text) {
  return IndexList::parse(text).value();
}

StartSet stage(JobId job = kStage.job) {
  StageSpec spec;
  spec.program.argv = {"/bin/true"};
  spec.indices = list("0-99");
  StartSet set;
  set.runs.stage = {job, 1};
  set.spec = std::make_shared<const StageSpec>(spec);
  set.job_name = "name";
  set.is_result = true;
  return set;
}

std::vector<Ended> ended(std::string_view indices, std::int32_t code = 0) {
  RunResult result;
  result.code = code;
  std::vector<std::pair<RunId, RunResult>> runs;
  for (const Index index : list(indices).expand())
    runs.emplace_back(run_id(kStage, 1, index), result);
  return fold(std::move(runs));
}

std::pair<RunLog, RecoveredLog> open(const std::string& path) {
  auto log = RunLog::open(path);
  EXPECT_TRUE(log.ok());
  return std::move(log).value();
}

TEST(RunLog, RemembersStagesAndWhatTheHeadHasNotAcknowledged) {
  const ScratchDirectory dir;
  {
    auto [log, nothing] = open(dir.path("runs.log"));
    EXPECT_TRUE(nothing.stages.empty());
    log.joined(HeadEpoch{3}, -77);
    log.output_place({"old:1", "store", "old"});
    log.output_place({"host:2", "store", std::string("a\0b", 3)});
    log.stage(stage());
    log.stage(stage(JobId{5}));
    log.ended(ended("1-10"));
    log.ended(ended("11,20", 9));
    log.acknowledged(ended("3-8,20"));
    log.forgotten(JobId{5});
    ASSERT_TRUE(log.write().ok());
    log.ended(ended("50"));  // never written
  }
  const auto [log, found] = open(dir.path("runs.log"));
  EXPECT_EQ(found.head_epoch, HeadEpoch{3});
  EXPECT_EQ(found.head_clock_us, -77);
  EXPECT_EQ(found.output_place, (OutputPlace{"host:2", "store", std::string("a\0b", 3)}));
  ASSERT_EQ(found.stages.size(), 1u);
  EXPECT_EQ(found.stages[0].runs.stage, kStage);
  EXPECT_EQ(found.stages[0].job_name, "name");
  EXPECT_TRUE(found.stages[0].is_result);
  ASSERT_EQ(found.ended.size(), 1u);
  EXPECT_EQ(found.ended[0].runs.indices, list("1-2,9-11"));
  EXPECT_EQ(row_of(found.ended[0].columns, 4).code, 9);
}

TEST(RunLog, RemembersWhereAResultIs) {
  const ScratchDirectory dir;
  BlobRef blob;
  blob.hash[5] = std::byte{6};
  blob.length = 123;
  {
    auto [log, nothing] = open(dir.path("runs.log"));
    std::vector<Ended> one = ended("0");
    one[0].result = blob;
    log.ended(one);
    ASSERT_TRUE(log.write().ok());
  }
  EXPECT_EQ(open(dir.path("runs.log")).second.ended.at(0).result, blob);
}

TEST(RunLog, IsTheSameAfterARewrite) {
  const ScratchDirectory dir;
  {
    auto [log, nothing] = open(dir.path("runs.log"));
    log.ended(ended("0-99"));
    RecoveredLog content;
    content.head_epoch = HeadEpoch{8};
    content.output_place = {"host:2", "store", "right"};
    content.stages = {stage()};
    content.ended = ended("7");
    ASSERT_TRUE(log.rewrite(content).ok());
    EXPECT_FALSE(log.wants_rewrite());
  }
  const RecoveredLog found = open(dir.path("runs.log")).second;
  EXPECT_EQ(found.head_epoch, HeadEpoch{8});
  EXPECT_EQ(found.output_place, (OutputPlace{"host:2", "store", "right"}));
  EXPECT_EQ(found.stages.size(), 1u);
  EXPECT_EQ(found.ended, ended("7"));
}

// Whatever one byte of the file becomes, what was before it is read and nothing is made up.
TEST(RunLog, NeverInventsAResultWhateverHappensToItsBytes) {
  const ScratchDirectory dir;
  const std::string path = dir.path("runs.log");
  {
    auto [log, nothing] = open(path);
    log.joined(HeadEpoch{3}, 5);
    log.stage(stage());
    log.ended(ended("1-3"));
    log.acknowledged(ended("2"));
    log.ended(ended("4", 1));
    ASSERT_TRUE(log.write().ok());
  }
  const std::string whole = content_of(path);
  const std::string copy = dir.path("copy.log");
  const auto check = [&copy](const std::string& bytes) {
    ::unlink(copy.c_str());
    put_content(copy, bytes);
    ::chmod(copy.c_str(), 0600);
    auto log = RunLog::open(copy);
    if (!log.ok()) return;
    for (const Ended& e : log.value().second.ended) {
      EXPECT_EQ(e.runs.stage, kStage);
      EXPECT_TRUE(list("1-4").positions_of(e.runs.indices).has_value());
    }
    EXPECT_LE(log.value().second.stages.size(), 1u);
  };
  for (std::size_t i = 0; i < whole.size(); ++i) {
    check(whole.substr(0, i));
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      check(damaged);
    }
  }
}

}  // namespace
}  // namespace leat::agent
