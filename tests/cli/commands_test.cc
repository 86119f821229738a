#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/cli/fake_cluster.h"
#include "transport/secret_file.h"

namespace leat::cli {
namespace {

class CommandsTest : public testing::Test {
 protected:
  CommandsTest() { cluster.start_head(); }

  void refuse(schema::Refusal::Reason reason, const char* message) {
    cluster.world.refuse = [reason, message](schema::Refusal::Builder refusal) {
      refusal.setReason(reason);
      refusal.setMessage(message);
    };
  }

  FakeCluster cluster;
};

TEST_F(CommandsTest, SubmitPrintsTheIdAndNothingElse) {
  EXPECT_EQ(cluster.run(kSubmit, {"--array", "1-10", "--", "true"}), 0);
  EXPECT_EQ(cluster.console.written, "18\n");
  EXPECT_TRUE(cluster.console.said.empty());
}

TEST_F(CommandsTest, SubmitSendsWhatWasAskedFor) {
  bool checked = false;
  cluster.world.on_submit = [&](schema::JobSpec::Reader spec) {
    checked = true;
    EXPECT_EQ(spec.getName(), "true");
    EXPECT_EQ(spec.getPriority(), -5);
    ASSERT_EQ(spec.getStages().size(), 2u);
    const schema::StageSpec::Reader stage = spec.getStages()[0];
    EXPECT_EQ(stage.getProgram().getDirectory(), cluster.home.path.c_str());
    EXPECT_EQ(stage.getProgram().getArgv()[1], "--name");
    std::string names;
    for (const schema::Variable::Reader variable : stage.getProgram().getEnvironment())
      names += std::string(variable.getName().cStr()) + '=' + variable.getValue().cStr() + ' ';
    EXPECT_EQ(names, "PATH=/usr/bin:/bin EXTRA=2 NEW= ");
    EXPECT_EQ(stage.getProgram().getOutputLimitBytes(), 1024u);
    EXPECT_TRUE(stage.getProgram().getBindCores());
    EXPECT_TRUE(stage.getProgram().getTaskDirectory());
    EXPECT_EQ(stage.getMembers()[0].getResources().getMemoryBytes(), 2ull << 30);
    EXPECT_EQ(spec.getStages()[1].getProgram().getArgv()[1], "--");
  };
  EXPECT_EQ(
      cluster.run(
          kSubmit,
          {"--array",  "1-10",   "--priority",   "-5",       "--env", "EXTRA=2",        "--env",
           "NEW=",     "--bind", "--task-dir",   "--memory", "2G",    "--output-limit", "1K",
           "--reduce", "cat",    "--reduce-arg", "--",       "--",    "true",           "--name"}),
      0)
      << cluster.failure;
  EXPECT_TRUE(checked);
}

TEST_F(CommandsTest, SubmitAsksAgainWithTheSameKeyWhenTheHeadDies) {
  cluster.world.drop_before_answer = true;
  cluster.world.on_submit = [this](schema::JobSpec::Reader) {
    if (cluster.world.keys_seen.size() > 1) return;
    // Away for longer than a first attempt to find it again takes.
    cluster.in_background(
        cluster.io.provider->getTimer().afterDelay(300 * kj::MILLISECONDS).then([this] {
          cluster.start_head();
        }));
  };
  EXPECT_EQ(cluster.run(kSubmit, {"--", "true"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.written, "18\n");
  ASSERT_EQ(cluster.world.keys_seen.size(), 2u);
  EXPECT_EQ(cluster.world.keys_seen[0], cluster.surroundings.fresh_key);
  EXPECT_EQ(cluster.world.keys_seen[1], cluster.surroundings.fresh_key);
  EXPECT_EQ(cluster.world.jobs_by_key.size(), 1u);
}

TEST_F(CommandsTest, SubmitRelaysRefusalsWithTheirExitCode) {
  refuse(schema::Refusal::Reason::INVALID, "no node of pool local has 99 cores");
  EXPECT_EQ(cluster.run(kSubmit, {"--", "true"}), 2);
  EXPECT_EQ(cluster.failure, "no node of pool local has 99 cores");
  refuse(schema::Refusal::Reason::OVERLOADED, "later");
  EXPECT_EQ(cluster.run(kSubmit, {"--", "true"}), 4);
  refuse(schema::Refusal::Reason::NOT_IN_THIS_VERSION, "later");
  EXPECT_EQ(cluster.run(kSubmit, {"--", "true"}), 4);
  EXPECT_EQ(cluster.console.written, "");
}

TEST_F(CommandsTest, SubmitFindsMistakesWithoutTheHead) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"--", "no-such-program"},
       "no-such-program: no such program in PATH: give its path, like ./no-such-program"},
      {{"--", "./no"}, "./no: No such file or directory: name another"},
      {{"--", "/etc/passwd"}, "/etc/passwd: Permission denied: chmod +x it, or name another"},
      {{"--", "/etc"}, "/etc: Permission denied: chmod +x it, or name another"},
      {{"--", ""}, "the program's name is empty: name one after --"},
      {{"--cwd", "/none", "--", "true"}, "--cwd /none: no such directory: name one that exists"},
      {{"--array", "1-2", "--each-line", "x", "--", "true"},
       "--array and --each-line: give one of them, each makes the tasks"},
      {{"--chunk", "2", "--", "true"}, "--chunk: give --each-line FILE too, it counts its lines"},
      {{"--reduce-width", "2", "--", "true"}, "--reduce-width: give --reduce PROG too, it reduces"},
      {{"--reduce-arg", "x", "--", "true"}, "--reduce-arg: give --reduce PROG too, it reduces"},
      {{},
       "nothing to run: put -- PROGRAM ARGS… at the end, or name a job file: see leat submit "
       "--help"},
      {{"true"}, "true: a job file ends in .toml; a program and its arguments stand after --"},
      {{"/none.toml"}, "/none.toml: No such file or directory"},
      {{"--export", "NOPE", "--", "true"}, "--export NOPE: this environment has no such variable"},
      {{"--export", "PATH,,EXTRA", "--", "true"},
       "--export \"PATH,,EXTRA\": write all, none or NAME,NAME…"},
      {{"--export", "LEAT_HOME", "--", "true"},
       "--export LEAT_HOME: names that begin with LEAT_ are Leat's own"},
      {{"--env-from-file", "/none", "--", "true"},
       "--env-from-file /none: No such file or directory"},
      {{"--reduce", "cat", "--reduce-width", "1", "--", "true"},
       "--reduce-width \"1\" is not a whole number from 2 to 4294967296"},
      {{"--reduce", "no-such", "--", "true"},
       "--reduce no-such: no such program in PATH: give its path, like ./no-such"},
      {{"--time", "0", "--", "true"}, "--time 0: leave it out for no limit"},
      {{"--env", "X", "--", "true"}, "--env X: write NAME=VALUE"},
      {{"--env", "LEAT_X=1", "--", "true"},
       "--env LEAT_X=1: names that begin with LEAT_ are Leat's own"},
      {{"--env", "LEAT_CHECKPOINT_DIR=here", "--", "true"},
       "--env LEAT_CHECKPOINT_DIR=here: write the whole path, from /"},
      {{"--key", "", "--", "true"}, "--key: 1 to 128 bytes"},
      {{"--pool", "a b", "--", "true"}, "--pool a b: no pool has such a name: see leat status"},
      {{"--array", "0-4294967296", "--", "true"}, nullptr},
  };
  for (const auto& [words, message] : cases) {
    EXPECT_EQ(cluster.run(kSubmit, words), 2) << words[0];
    if (message != nullptr) {
      EXPECT_EQ(cluster.failure, message);
    }
  }
  EXPECT_TRUE(cluster.world.keys_seen.empty());
}

TEST_F(CommandsTest, NoHeadIsOneLineAndExitCode3) {
  cluster.kill_head();
  EXPECT_EQ(cluster.run(kStatus, {}), 3);
  EXPECT_EQ(cluster.failure,
            "no head answers at " + cluster.home.socket() + ": start one with leat up");
}

TEST_F(CommandsTest, AHomeThatIsOpenToOthersIsRefused) {
  ASSERT_EQ(::chmod(cluster.home.path.c_str(), 0755), 0);
  EXPECT_EQ(cluster.run(kStatus, {}), 2);
  EXPECT_NE(cluster.failure.find("mode 0755"), std::string::npos) << cluster.failure;
  ASSERT_EQ(::chmod(cluster.home.path.c_str(), 0700), 0);
}

TEST_F(CommandsTest, APathTooLongForASocketIsRefused) {
  cluster.home.path += '/' + std::string(100, 'x');
  EXPECT_EQ(cluster.run(kStatus, {}), 2);
  EXPECT_NE(cluster.failure.find("too long for a socket"), std::string::npos);
  cluster.home.path.resize(cluster.home.path.size() - 101);
}

TEST_F(CommandsTest, JobShowCarriesStateAndCounts) {
  cluster.world.fill_job = [](schema::JobSummary::Builder job) {
    job.setName("a\nb");
    job.setState(schema::JobState::FAILED);
    job.setStartedUs(1'000'000);
    job.setEndedUs(3'000'000);
    auto counts = job.initCounts();
    counts.setTotal(3);
    counts.setSucceeded(2);
    counts.setFailed(1);
    job.initStages(1).setWithCaveats(0, counts.asReader());
    auto failure = job.initFailures(1)[0];
    failure.setIndex(7);
    failure.setOutcome(schema::Outcome::SIGNAL);
    failure.setCode(11);
    failure.setNode(2);
  };
  EXPECT_EQ(cluster.run(kJobShow, {"last", "--json"}), 0);
  EXPECT_EQ(
      cluster.console.written,
      "{\"version\":1,\"id\":17,\"name\":\"a\\nb\",\"owner\":{\"uid\":0,\"host\":\"\"},"
      "\"state\":\"failed\",\"counts\":{\"total\":3,\"waiting\":0,\"running\":0,\"held\":0,"
      "\"succeeded\":2,\"failed\":1,\"cancelled\":0,\"quarantined\":0,\"skipped\":0},\"done\":3,"
      "\"priority\":0,\"submitted_us\":0,\"started_us\":1000000,\"ended_us\":3000000,"
      "\"elapsed_us\":2000000,\"stages\":[{\"total\":3,\"waiting\":0,\"running\":0,\"held\":0,"
      "\"succeeded\":2,\"failed\":1,\"cancelled\":0,\"quarantined\":0,\"skipped\":0}],"
      "\"retried\":0,\"lost\":0,\"has_result\":false,\"result_bytes\":0,\"failures\":["
      "{\"task\":\"17.7\",\"stage\":0,\"index\":7,\"outcome\":\"signal\",\"code\":11,\"node\":2,"
      "\"message\":\"ended by SIGSEGV\"}],\"retry_of\":null,\"skipped_for\":null,\"reason\":\"\","
      "\"held_us\":0,\"held_by_uid\":null,\"progress\":[]}\n");
  cluster.console.written.clear();
  EXPECT_EQ(cluster.run(kJobShow, {"17"}), 0);
  EXPECT_EQ(cluster.console.written.find("a\nb"), std::string::npos);
  EXPECT_NE(cluster.console.written.find("a\\x0ab"), std::string::npos);
  EXPECT_NE(cluster.console.written.find("ended by SIGSEGV"), std::string::npos);
}

TEST_F(CommandsTest, JobShowTellsWhatRunningTasksSay) {
  cluster.world.fill_job = [](schema::JobSummary::Builder job) {
    auto progress = job.initProgress(2);
    progress[0].initRun().setIndex(3);
    progress[0].setPermille(425);
    progress[0].setMessage("step 17\033[2J");
    progress[1].initRun().setIndex(4);
    progress[1].setPermille(1000);
  };
  EXPECT_EQ(cluster.run(kJobShow, {"17"}), 0);
  EXPECT_NE(cluster.console.written.find("RUNNING TASK  PERCENT  MESSAGE\n"
                                         "17.3             42.5  step 17\\x1b[2J\n"
                                         "17.4            100.0  -\n"),
            std::string::npos)
      << cluster.console.written;
}

TEST_F(CommandsTest, StatusNamesDaemonsWithTheirPids) {
  cluster.world.fill_status = [](schema::Status::Builder status) {
    auto daemon = status.initDaemons(1)[0];
    daemon.setName("leat-agent");
    daemon.setPid(4711);
    daemon.setNode(2);
    status.setAgentBytesIn(123);
  };
  EXPECT_EQ(cluster.run(kStatus, {"--json"}), 0);
  const std::string& json = cluster.console.written;
  EXPECT_NE(json.find("\"daemons\":[{\"name\":\"leat-agent\",\"pid\":4711,\"node\":2}]"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find("\"agent_bytes_in\":123"), std::string::npos) << json;
}

TEST_F(CommandsTest, ListsAreTablesOrDocuments) {
  EXPECT_EQ(cluster.run(kNodeList, {}), 0);
  EXPECT_EQ(
      cluster.console.written,
      "NODE  POOL   STATE  HOST  CORES  FREE  MEMORY  GPUS  MPI      RUNNING  QUEUED  AGENT  "
      "WARDEN  WHY\n"
      "   3  local  up     here      2   0.5       0     0  40.30.4        0       0    101     "
      "102  -\n");
  cluster.console.written.clear();
  EXPECT_EQ(cluster.run(kJobList, {"--json"}), 0);
  EXPECT_EQ(cluster.console.written.rfind("{\"version\":1,\"jobs\":[{\"id\":17,", 0), 0u);
}

TEST_F(CommandsTest, CancelNamesJobStageAndIndices) {
  EXPECT_EQ(cluster.run(kCancel, {"last"}), 0);
  EXPECT_EQ(cluster.run(kCancel, {"5.1-9:2"}), 0);
  EXPECT_EQ(cluster.run(kCancel, {"5.2.7"}), 0);
  EXPECT_EQ(cluster.world.cancelled, (std::vector<std::string>{"17.0", "5.0:1+5*2", "5.2:7+1*1"}));
}

TEST_F(CommandsTest, WhySaysWhatWouldUnblock) {
  EXPECT_EQ(cluster.run(kWhy, {"17"}), 0);
  EXPECT_EQ(cluster.console.written, "12 tasks: no node has 4 cores free: wait, or ask for less\n");
  cluster.console.written.clear();
  EXPECT_EQ(cluster.run(kWhy, {"17.3", "--json"}), 0);
  EXPECT_EQ(cluster.console.written,
            "{\"version\":1,\"job\":17,\"causes\":[{\"reason\":\"resources\",\"message\":"
            "\"no node has 4 cores free\",\"remedy\":\"wait, or ask for less\",\"tasks\":1}]}\n");
}

}  // namespace
}  // namespace leat::cli
