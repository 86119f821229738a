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
  };
  for (auto [words, expected] : cases) {
    words.insert(words.end(), {"--", "true"});
    EXPECT_EQ(read_job_request(from_options(words), surroundings).environment, expected);
  }
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
  maybe("--retries", {"0", "7", "007"});
  maybe("--time", {"90", "1h30m", "01:30:00"});
  maybe("--priority", {"0", "-5", "100"});
  maybe("--bind", {});
  maybe("--env", {"A=1", "B=x=y \n\t\"", "C="});
  maybe("--env", {"A=2", "D=é"});
  maybe("--export", {"all", "none", "EXTRA,HOME"});
  maybe("--cwd", {"/", "/usr/bin", "."});
  maybe("--output-limit", {"1K", "0"});
  maybe("--task-dir", {});
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

TEST_F(JobOptionsTest, AreAllNamedInTheTableOnce) {
  const JobDefinition none;
  for (const definitions::JobField& field : definitions::job_fields())
    EXPECT_EQ(none.find(field.name), nullptr) << field.name;
}

}  // namespace
}  // namespace leat::cli
