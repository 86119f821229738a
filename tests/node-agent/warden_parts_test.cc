// The parts of the warden below its loop: what /proc says, spool files, the run table.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "node-agent/warden/processes.h"
#include "node-agent/warden/program_path.h"
#include "node-agent/warden/run_table.h"
#include "node-agent/warden/spool_files.h"
#include "tests/node-agent/warden_world.h"

namespace leat::warden {
namespace {

constexpr std::string_view kNode = "00112233445566778899aabbccddeeff";

TEST(Processes, AreReadWhateverTheyAreCalled) {
  const std::string rest = " S 12 34 56 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 200";
  for (const std::string name : {"(sh)", "(a b)", "(evil) Z 1 (x)", "()", "(\n) R 9 (y)"}) {
    const auto process = parse_stat("4711 " + name + rest);
    ASSERT_TRUE(process) << name;
    EXPECT_EQ(process->pid, 4711);
    EXPECT_EQ(process->state, 'S');
    EXPECT_EQ(process->parent, 12);
    EXPECT_EQ(process->session, 56);
    EXPECT_EQ(process->threads, 1);
    EXPECT_EQ(process->start_ticks, 987654u);
  }
  for (const char* broken : {"", "x", "1", "1 (a", "1 (a) ", "1 (a) S", "1 (a) S 2 3", "(a) S 1 2"})
    EXPECT_FALSE(parse_stat(broken)) << broken;
  const auto self = read_process(getpid());
  ASSERT_TRUE(self);
  EXPECT_GE(self->threads, 1);
  EXPECT_EQ(self->parent, getppid());
  EXPECT_EQ(self->session, getsid(0));
}

TEST(Processes, AreFoundBelowTheirTop) {
  // 10 is the root; 11 and 12 are its children; 20 and 21 descend from 11; 30 is a stranger; 40
  // and 41 form a circle, as a list that is read while it changes may have them.
  std::vector<Process> processes;
  for (const auto& [pid, parent] : std::vector<std::pair<int, int>>{
           {1, 0}, {10, 1}, {11, 10}, {12, 10}, {20, 11}, {21, 20}, {30, 1}, {40, 41}, {41, 40}})
    processes.push_back({pid, parent, 0, 'S', 0});
  std::vector<std::pair<int, int>> found;
  for (const Descendant& below : descendants_of(10, processes))
    found.emplace_back(below.process->pid, below.top->pid);
  EXPECT_EQ(found, (std::vector<std::pair<int, int>>{{11, 11}, {12, 12}, {20, 11}, {21, 11}}));
}

TEST(Processes, TellTheirOriginByTheToken) {
  const RunId run{JobId{17}, 3, 2, 99};
  const std::string token = token_variable(kNode, run);
  const auto environment = [](const std::string& variable) {
    return std::string("A=1\0", 4) + variable + std::string("\0B=2\0", 5);
  };
  const Origin origin = origin_in(environment(token), kNode);
  EXPECT_TRUE(origin.ours);
  EXPECT_EQ(origin.run, run);
  EXPECT_FALSE(origin_in(environment(token), "ffffffffffffffffffffffffffffffff").ours);
  EXPECT_FALSE(origin_in(environment("X" + token), kNode).ours);
  EXPECT_FALSE(origin_in("", kNode).ours);
  const Origin changed =
      origin_in(environment("LEAT_RUN_TOKEN=" + std::string(kNode) + ".1.x"), kNode);
  EXPECT_TRUE(changed.ours);
  EXPECT_EQ(changed.run, RunId{});
  EXPECT_FALSE(origin_in(environment("LEAT_RUN_TOKEN=" + std::string(kNode) + "0.1"), kNode).ours);
}

TEST(Processes, ASignalDoesNotReachALaterTenantOfThePid) {
  auto self = read_process(getpid());
  ASSERT_TRUE(self);
  EXPECT_TRUE(send_signal(*self, 0));
  self->start_ticks -= 1;
  EXPECT_FALSE(send_signal(*self, 0));
}

TEST(ProgramPath, SkipsWhatIsNoProgram) {
  TemporaryDirectory directory;
  std::filesystem::create_directories(directory.path() + "/a/tool");  // a folder of that name
  std::filesystem::create_directories(directory.path() + "/b");
  std::ofstream(directory.path() + "/b/tool") << "not executable";
  const std::string path = "PATH=" + directory.path() + "/a:" + directory.path() + "/b:/bin";
  std::array<char*, 2> environment{const_cast<char*>(path.c_str()), nullptr};
  EXPECT_EQ(find_program("tool", environment.data(), "").error, EACCES);
  EXPECT_EQ(find_program("no-such-tool", environment.data(), "").error, ENOENT);
  EXPECT_EQ(find_program("", environment.data(), "").error, ENOENT);
  EXPECT_EQ(find_program("sh", environment.data(), "").path, "/bin/sh");
  EXPECT_EQ(find_program("./sh", environment.data(), "").path, "./sh");
}

TEST(RunTable, TellsTenantsOfOnePlaceApart) {
  RunTable table;
  const RunRef first = table.add({JobId{1}, 0, 1, 1}).ref;
  warden::Run* run = table.at(first);
  ASSERT_NE(run, nullptr);
  run->pid = 5;
  table.erase(*run);
  EXPECT_EQ(table.at(first), nullptr);
  const warden::Run& second = table.add({JobId{1}, 0, 1, 2});
  EXPECT_EQ(second.ref.index, first.index);
  EXPECT_NE(second.ref.generation, first.generation);
  EXPECT_EQ(second.pid, 0) << "nothing of the tenant before";
  EXPECT_EQ(table.find({JobId{1}, 0, 1, 1}), nullptr);
  EXPECT_EQ(table.find({JobId{1}, 0, 1, 2}), &second);
  EXPECT_EQ(table.size(), 1u);
}

// ---- Spool files ----

struct SpoolWorld {
  SpoolWorld()
      : folder(open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
        null(open("/dev/null", O_RDWR | O_CLOEXEC)),
        spool(folder.get()) {}

  // A capture into slot 0's output, and the end a task would write to.
  Capture capture(Fd& task_end, std::uint64_t limit) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    task_end = Fd(ends[1]);
    return Capture(Fd(ends[0]), spool.out(0), null.get(), limit);
  }

  TemporaryDirectory directory;
  Fd folder;
  Fd null;
  SpoolFiles spool;
};

void write_text(const Fd& fd, const std::string& text) {
  ASSERT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

TEST(SpoolFiles, PackOneRunAfterTheOther) {
  SpoolWorld world;
  ASSERT_EQ(world.spool.use(0, 5), 0);
  for (const std::string text : {"first", "", "third"}) {
    Fd task;
    Capture capture = world.capture(task, 100);
    write_text(task, text);
    capture.finish();
    EXPECT_EQ(capture.bytes(), text.size());
    EXPECT_FALSE(capture.truncated());
  }
  EXPECT_EQ(read_file(world.directory.path() + "/slot-0.5.out"), "firstthird");
}

TEST(SpoolFiles, TakeTheLimitOfARunAndThrowTheRestAway) {
  SpoolWorld world;
  ASSERT_EQ(world.spool.use(0, 0), 0);
  Fd task;
  Capture capture = world.capture(task, 4);
  write_text(task, "123");
  EXPECT_EQ(capture.drain(1 << 20), Capture::Flow::kOpen);
  EXPECT_FALSE(capture.truncated());
  write_text(task, "456");
  EXPECT_EQ(capture.drain(1 << 20), Capture::Flow::kOpen);
  EXPECT_TRUE(capture.truncated());
  EXPECT_EQ(capture.bytes(), 4u);
  task.reset();
  EXPECT_EQ(capture.drain(1 << 20), Capture::Flow::kEnded);
  EXPECT_EQ(read_file(world.directory.path() + "/slot-0.0.out"), "1234");
}

TEST(SpoolFiles, AreNeverOpenedThroughALinkOrWhenOthersCanReadThem) {
  SpoolWorld world;
  const std::string path = world.directory.path() + "/slot-0.0.out";
  ASSERT_EQ(symlink("/etc/passwd", path.c_str()), 0);
  EXPECT_EQ(world.spool.use(0, 0), ELOOP);
  std::filesystem::remove(path);
  std::ofstream(path) << "x";
  chmod(path.c_str(), 0644);
  EXPECT_EQ(world.spool.use(0, 0), EPERM);
  chmod(path.c_str(), 0600);
  EXPECT_EQ(world.spool.use(0, 0), 0);
  EXPECT_EQ(world.spool.out(0).end, 1u);
}

TEST(SpoolFiles, AFullDiskIsSaidAndDoesNotStallTheTask) {
  SpoolWorld world;
  ASSERT_EQ(world.spool.use(0, 0), 0);
  world.spool.out(0).fd = Fd(open("/dev/full", O_RDWR | O_CLOEXEC));
  Fd task;
  Capture capture = world.capture(task, 1 << 20);
  write_text(task, std::string(60'000, 'x'));
  EXPECT_EQ(capture.drain(1 << 20), Capture::Flow::kOpen);
  EXPECT_EQ(capture.error(), ENOSPC);
  EXPECT_EQ(capture.bytes(), 0u);
  EXPECT_FALSE(capture.truncated()) << "it is our fault, not the task's";
  write_text(task, std::string(60'000, 'y'));  // would block if nobody had emptied the pipe
}

}  // namespace
}  // namespace leat::warden
