#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/follow.h"
#include "tests/cli/fake_cluster.h"
#include "transport/blob_client.h"

namespace leat::cli {
namespace {

std::string hash_of(const std::string& bytes) {
  transport::Sha256 sha256;
  sha256.update(std::as_bytes(std::span(bytes.data(), bytes.size())));
  const transport::Hash hash = sha256.finish();
  return std::string(reinterpret_cast<const char*>(hash.data()), hash.size());
}

class DataTest : public testing::Test {
 protected:
  DataTest() {
    cluster.start_head();
    cluster.start_data_servers();
  }

  void write_file(const std::string& name, const std::string& content) {
    std::ofstream(cluster.home.path + '/' + name, std::ios::binary) << content;
  }

  std::string read_file(const std::string& name) {
    std::ifstream file(cluster.home.path + '/' + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void set_result(const std::string& bytes) {
    cluster.world.result_hash = hash_of(bytes);
    cluster.world.result_length = bytes.size();
    cluster.world.blobs[hash_of(bytes)] = bytes;
  }

  FakeCluster cluster;
};

TEST_F(DataTest, EachLineUploadsLinesAndOffsetsOnce) {
  const std::string lines = "one\ntwo\nthree\nfour\nfive";
  write_file("lines", lines);
  unsigned submits = 0;
  cluster.world.on_submit = [&](schema::JobSpec::Reader spec) {
    ++submits;
    const schema::StageSpec::Reader stage = spec.getStages()[0];
    EXPECT_EQ(stage.getIndices()[0].getFirst(), 0u);
    EXPECT_EQ(stage.getIndices()[0].getCount(), 3u);
    const schema::Inputs::Lines::Reader input = stage.getInputs().getLines();
    EXPECT_EQ(input.getChunk(), 2u);
    EXPECT_EQ(input.getLines(), 5u);
    EXPECT_EQ(input.getData().getLength(), lines.size());
    EXPECT_EQ(input.getOffsets().getLength(), 32u);
  };
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(cluster.run(kSubmit, {"--each-line", "lines", "--chunk", "2", "--", "cat"}), 0)
        << cluster.failure;
  EXPECT_EQ(submits, 2u);
  EXPECT_EQ(cluster.world.puts, 2u) << "content that is there is not sent again";
  std::string offsets;
  for (const std::uint64_t offset : {0, 8, 19, 23})
    for (int i = 0; i < 8; ++i) offsets += static_cast<char>(offset >> (8 * i) & 0xff);
  EXPECT_EQ(cluster.world.blobs.at(hash_of(lines)), lines);
  EXPECT_EQ(cluster.world.blobs.at(hash_of(offsets)), offsets);
}

TEST_F(DataTest, EachLineRefusesWhatHasNoLines) {
  write_file("empty", "");
  EXPECT_EQ(cluster.run(kSubmit, {"--each-line", "empty", "--", "cat"}), 2);
  EXPECT_EQ(cluster.failure, "empty: empty: one task per line is made");
  EXPECT_EQ(cluster.run(kSubmit, {"--each-line", "none", "--", "cat"}), 2);
  EXPECT_EQ(cluster.failure, "none: No such file or directory");
  EXPECT_EQ(cluster.run(kSubmit, {"--each-line", "/", "--", "cat"}), 2);
  EXPECT_EQ(cluster.run(kSubmit, {"--each-line", "empty", "--chunk", "0", "--", "cat"}), 2);
  EXPECT_TRUE(cluster.world.keys_seen.empty());
}

TEST_F(DataTest, EachFileMakesATaskOfEveryName) {
  write_file("b.txt", "");
  write_file("a.txt", "");
  std::filesystem::create_directory(cluster.home.path + "/c.txt");
  cluster.world.on_submit = [&](schema::JobSpec::Reader spec) {
    const schema::StageSpec::Reader stage = spec.getStages()[0];
    EXPECT_EQ(stage.getIndices()[0].getCount(), 2u);
    const schema::Inputs::Lines::Reader input = stage.getInputs().getLines();
    EXPECT_EQ(input.getUse(), schema::Inputs::Lines::Use::FILE);
    EXPECT_EQ(input.getLines(), 2u);
  };
  EXPECT_EQ(cluster.run(kSubmit, {"--each-file", "[ab].*", "--each-file", "*.txt", "--", "cat"}), 0)
      << cluster.failure;
  const std::string names = cluster.home.path + "/a.txt" + cluster.home.path + "/b.txt";
  EXPECT_EQ(cluster.world.blobs.count(hash_of(names)), 1u);
  EXPECT_EQ(cluster.run(kSubmit, {"--each-file", "*.none", "--", "cat"}), 2);
  EXPECT_EQ(cluster.failure, "--each-file *.none: matches no file");
  EXPECT_EQ(cluster.run(kSubmit, {"--each-file", "c.*", "--", "cat"}), 2);
  EXPECT_EQ(cluster.failure, "--each-file c.*: matches directories only: name the files in them");
  EXPECT_EQ(cluster.run(kSubmit, {"--each-file", "*", "--array", "1-2", "--", "cat"}), 2);
  EXPECT_EQ(cluster.world.keys_seen.size(), 1u);
}

TEST_F(DataTest, FromJsonMakesATaskOfEveryObject) {
  const std::string text = "{\"n\": 1}\n\n{\"n\": 2}";
  write_file("objects", text);
  cluster.world.on_submit = [&](schema::JobSpec::Reader spec) {
    const schema::StageSpec::Reader stage = spec.getStages()[0];
    EXPECT_EQ(stage.getIndices()[0].getCount(), 2u);
    const schema::Inputs::Lines::Reader input = stage.getInputs().getLines();
    EXPECT_EQ(input.getUse(), schema::Inputs::Lines::Use::OBJECT);
    EXPECT_EQ(input.getOffsets().getLength(), 24u);
  };
  EXPECT_EQ(cluster.run(kSubmit, {"--from-json", "objects", "--", "cat", "{n}"}), 0)
      << cluster.failure;
  EXPECT_EQ(cluster.world.blobs.count(hash_of(text)), 1u);
  write_file("wrong", "{\"n\": 1}\nnot json\n");
  EXPECT_EQ(cluster.run(kSubmit, {"--from-json", "wrong", "--", "cat"}), 2);
  EXPECT_EQ(cluster.failure, "wrong: line 2: is not JSON, at its byte 2");
  EXPECT_EQ(cluster.world.keys_seen.size(), 1u);
}

TEST_F(DataTest, StandardInputIsUploadedForTheWholeJob) {
  write_file("in", "input");
  cluster.world.on_submit = [&](schema::JobSpec::Reader spec) {
    const schema::Inputs::Reader inputs = spec.getStages()[0].getInputs();
    EXPECT_TRUE(inputs.isNone());
    EXPECT_EQ(inputs.getStandardInput().getLength(), 5u);
    EXPECT_EQ(spec.getStages()[0].getIndices()[0].getCount(), 9u);
  };
  EXPECT_EQ(cluster.run(kSubmit, {"--stdin", "in", "--array", "1-9", "--", "cat"}), 0)
      << cluster.failure;
  EXPECT_EQ(cluster.world.blobs.count(hash_of("input")), 1u);
  EXPECT_EQ(cluster.run(kSubmit, {"--stdin", "in", "--each-line", "in", "--", "cat"}), 2);
  EXPECT_EQ(cluster.failure,
            "--stdin and --each-line: give one of them, each is what tasks read on "
            "standard input");
}

TEST_F(DataTest, ResultIsTheBytesThemselves) {
  std::string bytes(3'000'000, 'x');
  bytes[17] = '\0';
  set_result(bytes);
  EXPECT_EQ(cluster.run(kResult, {"17"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, bytes);
}

TEST_F(DataTest, ResultCanBeEmpty) {
  set_result("");
  EXPECT_EQ(cluster.run(kResult, {"17"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "");
}

TEST_F(DataTest, ResultGoesToAFileWhole) {
  set_result("the result");
  EXPECT_EQ(cluster.run(kResult, {"17", "--output", cluster.home.path + "/out"}), 0);
  EXPECT_EQ(read_file("out"), "the result");
  EXPECT_EQ(cluster.console.written, "");
}

TEST_F(DataTest, ResultThatIsDamagedIsNotPassedOffAsWhole) {
  set_result("the result");
  cluster.world.blobs[hash_of("the result")] = "the resulT";
  write_file("out", "before");
  EXPECT_EQ(cluster.run(kResult, {"17", "--output", cluster.home.path + "/out"}), 1);
  EXPECT_EQ(read_file("out"), "before");
  for (const auto& entry : std::filesystem::directory_iterator(cluster.home.path))
    EXPECT_EQ(entry.path().filename().string().rfind("out.", 0), std::string::npos);
}

TEST_F(DataTest, ResultOfAJobWithoutOneSaysWhy) {
  bool first = true;
  cluster.world.refuse = [&](schema::Refusal::Builder refusal) {
    refusal.setReason(schema::Refusal::Reason::CONFLICT);
    refusal.setMessage("no result");
    if (std::exchange(first, false)) cluster.world.refuse = nullptr;
  };
  cluster.world.fill_job = [](schema::JobSummary::Builder job) {
    job.setState(schema::JobState::RUNNING);
  };
  EXPECT_EQ(cluster.run(kResult, {"17"}), 1);
  EXPECT_EQ(cluster.failure, "job 17 has not ended: leat wait 17 first");
}

TEST_F(DataTest, ResultEndsQuietlyWhenNobodyReads) {
  set_result("the result");
  cluster.console.closed = true;
  EXPECT_THROW(cluster.run(kResult, {"17"}), OutputClosed);
}

TEST_F(DataTest, LogsAreTheBytesThemselves) {
  cluster.world.output = std::string("a\0b\nccc", 7);
  EXPECT_EQ(cluster.run(kLogs, {"17.0"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, cluster.world.output);
}

TEST_F(DataTest, LogsOfALiveTaskEndWhereItIsUnlessFollowed) {
  cluster.world.output = "so far";
  cluster.world.output_finished = false;
  EXPECT_EQ(cluster.run(kLogs, {"17.0"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "so far");
}

TEST_F(DataTest, LogsOfALiveTaskThatIsSilentAreEmpty) {
  cluster.world.output_finished = false;
  EXPECT_EQ(cluster.run(kLogs, {"17.0"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "");
}

TEST_F(DataTest, LogsThatAreFollowedEndWithTheTask) {
  cluster.world.output = "so far";
  cluster.world.output_finished = false;
  cluster.in_background(
      cluster.io.provider->getTimer().afterDelay(100 * kj::MILLISECONDS).then([this] {
        cluster.world.output += ", and on";
        cluster.world.output_finished = true;
        cluster.lose_data_sessions();
      }));
  EXPECT_EQ(cluster.run(kLogs, {"17.0", "-f"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "so far, and on");
}

TEST_F(DataTest, LogsGoOnWhereTheyWereWhenTheAgentIsRestarted) {
  cluster.world.output = "0123456789";
  cluster.world.reads_until_lost = 2;
  EXPECT_EQ(cluster.run(kLogs, {"17.0"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "0123456789");
}

TEST_F(DataTest, LogsOfSeveralTasksComeInOrderAndWithLabels) {
  cluster.world.output = "a\nb";
  cluster.world.tasks = {{0, 2, 5}};
  EXPECT_EQ(cluster.run(kLogs, {"17", "--label"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "17.0: a\n17.0: b\n17.5: a\n17.5: b\n");
  cluster.console.written.clear();
  EXPECT_EQ(cluster.run(kLogs, {"17.1.3-4"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "a\nba\nb");
  EXPECT_EQ(cluster.run(kLogs, {"17", "-f"}), 2);
  EXPECT_EQ(cluster.failure, "-f follows one task: name it, like 17.0");
  EXPECT_EQ(cluster.run(kLogs, {"17.0-10000"}), 2);
  EXPECT_EQ(cluster.failure,
            "10001 tasks are more than the 10000 of one call: name fewer, like 17.0-99");
}

TEST_F(DataTest, LogsOfANodeThatIsGoneComeFromTheStore) {
  cluster.world.stored = true;
  cluster.world.output = "kept";
  EXPECT_EQ(cluster.run(kLogs, {"17.0"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "kept");
  cluster.world.store_refusal = "leat-store has no output of node 3";
  EXPECT_EQ(cluster.run(kLogs, {"17.0"}), 1);
  EXPECT_EQ(cluster.failure, "output lost with node 3 at noon");
  cluster.world.store_refusal = "output deleted: there was no room";
  EXPECT_EQ(cluster.run(kLogs, {"17.0"}), 1);
  EXPECT_EQ(cluster.failure, "output deleted: there was no room");
}

TEST_F(DataTest, LogsSayOfWhichTaskTheyHaveNothing) {
  cluster.world.stored = true;
  cluster.world.store_refusal = "leat-store has no output of node 3";
  cluster.world.tasks = {{4, 1, 1}};
  EXPECT_EQ(cluster.run(kLogs, {"17"}), 1) << cluster.failure;
  ASSERT_EQ(cluster.console.said.size(), 1u);
  EXPECT_EQ(cluster.console.said[0], "leat: 17.4: output lost with node 3 at noon");
}

TEST_F(DataTest, LogsThatAreFollowedWaitForTheStart) {
  cluster.world.output = "at last";
  cluster.world.not_yet = true;
  cluster.world.on_watch = [this] {
    cluster.world.not_yet = false;
    ++cluster.world.cursor;
    if (cluster.world.watcher.get() != nullptr) cluster.world.watcher->fulfill();
  };
  EXPECT_EQ(cluster.run(kLogs, {"17.0", "-f"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "at last");
  cluster.world.not_yet = true;
  cluster.world.on_watch = nullptr;
  EXPECT_EQ(cluster.run(kLogs, {"17.0"}), 1);
  EXPECT_EQ(cluster.failure,
            "task 17.0 has not run yet: leat why 17.0 says why, leat logs -f waits for it");
}

TEST_F(DataTest, NothingIsReadWithoutCredentials) {
  ASSERT_EQ(::chmod((cluster.home.user_credentials() + "/credentials.pem").c_str(), 0644), 0);
  EXPECT_EQ(cluster.run(kLogs, {"17.0"}), 2);
  EXPECT_NE(cluster.failure.find("mode 0644"), std::string::npos) << cluster.failure;
}

}  // namespace
}  // namespace leat::cli
