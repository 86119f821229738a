#include <leat/input_json.h>
#include <leat/task.h>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
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

TEST(Progress, IsOneShortRecord) {
  const std::string run = "17.1.5.2";
  EXPECT_EQ(progress_record(run, 42.55, "solving"), "1 17.1.5.2 426 solving");
  EXPECT_EQ(progress_record(run, -1, ""), "1 17.1.5.2 0 ");
  EXPECT_EQ(progress_record(run, 1e9, "a\nb\tc"), "1 17.1.5.2 1000 a b c");
  EXPECT_EQ(progress_record(run, std::nan(""), "?"), "1 17.1.5.2 0 ?");
  const std::string cut = progress_record(run, 5, std::string(497, 'x') + "ä");
  EXPECT_EQ(cut, "1 17.1.5.2 50 " + std::string(497, 'x'));
  std::string umlauts;
  for (int i = 0; i < 1000; ++i) umlauts += "ü";
  EXPECT_EQ(progress_record(run, 5, umlauts).size(), kProgressBytesMax);
}

// A datagram socket as the agent holds it.
struct Listener {
  explicit Listener(const std::string& path) : fd(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Listener() { ::close(fd); }
  std::string next() {
    std::array<char, 1000> text{};
    const ssize_t size = ::recv(fd, text.data(), text.size(), MSG_DONTWAIT);
    return size < 0 ? "nothing" : std::string(text.data(), static_cast<std::size_t>(size));
  }
  int fd;
};

TEST(Progress, ReachesWhoListensAndSaysWhoTells) {
  const ScratchDirectory scratch;
  Listener listener(scratch.path("socket"));
  const Task task = task_in(with("LEAT_PROGRESS_SOCKET", scratch.path("socket")));
  task.progress(50, "half");
  task.progress(100);
  EXPECT_EQ(listener.next(), "1 17.1.5.2 500 half");
  EXPECT_EQ(listener.next(), "1 17.1.5.2 1000 ");
  EXPECT_EQ(listener.next(), "nothing");
  // Alone it has no name that anybody would know.
  task_in({{"LEAT_PROGRESS_SOCKET", scratch.path("socket")}}).progress(50);
  EXPECT_EQ(listener.next(), "nothing");
}

TEST(Progress, NeverWaitsForASlowListener) {
  const ScratchDirectory scratch;
  Listener listener(scratch.path("socket"));
  const Task task = task_in(with("LEAT_PROGRESS_SOCKET", scratch.path("socket")));
  for (int i = 0; i < 5000; ++i) task.progress(i / 50.0, std::string(400, 'x'));
  EXPECT_EQ(listener.next(), "1 17.1.5.2 0 " + std::string(400, 'x'));
}

TEST(Progress, HarmsNobodyWhereNobodyListens) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("socket");
  const Task task = task_in(with("LEAT_PROGRESS_SOCKET", path));
  errno = EDOM;
  task.progress(50, "there is no such file");
  { const Listener gone(path); }
  task.progress(50, "nobody is there");
  task_in(with("LEAT_PROGRESS_SOCKET", "/" + std::string(200, 'x'))).progress(50, "too long");
  EXPECT_EQ(errno, EDOM);
  // The next agent has the same path.
  std::filesystem::remove(path);
  Listener next(path);
  task.progress(60, "again");
  EXPECT_EQ(next.next(), "1 17.1.5.2 600 again");
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
