// What one run does and what is reported of it: output, exit, cost, surroundings.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "tests/node-agent/warden_world.h"

namespace leat::warden {
namespace {

TEST(WardenRun, PutsBothStreamsWhereTheExitSays) {
  WardenWorld world;
  const Exited first = world.run(world.shell("echo one; echo ein >&2"));
  const Exited second = world.run(world.shell("echo twotwo; printf zwei >&2"));
  EXPECT_EQ(first.kind, ExitKind::kExited);
  EXPECT_EQ(first.code, 0);
  EXPECT_EQ(world.out(first), "one\n");
  EXPECT_EQ(world.err(first), "ein\n");
  EXPECT_EQ(second.out_offset, 4u);
  EXPECT_EQ(world.out(second), "twotwo\n");
  EXPECT_EQ(world.err(second), "zwei");
  EXPECT_EQ(second.flags, 0);
}

TEST(WardenRun, KnowsWhenItWillBeAskedToEndIfThereIsALimit) {
  WardenWorld world;
  const char* const script = "echo ${LEAT_DEADLINE-none}";
  EXPECT_EQ(world.out(world.run(world.shell(script))), "none\n");
  Launch launch = world.shell(script);
  launch.time_limit_us = 3600 * WardenWorld::kSecond;
  const Exited exited = world.run(launch);
  EXPECT_EQ(world.out(exited), std::to_string(exited.start_wall_us / 1'000'000 + 3600) + "\n");
  launch = world.shell(script);
  launch.time_limit_us = ~std::uint64_t{0};
  EXPECT_EQ(world.run(launch).code, 0);
}

TEST(WardenRun, IsKeptApartFromOthersBySlotAndSegment) {
  WardenWorld world;
  const Launch a = world.shell("for i in 1 2 3 4 5 6 7 8 9; do echo aaaa; done", 0);
  const Launch b = world.shell("for i in 1 2 3 4 5 6 7 8 9; do echo bb; done", 1);
  world.put(a);
  world.put(b);
  const std::string from_a = world.out(world.wait_exit(a.run));
  const std::string from_b = world.out(world.wait_exit(b.run));
  EXPECT_EQ(from_a.size(), 45u);
  EXPECT_EQ(from_a.find('b'), std::string::npos);
  EXPECT_EQ(from_b.size(), 27u);
  Launch c = world.shell("echo next", 0);
  c.segment = 1;
  const Exited exited = world.run(c);
  EXPECT_EQ(exited.out_offset, 0u);
  EXPECT_EQ(read_file(world.path("spool/slot-0.1.out")), "next\n");
  struct stat status {};
  ASSERT_EQ(stat(world.path("spool/slot-0.1.out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(WardenRun, LosesOnlyWhatIsOverTheOutputLimit) {
  WardenWorld world;
  Launch launch = world.shell("head -c 1073741824 /dev/zero; echo done >&2");
  launch.output_limit_bytes = WardenWorld::kMiB;
  const Exited exited = world.run(launch);
  EXPECT_EQ(exited.code, 0);
  EXPECT_EQ(exited.out_bytes, WardenWorld::kMiB);
  EXPECT_TRUE(exited.has(kOutTruncated));
  EXPECT_FALSE(exited.has(kErrTruncated));
  EXPECT_EQ(world.err(exited), "done\n");
  EXPECT_EQ(std::filesystem::file_size(world.path("spool/slot-0.0.out")), WardenWorld::kMiB);
  Launch exact = world.shell("printf 12345");
  exact.output_limit_bytes = 5;
  EXPECT_FALSE(world.run(exact).has(kOutTruncated));
}

TEST(WardenRun, KeepsLargeOutputWhole) {
  WardenWorld world;
  const Exited exited = world.run(world.shell("seq 1 400000; seq 1 1000 >&2"));
  EXPECT_GT(exited.out_bytes, 2 * WardenWorld::kMiB);
  const std::string out = world.out(exited);
  ASSERT_EQ(out.size(), exited.out_bytes);
  EXPECT_TRUE(out.ends_with("\n399999\n400000\n"));
  EXPECT_TRUE(world.err(exited).ends_with("\n1000\n"));
}

TEST(WardenRun, CannotHarmWhatOthersWrote) {
  WardenWorld world;
  const Exited first = world.run(world.shell("echo precious"));
  const Exited second =
      world.run(world.shell("echo lost > /dev/stdout; : > /dev/stdout; echo more"));
  EXPECT_EQ(second.code, 0);
  EXPECT_EQ(world.out(first), "precious\n");
  EXPECT_TRUE(world.out(second).ends_with("more\n"));
}

TEST(WardenRun, SaysWhatKeptItFromStarting) {
  WardenWorld world;
  const auto expect = [&](Launch launch, StartStep step, int error) {
    const Exited exited = world.run(launch);
    EXPECT_EQ(exited.kind, ExitKind::kNotStarted);
    EXPECT_EQ(exited.step, step) << step_name(exited.step);
    EXPECT_EQ(exited.error, error);
  };
  expect(world.program({"no-such-program"}), StartStep::kProgram, ENOENT);
  expect(world.program({"/no/such/program"}), StartStep::kProgram, ENOENT);
  expect(world.program({"/etc/passwd"}), StartStep::kProgram, EACCES);
  expect(world.program({"/tmp"}), StartStep::kProgram, EACCES);
  Launch elsewhere = world.shell("true");
  elsewhere.directory = "/no/such/directory";
  expect(elsewhere, StartStep::kDirectory, ENOENT);
  Launch unread = world.shell("true");
  unread.stdin_path = "/no/such/input";
  expect(unread, StartStep::kStdin, ENOENT);
  Launch unbound = world.shell("true");
  unbound.cpus.add(CpuMask::kCpusMax - 1);
  expect(unbound, StartStep::kBinding, EINVAL);
  Launch unknown = world.shell("true");
  unknown.template_id = 4711;
  expect(unknown, StartStep::kTemplate, ENOENT);
  Launch far = world.shell("true");
  far.slot = kSlotsMax;
  expect(far, StartStep::kTable, EINVAL);
  symlink("/etc/passwd", world.path("spool/slot-9.0.out").c_str());
  expect(world.shell("true", 9), StartStep::kSpool, ELOOP);
  EXPECT_EQ(world.run(world.shell("exit 4")).code, 4);  // and the slot is still good
}

TEST(WardenRun, ReportsHowItEnded) {
  WardenWorld world;
  EXPECT_EQ(world.run(world.shell("exit 127")).code, 127);
  const Exited killed = world.run(world.shell("kill -9 $$"));
  EXPECT_EQ(killed.kind, ExitKind::kSignaled);
  EXPECT_EQ(killed.code, SIGKILL);
  const Exited piped = world.run(world.shell("kill -PIPE $$"));
  EXPECT_EQ(piped.kind, ExitKind::kSignaled) << "SIGPIPE must not be ignored";
  EXPECT_EQ(piped.code, SIGPIPE);
}

TEST(WardenRun, ReportsWhatItTook) {
  WardenWorld world;
  const Exited busy = world.run(world.shell("i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"));
  EXPECT_GT(busy.cpu_us, 20'000u);
  EXPECT_LE(busy.cpu_us, busy.duration_us + 50'000);
  EXPECT_GT(busy.start_wall_us, std::int64_t{1'600'000'000} * 1'000'000);
  const Exited large = world.run(world.shell("dd if=/dev/zero of=/dev/null bs=96M count=1"));
  EXPECT_GT(large.peak_kib, 96u << 10);
  EXPECT_LT(large.peak_kib, 160u << 10);
  EXPECT_GT(world.link().floor_kib(), 0u);
}

TEST(WardenRun, FindsItsProgramAlongItsOwnPath) {
  WardenWorld world;
  std::filesystem::create_directory(world.path("bin"));
  std::filesystem::copy_file("/bin/echo", world.path("bin/leat-test-echo"));
  Launch launch = world.program({"leat-test-echo", "from template"});
  EXPECT_EQ(world.run(launch).error, ENOENT);
  launch.run.attempt = 2;
  launch.more_environment.add("PATH", world.path("bin"));
  launch.more_arguments.add("and launch");
  EXPECT_EQ(world.out(world.run(launch)), "from template and launch\n");
  launch.run.attempt = 3;
  launch.directory = world.directory();
  launch.more_environment = {};
  launch.more_environment.add("PATH", "/nowhere:bin");
  EXPECT_EQ(world.run(launch).code, 0);
}

TEST(WardenRun, FindsAProgramThatHasMoved) {
  WardenWorld world;
  world.environment = {};
  world.environment.add("PATH", world.path("a") + ":" + world.path("b"));
  for (const char* name : {"a", "b"}) std::filesystem::create_directory(world.path(name));
  std::filesystem::copy_file("/bin/true", world.path("a/mover"));
  Launch launch = world.program({"mover"});
  EXPECT_EQ(world.run(launch).code, 0);
  std::filesystem::rename(world.path("a/mover"), world.path("b/mover"));
  launch.run.attempt = 2;
  const Exited exited = world.run(launch);
  EXPECT_EQ(exited.kind, ExitKind::kExited) << exited.error;
}

TEST(WardenRun, GetsTheEnvironmentItWasGivenAndNoOther) {
  WardenWorld world;
  world.environment.add("A", "template");
  world.environment.add("B", "template");
  world.environment.add("LEAT_RUN_TOKEN", "forged");
  Launch launch = world.program({"env"});
  launch.more_environment.add("B", "launch");
  const std::string out = world.out(world.run(launch));
  EXPECT_NE(out.find("\nA=template\n"), std::string::npos);
  EXPECT_NE(out.find("\nB=launch\n"), std::string::npos);
  EXPECT_EQ(out.find("B=template"), std::string::npos);
  EXPECT_EQ(out.find("forged"), std::string::npos);
  EXPECT_EQ(out.find("HOME="), std::string::npos);
  EXPECT_NE(out.find("LEAT_RUN_TOKEN=" + WardenWorld::node_token() + ".7.0.0.1\n"),
            std::string::npos);
}

TEST(WardenRun, ReadsItsInput) {
  WardenWorld world;
  Launch launch = world.program({"cat"});
  EXPECT_EQ(world.run(launch).out_bytes, 0u);  // /dev/null
  Launch given = world.program({"cat"});
  given.directory = world.directory();
  given.stdin_path = "node.token";
  EXPECT_EQ(world.out(world.run(given)), WardenWorld::node_token());
}

TEST(WardenRun, CannotStallTheWardenByAnInputNobodyWrites) {
  WardenWorld world;
  ASSERT_EQ(mkfifo(world.path("fifo").c_str(), 0600), 0);
  Launch launch = world.program({"cat"});
  launch.stdin_path = world.path("fifo");
  EXPECT_EQ(world.run(launch).code, 0);
}

TEST(WardenRun, HasThreeDescriptorsAndASessionOfItsOwn) {
  WardenWorld world;
  const Exited exited = world.run(world.program({"/usr/bin/python3", "-c", R"(
import os, resource, signal
print(sorted(int(f) for f in os.listdir('/proc/self/fd'))[:-1])
print(os.getsid(0) == os.getpid(), resource.getrlimit(resource.RLIMIT_CORE))
print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), end='')
)"}));
  EXPECT_EQ(world.out(exited), "[0, 1, 2]\nTrue (0, 0)\n[]") << world.err(exited);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const Exited limits = world.run(world.shell("ulimit -Sn"));
  EXPECT_EQ(world.out(limits), std::to_string(files.rlim_cur) + "\n");
}

TEST(WardenRun, RunsOnTheProcessorsItWasGiven) {
  WardenWorld world;
  cpu_set_t own;
  CPU_ZERO(&own);
  ASSERT_EQ(sched_getaffinity(0, sizeof own, &own), 0);
  int last = -1;
  for (int cpu = 0; cpu < static_cast<int>(CpuMask::kCpusMax); ++cpu)
    if (CPU_ISSET(cpu, &own)) last = cpu;
  ASSERT_GE(last, 0);
  Launch launch = world.shell("grep Cpus_allowed_list /proc/self/status; nice");
  launch.cpus.add(static_cast<std::uint32_t>(last));
  launch.nice = 5;
  EXPECT_EQ(world.out(world.run(launch)), "Cpus_allowed_list:\t" + std::to_string(last) + "\n5\n");
}

TEST(WardenRun, WaitsForItsSlot) {
  WardenWorld world;
  const Launch first = world.shell("while ! [ -e $DIR/go ]; do sleep 0.01; done; echo first");
  world.put(first);
  world.wait_running(first.run);
  std::vector<Launch> waiting;
  for (std::size_t i = 0; i < kSlotBacklogMax; ++i) {
    waiting.push_back(world.shell("echo later"));
    world.put(waiting.back());
  }
  const Exited refused = world.run(world.shell("echo never"));
  EXPECT_EQ(refused.step, StartStep::kTable);
  EXPECT_EQ(refused.error, EBUSY);
  const RunId withdrawn = waiting.front().run;
  world.put(End{withdrawn, 0});
  EXPECT_EQ(world.wait_exit(withdrawn).step, StartStep::kWithdrawn);
  world.run(world.shell("touch $DIR/go", 1));
  for (std::size_t i = 1; i < waiting.size(); ++i)
    EXPECT_EQ(world.out(world.wait_exit(waiting[i].run)), "later\n");
  EXPECT_EQ(world.out(world.wait_exit(first.run)), "first\n");
}

TEST(WardenRun, IsStartedOnceHoweverOftenItIsLaunched) {
  WardenWorld world;
  const Launch launch = world.shell("echo x >> $DIR/runs");
  world.put(launch);
  world.put(launch);
  world.wait_exit(launch.run);
  world.put(launch);
  world.put(Confirm{launch.run});
  world.run(world.shell("true"));
  EXPECT_EQ(read_file(world.path("runs")), "x\n");
}

TEST(WardenRun, SaysThatTheSpoolTookNoMore) {
  WardenWorld world;
  // A limit on file size stands in for a full disk: the kernel refuses to write in either case.
  const rlimit small{100'000, 100'000};
  ASSERT_EQ(prlimit(world.warden_pid(), RLIMIT_FSIZE, &small, nullptr), 0);
  const Exited exited = world.run(world.shell("seq 1 100000; exit 3"));
  EXPECT_EQ(exited.kind, ExitKind::kExited);
  EXPECT_EQ(exited.code, 3) << "the task itself must not notice";
  EXPECT_TRUE(exited.has(kSpoolFailed));
  EXPECT_EQ(exited.spool_error, EFBIG);
  EXPECT_LE(exited.out_bytes, 100'000u);
}

TEST(WardenRun, ManyGoThroughFewSlots) {
  WardenWorld world;
  const Launch pattern = world.program({"/bin/true"});
  constexpr Index kRuns = 2000;
  std::vector<RunId> runs;
  for (Index i = 0; i < kRuns; ++i) {
    Launch launch = pattern;
    launch.run = {JobId{9}, 0, 1, i};
    launch.slot = static_cast<std::uint16_t>(i % 4);
    if (i >= 16) {
      world.wait_exit(runs[i - 16]);
      world.put(Confirm{runs[i - 16]});
    }
    runs.push_back(launch.run);
    world.put(launch);
  }
  for (const RunId& run : runs) EXPECT_EQ(world.wait_exit(run).code, 0);
}

}  // namespace
}  // namespace leat::warden
