// What tasks tell of themselves: the form of it, which of it counts, and when the head hears it.
#include "node-agent/progress_desk.h"

#include <gtest/gtest.h>
#include <kj/async-io.h>
#include <kj/debug.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "tests/spool/scratch_directory.h"

namespace leat::agent {
namespace {

RunId run(Index index, Attempt attempt = 1) {
  return {JobId{17}, 2, attempt, index};
}

std::string name_of(const RunId& run) {
  return std::to_string(run.job.value) + "." + std::to_string(run.stage) + "." +
         std::to_string(run.index) + "." + std::to_string(run.attempt);
}

TEST(ParseProgress, TakesWhatTheSdkSends) {
  const auto word = parse_progress("1 17.2.5.4 426 solving it");
  ASSERT_TRUE(word.has_value());
  EXPECT_EQ(*word, (TaskProgress{run(5, 4), 426, "solving it"}));
  EXPECT_EQ(parse_progress("1 17.2.5.4 1000 ")->message, "");
  EXPECT_EQ(parse_progress("1 17.2.5.4 0")->permille, 0);
}

TEST(ParseProgress, RefusesWhatIsInAnotherForm) {
  for (const char* text :
       {"", "1", "2 17.2.5.4 426 x", "1 17.2.5 426 x", "1 17.2.5.4 1001 x", "1 17.2.5.4 -1 x",
        "1 17.2.5.4 x", "1 17.70000.5.4 1 x", "1 17.2.281474976710656.4 1 x", "1  17.2.5.4 1 x",
        "1 17.2.5.4294967296 1 x", "1 17.2.5.4\n1 x", "1 99999999999999999999.2.5.4 1 x"})
    EXPECT_FALSE(parse_progress(text)) << text;
}

TEST(ParseProgress, MakesTextOfTheMessage) {
  const auto message = [](const std::string& text) {
    return parse_progress("1 1.0.0.1 5 " + text)->message;
  };
  EXPECT_EQ(message("a\x1b[31mb\n"), "a [31mb");
  EXPECT_EQ(message("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(message("\xff\xc3"), "??");
  EXPECT_EQ(message(std::string("a\0b", 3)), "a b");
  EXPECT_EQ(message("\xc2\x9b"), "");  // a control character of two bytes
  std::string umlauts = "x";
  for (int i = 0; i < 400; ++i) umlauts += "\xc3\xbc";
  EXPECT_EQ(message(umlauts).size(), kProgressMessageMax - 1);
  EXPECT_TRUE(is_utf8(message(umlauts)));
}

TEST(ProgressBoard, KeepsTheNewestWordOfEachAndTellsItOnce) {
  ProgressBoard board;
  EXPECT_FALSE(board.has_news());
  board.take({run(1), 100, "a"});
  board.take({run(2), 200, "b"});
  board.take({run(1), 300, "c"});
  EXPECT_EQ(board.news(), (std::vector<TaskProgress>{{run(1), 300, "c"}, {run(2), 200, "b"}}));
  EXPECT_FALSE(board.has_news());
  board.take({run(2), 400, ""});
  EXPECT_EQ(board.news(), (std::vector<TaskProgress>{{run(2), 400, ""}}));
  board.all_is_news();
  board.keep_only([](const RunId& which) { return which.index == 1; });
  EXPECT_EQ(board.news(), (std::vector<TaskProgress>{{run(1), 300, "c"}}));
  EXPECT_EQ(board.size(), 1u);
}

TEST(ProgressBoard, LetsNobodyBeOvertakenForEver) {
  ProgressBoard board;
  for (Index i = 0; i < 2 * ProgressBoard::kToldAtOnce; ++i) board.take({run(i), 1, ""});
  EXPECT_EQ(board.news().size(), ProgressBoard::kToldAtOnce);
  for (Index i = 0; i < 2 * ProgressBoard::kToldAtOnce; ++i) board.take({run(i), 2, ""});
  const std::vector<TaskProgress> rest = board.news();
  ASSERT_EQ(rest.size(), ProgressBoard::kToldAtOnce);
  EXPECT_EQ(rest.front(), (TaskProgress{run(ProgressBoard::kToldAtOnce), 2, ""}));
}

TEST(ProgressBoard, HoldsSoManyRunsAndNoMore) {
  ProgressBoard board;
  for (Index i = 0; i < ProgressBoard::kRunsMax; ++i) EXPECT_TRUE(board.take({run(i), 1, ""}));
  EXPECT_FALSE(board.take({run(ProgressBoard::kRunsMax), 1, ""}));
  EXPECT_TRUE(board.take({run(0), 2, ""}));
}

// A desk on a hand-cranked timer; tasks send from this process.
struct Desk {
  explicit Desk(const std::string& directory) {
    desk = std::make_unique<ProgressDesk>(
        io.unixEventPort, timer, directory,
        [this](std::string_view line) { log += std::string(line) + '\n'; },
        [this](const RunId& which) { return running.count(which) != 0; });
    desk->set_teller([this](const std::vector<TaskProgress>& words) -> kj::Promise<void> {
      told.push_back(words);
      auto paf = kj::newPromiseAndFulfiller<void>();
      answers.push_back(kj::mv(paf.fulfiller));
      return kj::mv(paf.promise);
    });
  }

  void send(const std::string& record) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    desk->path().copy(address.sun_path, sizeof address.sun_path - 1);
    const kj::AutoCloseFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::sendto(fd.get(), record.data(), record.size(), MSG_DONTWAIT,
                       reinterpret_cast<sockaddr*>(&address), sizeof address),
              static_cast<ssize_t>(record.size()));
    pass(0 * kj::SECONDS);
  }
  void say(const RunId& who, int permille) {
    send("1 " + name_of(who) + " " + std::to_string(permille) + " x");
  }
  void pass(kj::Duration span) {
    timer.advanceTo(timer.now() + span);
    io.waitScope.poll();
    io.unixEventPort.poll();
    io.waitScope.poll();
    timer.advanceTo(timer.now());  // what has become due at once
    io.waitScope.poll();
  }
  void answer() {
    answers.back()->fulfill();
    pass(0 * kj::SECONDS);
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::TimerImpl timer{kj::origin<kj::TimePoint>() + 1 * kj::HOURS};
  std::set<RunId> running{run(1), run(2)};
  std::string log;
  std::vector<std::vector<TaskProgress>> told;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> answers;
  std::unique_ptr<ProgressDesk> desk;  // last: it goes before what it uses
};

TEST(ProgressDesk, TellsTheHeadNowAndThen) {
  const ScratchDirectory scratch;
  Desk desk(scratch.root());
  desk.desk->joined();
  desk.say(run(1), 100);
  ASSERT_EQ(desk.told.size(), 1u);
  EXPECT_EQ(desk.told[0], (std::vector<TaskProgress>{{run(1), 100, "x"}}));
  desk.answer();
  desk.say(run(1), 200);
  desk.say(run(2), 300);
  desk.say(run(1), 400);
  desk.pass(ProgressDesk::kInterval - 1 * kj::MILLISECONDS);
  EXPECT_EQ(desk.told.size(), 1u);
  desk.pass(1 * kj::MILLISECONDS);
  ASSERT_EQ(desk.told.size(), 2u);
  EXPECT_EQ(desk.told[1], (std::vector<TaskProgress>{{run(1), 400, "x"}, {run(2), 300, "x"}}));
  // A head that does not answer hears nothing more.
  desk.say(run(1), 500);
  desk.pass(10 * ProgressDesk::kInterval);
  EXPECT_EQ(desk.told.size(), 2u);
  desk.answer();
  EXPECT_EQ(desk.told.size(), 3u);
}

TEST(ProgressDesk, HearsNothingOfRunsThatAreOver) {
  const ScratchDirectory scratch;
  Desk desk(scratch.root());
  desk.desk->joined();
  // What is left of the first attempt goes on telling while the second runs in its place.
  desk.running = {run(1, 2)};
  desk.say(run(1, 1), 900);
  desk.send("nonsense");
  desk.send("");
  desk.send(std::string(kProgressRecordMax + 1, 'x'));
  EXPECT_TRUE(desk.told.empty());
  desk.say(run(1, 2), 100);
  ASSERT_EQ(desk.told.size(), 1u);
  EXPECT_EQ(desk.told[0], (std::vector<TaskProgress>{{run(1, 2), 100, "x"}}));
  // Nor is what a run has told before its end said after it.
  desk.answer();
  desk.say(run(1, 2), 200);
  desk.running.clear();
  desk.pass(10 * ProgressDesk::kInterval);
  EXPECT_EQ(desk.told.size(), 1u);
}

TEST(ProgressDesk, SaysEverythingAgainToAHeadThatComesBack) {
  const ScratchDirectory scratch;
  Desk desk(scratch.root());
  desk.say(run(1), 100);
  EXPECT_TRUE(desk.told.empty()) << "nobody is there";
  desk.desk->joined();
  desk.pass(0 * kj::SECONDS);
  ASSERT_EQ(desk.told.size(), 1u);
  desk.desk->parted();  // without an answer
  desk.answers.back()->reject(KJ_EXCEPTION(DISCONNECTED, "gone"));
  desk.say(run(2), 200);
  desk.pass(10 * ProgressDesk::kInterval);
  EXPECT_EQ(desk.told.size(), 1u);
  desk.desk->joined();
  desk.pass(0 * kj::SECONDS);
  ASSERT_EQ(desk.told.size(), 2u);
  EXPECT_EQ(desk.told[1].size(), 2u);
}

TEST(ProgressDesk, ReadsAlsoWhatComesInCrowds) {
  const ScratchDirectory scratch;
  Desk desk(scratch.root());
  desk.desk->joined();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  desk.desk->path().copy(address.sun_path, sizeof address.sun_path - 1);
  const kj::AutoCloseFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto fill = [&](int permille) {
    const std::string record = "1 " + name_of(run(1)) + " " + std::to_string(permille);
    int sent = 0;
    while (::sendto(fd.get(), record.data(), record.size(), MSG_DONTWAIT,
                    reinterpret_cast<sockaddr*>(&address), sizeof address) > 0)
      ++sent;
    return sent;
  };
  EXPECT_GT(fill(1), 5);
  for (int i = 0; i < 20; ++i) desk.pass(ProgressDesk::kPause);
  EXPECT_GT(fill(2), 5) << "there is room again";
  for (int i = 0; i < 20; ++i) desk.pass(ProgressDesk::kPause);
  desk.say(run(2), 3);
  desk.answer();
  desk.pass(2 * ProgressDesk::kInterval);
  ASSERT_EQ(desk.told.size(), 2u);
  EXPECT_EQ(desk.told[1].front().permille, 2);
  EXPECT_EQ(desk.told[1].size(), 2u);
}

TEST(ProgressDesk, TakesThePlaceOfTheLastAgentsAndIsNobodyElses) {
  const ScratchDirectory scratch;
  { const Desk last(scratch.root()); }
  EXPECT_TRUE(std::filesystem::exists(scratch.path("progress.socket")));
  Desk desk(scratch.root());
  desk.desk->joined();
  desk.say(run(1), 100);
  EXPECT_EQ(desk.told.size(), 1u);
  struct stat info {};
  ASSERT_EQ(::stat(desk.desk->path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(ProgressDesk, IsNotOfferedWhereItsNameIsTooLong) {
  const ScratchDirectory scratch;
  const std::string deep = scratch.path(std::string(120, 'x'));
  ASSERT_EQ(::mkdir(deep.c_str(), 0700), 0);
  Desk desk(deep);
  desk.desk->joined();
  EXPECT_EQ(desk.desk->path(), "");
  EXPECT_NE(desk.log.find("107 characters"), std::string::npos) << desk.log;
}

}  // namespace
}  // namespace leat::agent
