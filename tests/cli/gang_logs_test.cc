#include <gtest/gtest.h>

#include <utility>

#include "cli/gang_follow.h"
#include "cli/rank_lines.h"
#include "spool/rank_frames.h"
#include "tests/cli/fake_cluster.h"

namespace leat::cli {
namespace {

using spool::kNoRank;

// A stream of records as a launcher writes it.
std::string frames(std::vector<std::pair<std::uint32_t, std::string>> records) {
  std::string bytes;
  for (const auto& [rank, content] : records) spool::append_rank_frame(bytes, rank, content);
  return bytes;
}

class GangLogsTest : public testing::Test {
 protected:
  GangLogsTest() {
    cluster.start_head();
    cluster.start_data_servers();
    cluster.world.gang = {
        {frames({{0, "a0\nb"}, {1, "a1\n"}, {kNoRank, "a warning\n"}, {0, "0\nc0"}}), true},
        {frames({{2, "a2\n"}, {3, "a3"}}), true}};
  }

  std::string logs(std::vector<std::string> words, int code = 0) {
    cluster.console.written.clear();
    words.insert(words.begin(), "17.0");
    EXPECT_EQ(cluster.run(kLogs, words), code) << cluster.failure;
    return cluster.console.written;
  }

  bool has_written(const std::string& text) const {
    return cluster.console.written.find(text) != std::string::npos;
  }

  // The first member writes one thing more and ends.
  void end_with(const std::string& last) {
    FakeMember& member = cluster.world.gang[0];
    if (member.finished) return;
    member = {member.output + frames({{0, last}}), true};
    cluster.lose_data_sessions();
  }

  FakeCluster cluster;
};

TEST_F(GangLogsTest, ComeMemberAfterMemberInWholeLines) {
  EXPECT_EQ(logs({}), "a0\na1\na warning\nb0\na2\nc0a3");
}

TEST_F(GangLogsTest, NameTheRankOfEveryLine) {
  EXPECT_EQ(logs({"--label"}),
            "[0] a0\n[1] a1\n[launcher] a warning\n[0] b0\n[2] a2\n[0] c0\n[3] a3\n");
}

TEST_F(GangLogsTest, AreOfOneRankByteForByte) {
  EXPECT_EQ(logs({"--rank", "0"}), "a0\nb0\nc0");
  EXPECT_EQ(logs({"--rank", "3"}), "a3");
  EXPECT_EQ(logs({"--rank", "0", "--label"}), "[0] a0\n[0] b0\n[0] c0\n");
  EXPECT_TRUE(cluster.console.said.empty());
}

class SubtaskLogsTest : public GangLogsTest {
 protected:
  SubtaskLogsTest() {
    cluster.world.gang = {
        {frames({{spool::kCoordination, "up\n"}, {spool::kApplication, "app"}}), true},
        {frames({{spool::kCoordination, "up too\n"},
                 {spool::kFirstSubtask, "one\nt"},
                 {spool::kFirstSubtask + 1, "two\n"},
                 {spool::kFirstSubtask, "hree\n"}}),
         true}};
  }
};

TEST_F(SubtaskLogsTest, NameTheSubtaskOfEveryLine) {
  EXPECT_EQ(logs({"--label"}),
            "[0:coordination] up\n[1:coordination] up too\n[1:0] one\n[1:1] two\n[1:0] three\n"
            "[application] app\n");
}

TEST_F(SubtaskLogsTest, AreOfOneSubtaskByteForByte) {
  for (const bool follows : {false, true}) {
    const auto of = [&](const std::string& subtask) {
      return follows ? logs({"--subtask", subtask, "-f"}) : logs({"--subtask", subtask});
    };
    EXPECT_EQ(of("1:0"), "one\nthree\n");
    EXPECT_EQ(of("1:1"), "two\n");
    EXPECT_EQ(of("application"), "app");
    EXPECT_EQ(of("1:coordination"), "up too\n");
  }
  EXPECT_EQ(logs({"--subtask", "coordination"}), "up\nup too\n");
  EXPECT_EQ(logs({"--subtask", "1:0", "--label"}), "[1:0] one\n[1:0] three\n");
  EXPECT_TRUE(cluster.console.said.empty());
}

TEST_F(SubtaskLogsTest, OfOneSubtaskReadNoOtherNode) {
  logs({"--subtask", "0:0"});
  EXPECT_EQ(cluster.world.bytes_read, cluster.world.gang[0].output.size());
  ASSERT_EQ(cluster.console.said.size(), 1u);
  EXPECT_EQ(cluster.console.said[0],
            "leat: subtask 0:0 of 17.0 has written nothing; leat task show 17.0 lists subtasks");
}

TEST_F(SubtaskLogsTest, SayInALineWhatCannotBe) {
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"-f"}}) {
    std::vector<std::string> words{"--subtask", "2:0"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(logs(words, 2), "");
    EXPECT_EQ(cluster.failure,
              "--subtask 2:0: the members of 17.0 are 0 to 1: leat task show 17.0 lists subtasks");
  }
  for (const char* const name : {"", "1", "1:", ":0", "x:0", "1:x", "1:4294967296", "-1:0"}) {
    EXPECT_EQ(logs({std::string("--subtask=") + name}, 2), "") << name;
    EXPECT_EQ(cluster.failure.find(std::string("--subtask \"") + name + "\" is not like 1:0"), 0u)
        << cluster.failure;
  }
  EXPECT_EQ(logs({"--subtask", "1:0", "--rank", "0"}, 2), "");
  EXPECT_EQ(cluster.failure, "--rank or --subtask: a subtask is no rank");
  cluster.world.gang.clear();
  cluster.world.output = "plain";
  EXPECT_EQ(logs({"--subtask", "1:0"}, 2), "");
  EXPECT_EQ(cluster.failure, "--subtask: task 17.0 is no gang, it has no subtasks");
  EXPECT_EQ(logs({"--subtask", "application", "-f"}, 2), "");
}

TEST_F(GangLogsTest, SayThatARankHasWrittenNothing) {
  EXPECT_EQ(logs({"--rank", "9"}), "");
  ASSERT_EQ(cluster.console.said.size(), 1u);
  EXPECT_EQ(cluster.console.said[0], "leat: rank 9 of 17.0 has written nothing");
}

TEST_F(GangLogsTest, OfSeveralTasksNameTaskAndRank) {
  cluster.world.gang.resize(1);
  cluster.world.gang[0].output = frames({{1, "x\n"}});
  EXPECT_EQ(cluster.run(kLogs, {"17.0-1", "--label"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "17.0: [1] x\n17.1: [1] x\n");
}

TEST_F(GangLogsTest, HaveNoRanksWhereThereIsNoGang) {
  cluster.world.gang.clear();
  cluster.world.output = "plain";
  EXPECT_EQ(logs({"--rank", "0"}, 2), "");
  EXPECT_EQ(cluster.failure, "--rank: task 17.0 is no gang, it has no ranks");
  EXPECT_EQ(logs({"--rank", "x"}, 2), "");
  EXPECT_EQ(cluster.failure, "--rank \"x\" is not a whole number from 0 to 2147483647");
  EXPECT_EQ(logs({"--label"}), "17.0: plain\n");
}

TEST_F(GangLogsTest, LeaveOutWhatALauncherSaysToPrograms) {
  cluster.world.gang = {
      {frames({{spool::kAboutRanks, "rank 0 pid 1 cpus - host n\n"}, {0, "a\n"}}), true}};
  EXPECT_EQ(logs({}), "a\n");
  EXPECT_EQ(logs({"--label"}), "[0] a\n");
  EXPECT_EQ(logs({"--rank", std::to_string(spool::kAboutRanks)}, 2), "");
}

TEST_F(GangLogsTest, LeaveOutWhatIsNoRecord) {
  cluster.world.gang = {{"junk" + frames({{0, "a\n"}}) + "junk" + frames({{0, "b\n"}}), true}};
  EXPECT_EQ(logs({}), "a\nb\n");
}

TEST_F(GangLogsTest, OfAGangThatRunsEndWhereItIs) {
  cluster.world.gang[0].finished = false;
  cluster.world.gang[0].output.pop_back();
  EXPECT_EQ(logs({"--rank", "0"}), "a0\nb");
}

TEST_F(GangLogsTest, AreFollowedOnAllMembersAtOnce) {
  cluster.world.gang[0] = {frames({{0, "first\n"}}), false};
  cluster.console.on_out = [this] {
    if (has_written("[0] first\n") && has_written("[2] a2\n")) end_with("last\n");
  };
  // Nothing of the second member before the end of the first would be waited for for ever.
  bool given_up = false;
  cluster.in_background(cluster.io.provider->getTimer().afterDelay(20 * kj::SECONDS).then([&] {
    given_up = true;
    end_with("last\n");
  }));
  const std::string all = logs({"-f", "--label"});
  EXPECT_FALSE(given_up);
  EXPECT_NE(all.find("[0] last\n"), std::string::npos) << all;
  EXPECT_EQ(all.size(), std::string("[0] first\n[0] last\n[2] a2\n[3] a3\n").size()) << all;
}

TEST_F(GangLogsTest, ThatAreFollowedBeginAnewWithTheGang) {
  cluster.world.gang[0] = {frames({{0, "old\n"}}), false};
  cluster.console.on_out = [this] {
    if (!has_written("old\n") || !has_written("a2\n")) return;
    if (std::exchange(cluster.world.attempt, 2) == 2) return;
    cluster.world.gang = {{frames({{0, "new\n"}}), true}, {frames({{1, "too\n"}}), true}};
    cluster.lose_data_sessions();
  };
  const std::string all = logs({"-f"});
  EXPECT_TRUE(has_written("new\n") && has_written("too\n")) << all;
  ASSERT_EQ(cluster.console.said.size(), 1u);
  EXPECT_EQ(cluster.console.said[0], "leat: the task was started again, as attempt 2");
}

TEST_F(GangLogsTest, AreNotFollowedOnMoreNodesThanThereAreDescriptors) {
  cluster.world.gang.resize(kFollowedMembersMax + 1);
  EXPECT_EQ(logs({"-f"}, 2), "");
  EXPECT_EQ(cluster.failure,
            "-f follows gangs of at most 512 nodes, this one has 513: leave -f out for what there "
            "is");
}

TEST_F(GangLogsTest, OfAMemberThatIsLostDoNotHideTheOthers) {
  cluster.world.stored = true;
  cluster.world.store_refusal = "leat-store has no output of node 3";
  EXPECT_EQ(logs({}, 1), "");
  ASSERT_EQ(cluster.console.said.size(), 2u);
  EXPECT_EQ(cluster.console.said[1], "leat: 17.0: output lost with node 3 at noon");
  cluster.console.said.clear();
  EXPECT_EQ(logs({"-f"}, 1), "");
  EXPECT_EQ(cluster.console.said.size(), 2u);
}

TEST(RankLines, PassALineOnThatHasNoEnd) {
  FakeConsole console;
  RankLines lines(console, {std::nullopt, false, ""});
  const std::string piece(RankLines::kLineMax, 'x');
  lines.take(0, 0, piece);
  EXPECT_EQ(console.written, "");
  lines.take(0, 0, "y");
  EXPECT_EQ(console.written, piece + 'y');
  lines.take(0, 1, "z");
  lines.finish();
  EXPECT_EQ(console.written, piece + "yz");
}

}  // namespace
}  // namespace leat::cli
