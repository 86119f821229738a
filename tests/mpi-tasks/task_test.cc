#include <leat/input_json.h>
#include <leat/task.h>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/spool/scratch_directory.h"

namespace leat {
namespace {

using Environment = std::map<std::string, std::string>;

Task task_in(const Environment& environment, std::vector<const char*> arguments = {}) {
  arguments.insert(arguments.begin(), "program");
  return Task(static_cast<int>(arguments.size()), arguments.data(),
              [&](const char* name) -> std::optional<std::string> {
                const auto found = environment.find(name);
                if (found == environment.end()) return std::nullopt;
                return found->second;
              });
}

const Environment kInLeat{{"LEAT_JOB_ID", "17"},    {"LEAT_STAGE", "1"},   {"LEAT_TASK_INDEX", "5"},
                          {"LEAT_TASK_COUNT", "8"}, {"LEAT_ATTEMPT", "2"}, {"LEAT_CPUS", "3"}};

Environment with(const std::string& name, const std::string& value) {
  Environment environment = kInLeat;
  environment[name] = value;
  return environment;
}

TEST(Task, ReadsWhatLeatTellsIt) {
  const Task task = task_in(kInLeat, {"--index", "4", "--rate=2"});
  EXPECT_TRUE(task.in_leat());
  EXPECT_EQ(task.job(), 17u);
  EXPECT_EQ(task.stage(), 1u);
  EXPECT_EQ(task.index(), 5u);
  EXPECT_EQ(task.count(), 8u);
  EXPECT_EQ(task.attempt(), 2u);
  EXPECT_EQ(task.cpus(), 3u);
  EXPECT_EQ(task.arguments(), (std::vector<std::string>{"--index", "4", "--rate=2"}));
  EXPECT_EQ(task.input(), std::nullopt);
  EXPECT_EQ(task.deadline(), std::nullopt);
}

TEST(Task, AloneIsTheOnlyOneOrWhatItsArgumentsSay) {
  const Task alone = task_in({});
  EXPECT_FALSE(alone.in_leat());
  EXPECT_EQ(alone.index(), 0u);
  EXPECT_EQ(alone.count(), 1u);
  const Task third =
      task_in({}, {"a", "--index", "2", "--count", "4", "--input", "{}", "--", "--index"});
  EXPECT_EQ(third.index(), 2u);
  EXPECT_EQ(third.count(), 4u);
  EXPECT_EQ(third.input(), "{}");
  EXPECT_EQ(third.arguments(), (std::vector<std::string>{"a", "--index"}));
}

TEST(Task, RefusesWhatIsNoNumber) {
  for (const char* name : {"LEAT_JOB_ID", "LEAT_TASK_INDEX", "LEAT_TASK_COUNT", "LEAT_DEADLINE"})
    for (const char* value : {"", "x", "1x", " 1", "99999999999999999999999", "1.5"})
      EXPECT_THROW(task_in(with(name, value)), TaskError) << name << "=" << value;
  EXPECT_THROW(task_in(with("LEAT_TASK_INDEX", "-1")), TaskError);
  EXPECT_THROW(task_in(with("LEAT_TASK_INDEX", "281474976710656")), TaskError);
  EXPECT_THROW(task_in(with("LEAT_TASK_COUNT", "0")), TaskError);
  EXPECT_THROW(task_in({}, {"--index"}), TaskError);
  EXPECT_THROW(task_in({}, {"--index", "two"}), TaskError);
}

TEST(Task, HasItsShareIfTasksAreNumberedFromZero) {
  EXPECT_EQ(task_in(kInLeat).share(80), (Share{50, 10}));
  EXPECT_THROW(static_cast<void>(task_in(with("LEAT_TASK_INDEX", "8")).share(80)), TaskError);
}

struct Parameters {
  int size = 0;
  double rate = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Parameters, size, rate)

TEST(Task, HasAnObjectOfJsonForAType) {
  const Parameters parameters =
      input_as<Parameters>(task_in(with("LEAT_INPUT", R"({"size": 3, "rate": 0.5, "more": []})")));
  EXPECT_EQ(parameters.size, 3);
  EXPECT_EQ(parameters.rate, 0.5);
  for (const char* text : {"", "{", R"({"size": 3})", R"({"size": "3", "rate": 1})"})
    EXPECT_THROW(input_as<Parameters>(task_in(with("LEAT_INPUT", text))), TaskError) << text;
  EXPECT_EQ(task_in(with("LEAT_ENTRY", "a line")).input(), "a line");
}

TEST(Task, KnowsItsDeadline) {
  EXPECT_EQ(task_in(with("LEAT_DEADLINE", "1700000000")).deadline(),
            std::chrono::sys_seconds(std::chrono::seconds(1'700'000'000)));
}

TEST(Task, MakesItsCheckpointDirectory) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("a/b");
  const Task task = task_in(with("LEAT_CHECKPOINT_DIR", path));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(task.checkpoint_directory(), path);
  EXPECT_TRUE(std::filesystem::is_directory(path));
  EXPECT_EQ(task.checkpoint_directory(), path);
  std::ofstream(scratch.path("file")) << "x";
  EXPECT_THROW(
      static_cast<void>(
          task_in(with("LEAT_CHECKPOINT_DIR", scratch.path("file"))).checkpoint_directory()),
      TaskError);
}

TEST(Progress, IsOneShortLine) {
  EXPECT_EQ(progress_line(42.55, "solving"), "1 426 solving\n");
  EXPECT_EQ(progress_line(-1, ""), "1 0 \n");
  EXPECT_EQ(progress_line(1e9, "a\nb\tc"), "1 1000 a b c\n");
  EXPECT_EQ(progress_line(std::nan(""), "?"), "1 0 ?\n");
  const std::string cut = progress_line(5, std::string(505, 'x') + "ä");
  EXPECT_EQ(cut, "1 50 " + std::string(505, 'x') + "\n");
  std::string umlauts;
  for (int i = 0; i < 1000; ++i) umlauts += "ü";
  EXPECT_LE(progress_line(5, umlauts).size(), kProgressBytesMax);
  EXPECT_EQ(progress_line(5, umlauts).size() % 2, 0u);  // 5 + 2n + 1
}

// A pipe as the agent might hold it.
struct Pipe {
  Pipe() { EXPECT_EQ(::pipe2(ends.data(), O_NONBLOCK), 0); }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  std::array<int, 2> ends{};
};

TEST(Progress, ReachesWhoListens) {
  const Pipe pipe;
  const Task task = task_in(with("LEAT_PROGRESS_FD", std::to_string(pipe.ends[1])));
  task.progress(50, "half");
  task.progress(100);
  std::array<char, 100> text{};
  const ssize_t size = ::read(pipe.ends[0], text.data(), text.size());
  EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(size)), "1 500 half\n1 1000 \n");
}

TEST(Progress, NeverWaitsForASlowListener) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);  // a blocking one: writing into it when full would hang
  const Task task = task_in(with("LEAT_PROGRESS_FD", std::to_string(ends[1])));
  for (int i = 0; i < 1000; ++i) task.progress(i / 10.0, std::string(400, 'x'));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Progress, OutlivesItsListener) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const Task task = task_in(with("LEAT_PROGRESS_FD", std::to_string(ends[1])));
  ::close(ends[0]);
  task.progress(50, "nobody is there");
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
  ::close(ends[1]);
  task.progress(100, "not even the pipe");
}

TEST(CancelledDeathTest, KillsWhoNeverAsks) {
  EXPECT_EXIT(std::raise(SIGTERM), ::testing::KilledBySignal(SIGTERM), "");
  EXPECT_EXIT(
      {
        const bool before = Task::cancelled();
        std::raise(SIGTERM);
        std::_Exit(!before && Task::cancelled() ? 7 : 1);
      },
      ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace leat
