// What outlives an agent, what does not outlive a warden, and who is let in.

#include <gtest/gtest.h>
#include <kj/exception.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "node-agent/warden/fd.h"
#include "node-agent/warden_start.h"
#include "tests/node-agent/warden_world.h"

namespace leat::warden {
namespace {

const Exited* find_exit(const std::vector<Event>& dump, const RunId& run) {
  for (const Event& event : dump)
    if (const auto* exited = std::get_if<Exited>(&event); exited && exited->run == run)
      return exited;
  return nullptr;
}

const Running* find_running(const std::vector<Event>& dump, const RunId& run) {
  for (const Event& event : dump)
    if (const auto* running = std::get_if<Running>(&event); running && running->run == run)
      return running;
  return nullptr;
}

TEST(WardenAdopt, RunsGoOnWithoutAnAgentAndLoseNothing) {
  WardenWorld world;
  const Launch loud = world.shell(
      "while ! [ -e $DIR/go ]; do sleep 0.01; done; seq 1 100000; "
      "echo x > $DIR/written; while ! [ -e $DIR/end ]; do sleep 0.01; done; echo last");
  const Launch quick =
      world.shell("while ! [ -e $DIR/go ]; do sleep 0.01; done; echo quick; exit 3", 1);
  const Launch later = world.shell("echo later", 1);
  const Launch slow = world.shell("sleep 100", 2);
  for (const Launch& launch : {loud, quick, later, slow}) world.put(launch);
  const Running before = world.wait_running(loud.run);
  world.wait_running(slow.run);
  const int warden = world.warden_pid();
  world.leave();
  std::ofstream(world.path("go")) << "go";
  world.wait_for_file(world.path("written"));  // far more than a pipe holds, and nobody attached
  world.attach();
  EXPECT_EQ(world.warden_pid(), warden);
  const Running* adopted = find_running(world.dump(), loud.run);
  ASSERT_NE(adopted, nullptr);
  EXPECT_TRUE(adopted->in_dump);
  EXPECT_EQ(adopted->pid, before.pid);
  EXPECT_EQ(adopted->start_monotonic_us, before.start_monotonic_us);
  EXPECT_NE(find_running(world.dump(), slow.run), nullptr);
  EXPECT_EQ(std::get<DumpEnd>(world.dump().back()).runs, 4u);
  const Exited quick_exit = world.wait_exit(quick.run);
  EXPECT_EQ(quick_exit.code, 3);
  EXPECT_EQ(world.out(quick_exit), "quick\n");
  EXPECT_EQ(world.out(world.wait_exit(later.run)), "later\n");
  std::ofstream(world.path("end")) << "end";
  const Exited exited = world.wait_exit(loud.run);
  const std::string out = world.out(exited);
  EXPECT_EQ(out.size(), 588'895u + 5u);
  EXPECT_TRUE(out.starts_with("1\n2\n3\n"));
  EXPECT_TRUE(out.ends_with("\n100000\nlast\n"));
  EXPECT_FALSE(exited.has(kOutTruncated));
}

TEST(WardenAdopt, AnExitIsRepeatedUntilItIsConfirmed) {
  WardenWorld world;
  const Launch launch = world.shell("echo kept; exit 2");
  const Launch missing = world.program({"/no/such"});
  const Exited exited = world.run(launch);
  world.run(missing);
  for (int i = 0; i < 2; ++i) {
    world.leave();
    world.attach();
    ASSERT_NE(find_exit(world.dump(), launch.run), nullptr);
    EXPECT_EQ(*find_exit(world.dump(), launch.run), exited);
    EXPECT_NE(find_exit(world.dump(), missing.run), nullptr);
  }
  world.put(Confirm{launch.run});
  world.put(Confirm{missing.run});
  world.run(world.shell("true"));  // by its end the commands before it have been read
  world.leave();
  world.attach();
  EXPECT_EQ(find_exit(world.dump(), launch.run), nullptr);
  EXPECT_EQ(find_exit(world.dump(), missing.run), nullptr);
}

TEST(WardenAdopt, LimitsHoldWithoutAnAgent) {
  WardenWorld world;
  Launch launch = world.shell("echo x > $DIR/up; trap '' TERM; sleep 100; sleep 100");
  launch.time_limit_us = WardenWorld::kSecond / 2;
  launch.grace_us = WardenWorld::kSecond / 10;
  world.put(launch);
  const int pid = world.wait_running(launch.run).pid;
  world.leave();
  EXPECT_TRUE(gone_within(pid, 10));
  world.attach();
  EXPECT_TRUE(world.wait_exit(launch.run).has(kTimeLimitHit));
}

TEST(WardenAdopt, ASecondAgentIsRefused) {
  WardenWorld world;
  EXPECT_ANY_THROW(agent::WardenLink::attach(world.io().unixEventPort,
                                             world.io().provider->getTimer(), world.options(),
                                             [](const Event&) {})
                       .wait(world.io().waitScope));
  EXPECT_EQ(world.out(world.run(world.shell("echo still"))), "still\n");
}

TEST(WardenAdopt, TasksDieWithTheWardenAndTheirDaemonsWithTheNextStart) {
  WardenWorld world;
  const Launch launch = world.shell(
      "(setsid sh -c 'echo $$ > $DIR/daemon; sleep 100; :' &); "
      "(setsid sh -c 'echo $$ > $DIR/parent; env -i sleep 100; :' &); echo $$ > $DIR/task; sleep "
      "100");
  world.put(launch);
  for (const char* name : {"daemon", "parent", "task"}) world.wait_for_file(world.path(name));
  bool lost = false;
  auto waits = world.link().on_lost().then([&lost] { lost = true; }).eagerlyEvaluate(nullptr);
  const int warden = world.warden_pid();
  ASSERT_EQ(kill(warden, SIGKILL), 0);
  world.wait_until([&lost] { return lost; }, "the link's end");
  EXPECT_TRUE(gone_within(read_pid(world.path("task")), 10));
  EXPECT_FALSE(gone_within(read_pid(world.path("daemon")), 0)) << "nobody was there to end it";
  world.attach();
  EXPECT_NE(world.warden_pid(), warden);
  EXPECT_TRUE(gone_within(read_pid(world.path("daemon")), 0));
  EXPECT_TRUE(gone_within(read_pid(world.path("parent")), 0));
  EXPECT_EQ(std::get<DumpEnd>(world.dump().back()).runs, 0u);
  const Exited next = world.run(world.shell("echo again"));
  EXPECT_EQ(world.out(next), "again\n");
}

TEST(WardenAdopt, ANewWardenAppendsToTheSpoolItFinds) {
  WardenWorld world;
  const Exited first = world.run(world.shell("echo first"));
  ASSERT_EQ(kill(world.warden_pid(), SIGKILL), 0);
  ASSERT_TRUE(gone_within(world.warden_pid(), 10));
  world.leave();
  world.attach();
  const Exited second = world.run(world.shell("echo second"));
  EXPECT_EQ(world.out(first), "first\n");
  EXPECT_EQ(world.out(second), "second\n");
  EXPECT_EQ(second.out_offset, 6u);
}

// ---- Garbage ----

Fd connect_to(const WardenWorld& world) {
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, world.path("warden.sock").c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return socket;
}

TEST(WardenAdopt, GarbageOnTheSocketIsTurnedAway) {
  WardenWorld world;
  const std::string long_garbage(60'000, 'x');
  for (const std::string& garbage : {std::string("x"), std::string(16, '\xff'), long_garbage}) {
    const Fd socket = connect_to(world);
    ASSERT_GT(send(socket.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL), 0);
    char byte = 0;
    EXPECT_LE(recv(socket.get(), &byte, 1, 0), 0);
  }
  Hello old;
  old.version = kRingVersion + 1;
  const Fd socket = connect_to(world);
  ASSERT_GT(send(socket.get(), &old, sizeof old, MSG_NOSIGNAL), 0);
  Welcome answer;
  ASSERT_EQ(recv(socket.get(), &answer, sizeof answer, 0), static_cast<ssize_t>(sizeof answer));
  EXPECT_EQ(answer.status, AttachStatus::kWrongVersion);
  EXPECT_EQ(world.out(world.run(world.shell("echo still"))), "still\n");
}

TEST(WardenAdopt, SilentPeersDoNotKeepAnAgentOut) {
  WardenWorld world;
  world.leave();
  std::vector<Fd> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(connect_to(world));
  world.attach();
  const Exited exited = world.run(world.shell("echo in"));
  EXPECT_EQ(world.out(exited), "in\n") << story(exited);
}

// Attaches by hand and hands the mapped ring to `spoil`.
void spoil_ring(WardenWorld& world, const std::function<void(SharedHeader&, std::byte*)>& spoil) {
  agent::WardenHandles handles =
      agent::attach_to_warden(world.io().unixEventPort, world.io().provider->getTimer(),
                              world.options())
          .wait(world.io().waitScope);
  EXPECT_NE(ftruncate(handles.memory, 0), 0) << "the warden would die of its own memory";
  void* base = mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, handles.memory, 0);
  ASSERT_NE(base, MAP_FAILED);
  auto* bytes = static_cast<std::byte*>(base);
  spoil(*static_cast<SharedHeader*>(base), bytes + kRingsOffset);
  const std::uint64_t one = 1;
  ASSERT_EQ(write(handles.to_warden, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  // The warden closes the connection: that is how it says that this was nonsense.
  char byte = 0;
  world.wait_until([&] { return recv(handles.socket, &byte, 1, MSG_DONTWAIT) == 0; }, "the end");
  munmap(base, kSharedBytes);
}

TEST(WardenAdopt, GarbageInTheRingCostsTheAgentItsPlaceAndNothingElse) {
  WardenWorld world;
  const Launch live = world.shell("while ! [ -e $DIR/end ]; do sleep 0.01; done; echo alive");
  world.put(live);
  world.wait_running(live.run);
  world.leave();
  spoil_ring(world, [](SharedHeader& header, std::byte*) { header.commands.written = ~0ull; });
  spoil_ring(world, [](SharedHeader& header, std::byte*) { header.commands.written = 12; });
  spoil_ring(world, [](SharedHeader& header, std::byte* ring) {
    std::memset(ring, 0xff, 4096);
    header.commands.written = 4096;
  });
  spoil_ring(world, [](SharedHeader& header, std::byte* ring) {
    RingWriter writer(header.commands, ring);
    Bytes record;
    encode(Command(Launch{}), record);
    record.resize(record.size() - 3);
    writer.put(record);
    writer.publish();
  });
  world.attach();
  EXPECT_NE(find_running(world.dump(), live.run), nullptr);
  std::ofstream(world.path("end")) << "end";
  EXPECT_EQ(world.out(world.wait_exit(live.run)), "alive\n");
}

TEST(WardenAdopt, AFloodOfLaunchesIsAnsweredWholly) {
  WardenWorld world;
  const Launch pattern = world.shell("sleep 100");
  std::size_t put = 0;
  constexpr std::size_t kLaunches = kRunsMax + 2000;
  Launch launch = pattern;
  launch.output_limit_bytes = 0;
  // Most go to one slot and are refused there; more than the rings hold, before any is answered.
  while (put < kLaunches) {
    launch.run.index = put + 1;
    if (world.link().put(launch)) {
      ++put;
    } else {
      world.link().when_room().wait(world.io().waitScope);
    }
  }
  std::size_t refused = 0;
  world.wait_until(
      [&] {
        refused = 0;
        for (std::size_t i = 1; i <= kLaunches; ++i)
          if (world.has_exited({JobId{7}, 0, 1, i})) ++refused;
        return refused == kLaunches - 1 - kSlotBacklogMax;
      },
      "all refusals");
}

// As root nothing is ever forbidden, so this is the real test of what the warden may look at.
TEST(WardenAdopt, WorksForAnUnprivilegedUser) {
  const TemporaryDirectory open_to_all;  // the build directory need not be
  const std::string program = open_to_all.path() + "/leat-warden";
  std::filesystem::copy_file(LEAT_WARDEN_PROGRAM, program);
  ASSERT_EQ(chmod(open_to_all.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(program.c_str(), 0755), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(3);
    WardenWorld world(program);
    const Exited exited = world.run(
        world.shell("(setsid sh -c 'echo $$ > $DIR/left; while :; do sleep 100; done' &); "
                    "while ! [ -s $DIR/left ]; do sleep 0.01; done; echo fine; id -u"));
    if (world.out(exited) != "fine\n" + std::to_string(geteuid()) + "\n") _exit(4);
    if (!gone_within(read_pid(world.path("left")), 10)) _exit(5);
    if (kill(world.warden_pid(), SIGKILL) != 0) _exit(6);
    world.leave();
    world.attach();
    world.~WardenWorld();
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(WardenAdopt, ADirectoryThatOthersMayEnterIsRefused) {
  WardenWorld world;
  kill(world.warden_pid(), SIGTERM);
  ASSERT_TRUE(gone_within(world.warden_pid(), 10));
  world.leave();
  chmod(world.directory().c_str(), 0755);
  EXPECT_ANY_THROW(world.attach());
  chmod(world.directory().c_str(), 0700);
  chmod(world.path("node.token").c_str(), 0644);
  EXPECT_ANY_THROW(world.attach());
  chmod(world.path("node.token").c_str(), 0600);
  world.attach();
}

}  // namespace
}  // namespace leat::warden
