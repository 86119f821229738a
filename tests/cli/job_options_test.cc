#include "cli/job_options.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/random.h"

namespace leat::cli {
namespace {

using definitions::JobDefinition;

class JobOptionsTest : public testing::Test {
 protected:
  JobOptionsTest() {
    std::string made = testing::TempDir() + "leat-options-XXXXXX";
    if (::mkdtemp(made.data()) == nullptr) std::abort();
    surroundings.directory = made;
    surroundings.environment = {"PATH=/usr/bin:/bin", "LEAT_HOME=/x", "EXTRA=1", "HOME=/root"};
  }
  ~JobOptionsTest() override { std::filesystem::remove_all(surroundings.directory); }

  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(surroundings.directory + '/' + name) << text;
    return name;
  }

  JobDefinition from_options(std::vector<std::string> words) const {
    JobOptions options;
    Arguments arguments;
    std::vector<std::string> command;
    options.declare(arguments);
    arguments.rest("PROGRAM", command, false);
    const Result<Done> parsed = arguments.parse(std::move(words));
    EXPECT_TRUE(parsed.ok()) << parsed.refusal().message;
    return options.given(command);
  }

  JobDefinition from_file(const std::string& text) const {
    const Result<JobDefinition> job = definitions::parse_job(text, "job.toml");
    EXPECT_TRUE(job.ok()) << job.refusal().message;
    return job.value();
  }

  // What the head would be sent.
  std::string sent(const JobDefinition& job) const {
    capnp::MallocMessageBuilder message;
    fill_job_spec(read_job_request(job, surroundings), message.initRoot<schema::JobSpec>());
    capnp::MallocMessageBuilder copy;
    copy.setRoot(message.getRoot<schema::JobSpec>().asReader());
    const kj::Array<capnp::word> flat = capnp::messageToFlatArray(copy);
    return std::string(reinterpret_cast<const char*>(flat.begin()), flat.asBytes().size());
  }

  std::string refusal(const JobDefinition& job) const {
    try {
      (void)read_job_request(job, surroundings);
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.code, ExitCode::kUsage);
      return failure.message;
    }
    return "none";
  }

  Surroundings surroundings;
};

TEST_F(JobOptionsTest, TakeTheEnvironmentAsAsked) {
  file("vars", "# comment\nA=1\n\nEXTRA=3\n");
  const std::pair<std::vector<std::string>, std::vector<std::string>> cases[] = {
      {{}, {"PATH=/usr/bin:/bin", "EXTRA=1", "HOME=/root"}},
      {{"--export", "none"}, {}},
      {{"--export", "EXTRA,PATH"}, {"EXTRA=1", "PATH=/usr/bin:/bin"}},
      {{"--export", "none", "--env-from-file", "vars"}, {"A=1", "EXTRA=3"}},
      {{"--export", "EXTRA", "--env-from-file", "vars", "--env", "A=2"}, {"EXTRA=3", "A=2"}},
      {{"--export", "none", "--env", "LEAT_CHECKPOINT_DIR=/c"}, {"LEAT_CHECKPOINT_DIR=/c"}},
  };
  for (auto [words, expected] : cases) {
    words.insert(words.end(), {"--", "true"});
    EXPECT_EQ(read_job_request(from_options(words), surroundings).environment, expected);
  }
}

TEST_F(JobOptionsTest, DoNotHandOnWhichRankTheCallerIs) {
  surroundings.environment = {"PMI_RANK=3", "PMIX_NAMESPACE=slurm.pmix.1.1", "PMIX_MCA_gds=hash",
                              "SLURM_JOB_ID=17", "PMIXED=1"};
  EXPECT_EQ(read_job_request(from_options({"--", "/bin/true"}), surroundings).environment,
            (std::vector<std::string>{"PMIX_MCA_gds=hash", "SLURM_JOB_ID=17", "PMIXED=1"}));
  const auto named = from_options({"--export", "PMI_RANK", "--env", "PMIX_A=1", "--", "/bin/true"});
  EXPECT_EQ(read_job_request(named, surroundings).environment,
            (std::vector<std::string>{"PMI_RANK=3", "PMIX_A=1"}));
}

TEST_F(JobOptionsTest, NameTheLineOfABadVariable) {
  file("vars", "A=1\nnonsense\n");
  EXPECT_EQ(refusal(from_options({"--env-from-file", "vars", "--", "true"})),
            "vars:2: write NAME=VALUE");
  file("vars", "LEAT_X=1\n");
  EXPECT_EQ(refusal(from_options({"--env-from-file", "vars", "--", "true"})),
            "vars:1: names that begin with LEAT_ are Leat's own");
}

TEST_F(JobOptionsTest, NameLineAndColumnOfWhatAFileHasWrong) {
  const std::string ok = "command = ['true']\n";
  const std::pair<std::string, std::string> cases[] = {
      {"command = ['no-such']\n",
       "j:1:12: command no-such: no such program in PATH: give its path, like ./no-such"},
      {ok + "array = '5-1'\n", "j:2:9: array: index range \"5-1\": the end is below the start"},
      {ok + "cpus = 0\n", "j:2:8: cpus \"0\" is not a number of cores: write one like 1, 4 or 0.5"},
      {ok + "cpus = 0.0001\n",
       "j:2:8: cpus \"0.0001\" is not a number of cores: write one like 1, 4 or 0.5"},
      {ok + "memory = '2X'\n",
       "j:2:10: memory \"2X\" is not a size: write one like 512M, 2G or 1.5GiB"},
      {ok + "retries = -1\n", "j:2:11: retries \"-1\" is not a whole number from 0 to 1000000"},
      {ok + "time = 'soon'\n",
       "j:2:8: time \"soon\" is not a time: write one like 90s, 1h30m, 250ms or 01:30:00"},
      {ok + "time = '0'\n", "j:2:8: time 0: leave it out for no limit"},
      {ok + "priority = 9999999999\n",
       "j:2:12: priority \"9999999999\" is not a priority: write a whole number like 10"},
      {ok + "after = ['x']\n",
       "j:2:10: after \"x\" is nothing to come after: write JOB, JOB:success, JOB:failure or "
       "JOB:any, and /element behind it for task by task"},
      {ok + "retry_delay = '1s'\n", "j:2:15: retry_delay: give retries too, it says how often"},
      {ok + "retries = 1\nretry_delay = '1s,0.5'\n",
       "j:3:15: retry_delay \"1s,0.5\": the factor is from 1 to 100"},
      {ok + "retries = 1\nretry_delay = '2s,2,1s'\n",
       "j:3:15: retry_delay \"2s,2,1s\": the longest delay is shorter than the first"},
      {ok + "retries = 1\nretry_on = '256'\n",
       "j:3:12: retry_on \"256\" is no way to fail: write exit codes from 1 to 255 like 75 or "
       "100-110, signals like SIGKILL, time-limit, out-of-memory or could-not-start"},
      {ok + "signal = 'USR1'\n",
       "j:2:10: signal \"USR1\" is no warning: write a signal and a time, like USR1@30s"},
      {ok + "signal = 'USR1@3s'\n", "j:2:10: signal: give time too, it is counted back from there"},
      {ok + "start_within = '-1s'\n",
       "j:2:16: start_within \"-1s\" is not a time: write one like 90s, 1h30m, 250ms or "
       "01:30:00"},
      {ok + "chunk = 3\n", "j:2:9: chunk: give each_line FILE too, it counts its lines"},
      {ok + "array = '1'\neach_line = 'x'\n",
       "j:2:9: array and j:3:13: each_line: give one of them, each makes the tasks"},
      {ok + "reduce_width = 3\n", "j:2:16: reduce_width: give reduce PROG too, it reduces"},
      {ok + "reduce = 'cat'\nreduce_width = 1\n",
       "j:3:16: reduce_width \"1\" is not a whole number from 2 to 4294967296"},
      {ok + "cwd = '/none'\n", "j:2:7: cwd /none: no such directory: name one that exists"},
      {ok + "pool = 'a b'\n", "j:2:8: pool a b: no pool has such a name: see leat status"},
      {ok + "export = 'NOPE'\n", "j:2:10: export NOPE: this environment has no such variable"},
      {ok + "env.LEAT_X = '1'\n",
       "j:2:14: env LEAT_X=1: names that begin with LEAT_ are Leat's own"},
      {ok + "gpus = 65\n", "j:2:8: gpus \"65\" is not a whole number from 0 to 64"},
      {ok + "resource = ['licence']\n", "j:2:13: resource licence: write NAME=N, like licence=2"},
      {ok + "resource = ['a=1', 'a=2']\n", "j:2:13: resource: resource a is named twice"},
      {ok + "requires = ['a b']\n",
       "j:2:13: requires \"a b\" is no label: write fast, rack=7, or !fast for nodes without it"},
      {ok + "memory_enforce = true\n",
       "j:2:18: memory_enforce: give memory SIZE too, it is what is kept"},
      {"name = 'x'\n",
       "nothing to run: put -- PROGRAM ARGS… at the end, or command = [\"PROGRAM\"] into the job "
       "file"},
  };
  for (const auto& [text, message] : cases) {
    const Result<JobDefinition> job = definitions::parse_job(text, "j");
    ASSERT_TRUE(job.ok()) << job.refusal().message;
    EXPECT_EQ(refusal(job.value()), message) << text;
  }
}

TEST_F(JobOptionsTest, SayWhatAJobWaitsFor) {
  const JobRequest request =
      read_job_request(from_options({"--after", "17:any/element", "--after", "last", "--retries",
                                     "3", "--retry-delay", "1.5s,2.5,1m", "--retry-on",
                                     "9,1-3,KILL,SIGUSR1,time-limit", "--time", "1h", "--signal",
                                     "SIGUSR2@30s", "--start-within", "2d", "--", "true"}),
                       surroundings);
  ASSERT_EQ(request.after.size(), 2u);
  EXPECT_EQ(request.after[0].job, JobId{17});
  EXPECT_TRUE(request.after[0].element_wise);
  EXPECT_EQ(request.after[0].on, schema::After::Condition::ANY);
  EXPECT_FALSE(request.after[1].job.has_value());
  EXPECT_FALSE(request.after[1].element_wise);
  EXPECT_EQ(request.retry_delay.first, std::chrono::milliseconds(1500));
  EXPECT_EQ(request.retry_delay.factor_milli, 2500u);
  EXPECT_EQ(request.retry_delay.max, std::chrono::minutes(1));
  ASSERT_TRUE(request.retry_on.has_value());
  EXPECT_EQ(request.retry_on->codes, (std::vector<std::uint8_t>{1, 2, 3, 9}));
  EXPECT_EQ(request.retry_on->signals, (std::vector<std::uint8_t>{9, 10}));
  ASSERT_EQ(request.retry_on->outcomes.size(), 1u);
  ASSERT_TRUE(request.warning.has_value());
  EXPECT_EQ(request.warning->signal, 12);
  EXPECT_EQ(request.warning->before, std::chrono::seconds(30));
  EXPECT_EQ(request.start_within, std::chrono::hours(48));
}

// A value that makes sense for each field that can stand alone.
std::vector<std::string> random_options(Random& random) {
  std::vector<std::string> words;
  const auto maybe = [&](const char* name, std::vector<std::string> values) {
    if (random.chance(50)) return;
    words.push_back(name);
    if (!values.empty()) words.push_back(values[random.below(values.size())]);
  };
  maybe("--array", {"1-100", "5", "0-99:3,200"});
  maybe("--pool", {"big", "a.b-c_d"});
  maybe("--name", {"sweep", "é \"quoted\" \\", "-x"});
  maybe("--cpus", {"1", "0.5", "04", "2.250"});
  maybe("--memory", {"0", "2G", "1.5GiB", "1048576"});
  maybe("--priority", {"0", "-5", "100"});
  maybe("--env", {"A=1", "B=x=y \n\t\"", "C="});
  maybe("--env", {"A=2", "D=é"});
  maybe("--export", {"all", "none", "EXTRA,HOME"});
  maybe("--cwd", {"/", "/usr/bin", "."});
  maybe("--output-limit", {"1K", "0"});
  maybe("--after", {"17", "3:failure", "4:any/element"});
  maybe("--after", {"18/element"});
  maybe("--start-within", {"10m", "90"});
  if (random.chance(50)) {
    words.insert(words.end(), {"--retries", "7"});
    maybe("--retry-delay", {"10s", "1.5s,2", "10s,2.5,10m"});
    maybe("--retry-on", {"75", "1-9,SIGKILL,time-limit", "TERM"});
  }
  if (random.chance(50)) {
    words.insert(words.end(), {"--time", "1h"});
    maybe("--signal", {"USR1@30s", "SIGTERM@10", "10@59m"});
  }
  const bool mpi = random.chance(33);
  if (mpi) {
    words.push_back(random.chance(50) ? "--mpi" : "--mpi=required");
    if (std::find(words.begin(), words.end(), "--cpus") == words.end())
      maybe("--cores-per-rank", {"2", "03"});
    maybe("--bind", {"compact", "spread", "none"});
    maybe("--bind-to", {"core", "numa"});
    maybe("--mpi-interfaces", {"eth0", "lo,10.0.0.0/8"});
  } else {
    maybe("--bind", {});
  }
  if (mpi || random.chance(50)) {
    if (!mpi) words.push_back("--gang");
    maybe("--nodes", {"1", "3"});
    maybe("--ranks-per-node", {"4", "04"});
    maybe("--coordination", {"/bin/true"});
  }
  maybe("--task-dir", {});
  maybe("--gpus", {"0", "4"});
  maybe("--resource", {"licence=2", "scratch=9007199254740992"});
  maybe("--requires", {"fast", "rack=7,!slow"});
  maybe("--exclusive", {});
  maybe(random.chance(50) ? "--pack" : "--spread", {});
  if (random.chance(50)) {
    words.insert(words.end(), {"--reduce", "/bin/cat"});
    maybe("--reduce-arg", {"-n", "--", ""});
    maybe("--reduce-arg", {"=", "\\"});
    maybe("--reduce-width", {"2", "100"});
  }
  words.insert(words.end(), {"--", "/bin/echo"});
  for (std::uint64_t n = random.below(4); n > 0; --n)
    words.push_back(std::vector<std::string>{"", "--", "a b", "é\n\x01"}[random.below(4)]);
  return words;
}

TEST_F(JobOptionsTest, MakeTheSameJobAsTheFileTheyPrint) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    const JobDefinition job = from_options(random_options(random));
    const Result<std::string> text = definitions::print_job(job);
    ASSERT_TRUE(text.ok()) << text.refusal().message;
    EXPECT_EQ(sent(from_file(text.value())), sent(job)) << "seed " << seed << '\n' << text.value();
  }
}

TEST_F(JobOptionsTest, SayWhatATaskNeedsAndWhereItMayRun) {
  const JobRequest request = read_job_request(
      from_options({"--gpus", "2", "--resource", "b=2", "--resource", "a=1", "--requires",
                    "fast,!slow", "--requires", "rack=7", "--memory", "1G", "--memory-enforce",
                    "--exclusive", "--spread", "--", "true"}),
      surroundings);
  EXPECT_EQ(request.resources, (Resources{1000, 1u << 30, 2, {{"a", 1}, {"b", 2}}}));
  EXPECT_EQ(request.labels,
            (std::vector<std::string>{"fast", "!slow", "rack=7", "leat:memory-limit"}));
  EXPECT_TRUE(request.exclusive);
  EXPECT_EQ(request.placement, schema::Placement::SPREAD);
}

TEST_F(JobOptionsTest, AreAllNamedInTheTableOnce) {
  const JobDefinition none;
  for (const definitions::JobField& field : definitions::job_fields())
    EXPECT_EQ(none.find(field.name), nullptr) << field.name;
}

}  // namespace
}  // namespace leat::cli
