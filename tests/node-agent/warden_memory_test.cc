// Memory limits of runs, kept by real cgroups where the machine has them, and without.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "tests/node-agent/warden_world.h"

namespace leat::warden {
namespace {

constexpr std::uint64_t kMiB = WardenWorld::kMiB;

Launch allocating(WardenWorld& world, int mebibytes, std::uint16_t slot = 0) {
  return world.program(
      {"python3", "-c", "x = bytearray(" + std::to_string(mebibytes) + " << 20); print('done')"},
      slot);
}

bool keeps_limits(WardenWorld& world) {
  const Enforcement enforcement = world.link().enforcement();
  std::printf("memory limits are kept by: %s\n", enforcement_name(enforcement));
  return enforcement != Enforcement::kPlain;
}

TEST(WardenMemory, OverItsLimitARunEndsAndItsNeighbourLives) {
  WardenWorld world;
  if (!keeps_limits(world)) return;
  Launch neighbour = world.shell("echo up > $DIR/up; read x < $DIR/gate", 1);
  neighbour.memory_limit_bytes = 64 * kMiB;
  ASSERT_EQ(mkfifo(world.path("gate").c_str(), 0600), 0);
  world.put(neighbour);
  world.wait_for_file(world.path("up"));
  Launch greedy = allocating(world, 300);
  greedy.memory_limit_bytes = 64 * kMiB;
  const Exited exited = world.run(greedy);
  EXPECT_EQ(exited.kind, ExitKind::kSignaled);
  EXPECT_EQ(exited.code, SIGKILL);
  EXPECT_TRUE(exited.has(kOutOfMemory));
  EXPECT_TRUE(exited.has(kPeakOfGroup));
  EXPECT_GT(exited.peak_kib, 60u << 10);
  EXPECT_LE(exited.peak_kib, 64u << 10);
  EXPECT_FALSE(world.has_exited(neighbour.run));
  std::ofstream(world.path("gate")) << std::endl;
  const Exited other = world.wait_exit(neighbour.run);
  EXPECT_EQ(other.code, 0);
  EXPECT_FALSE(other.has(kOutOfMemory));
}

TEST(WardenMemory, ASlotServesTheNextRunAsIfNothingHadBeen) {
  WardenWorld world;
  if (!keeps_limits(world)) return;
  for (const bool fits : {false, true, false, true}) {
    Launch launch = allocating(world, 100);
    launch.memory_limit_bytes = (fits ? 400 : 50) * kMiB;
    const Exited exited = world.run(launch);
    EXPECT_EQ(exited.has(kOutOfMemory), !fits);
    EXPECT_EQ(world.out(exited), fits ? "done\n" : "");
    if (fits) {
      EXPECT_GT(exited.peak_kib, 100u << 10);
      EXPECT_LT(exited.peak_kib, 200u << 10);
    }
  }
  // Without a limit there is no group, and the peak is the process's own.
  const Exited free = world.run(allocating(world, 100));
  EXPECT_FALSE(free.has(kPeakOfGroup));
  EXPECT_GT(free.peak_kib, 100u << 10);
}

TEST(WardenMemory, AChildOverTheLimitIsToldEvenIfTheParentEndsByItself) {
  WardenWorld world;
  if (!keeps_limits(world)) return;
  Launch launch = world.shell("python3 -c 'bytearray(300 << 20)'; exit 7");
  launch.memory_limit_bytes = 64 * kMiB;
  const Exited exited = world.run(launch);
  EXPECT_TRUE(exited.has(kOutOfMemory));
  // Version 2 ends all of the run together.
  if (world.link().enforcement() == Enforcement::kHybrid) {
    EXPECT_EQ(exited.kind, ExitKind::kExited);
    EXPECT_EQ(exited.code, 7);
  }
}

TEST(WardenMemory, WhatHidesFromItsRunGoesWithTheGroup) {
  WardenWorld world;
  if (!keeps_limits(world)) return;
  // Its session, parent and environment say nothing any more.
  Launch launch = world.shell(
      "(setsid env -i sh -c 'echo $$ > \"$0\".new; mv \"$0\".new \"$0\"; exec sleep 1000' "
      "\"$DIR/pid\" > /dev/null 2>&1 &); while ! [ -e $DIR/pid ]; do :; done; echo over");
  launch.memory_limit_bytes = 64 * kMiB;
  const Exited exited = world.run(launch);
  EXPECT_EQ(exited.kind, ExitKind::kExited);
  EXPECT_EQ(world.out(exited), "over\n");
  // The run's end waits for it.
  EXPECT_TRUE(gone_within(read_pid(world.path("pid")), 0));
}

TEST(WardenMemory, ALimitThatNoProgramFitsInIsNoAccidentOfOurs) {
  WardenWorld world;
  if (!keeps_limits(world)) return;
  Launch launch = world.shell("true");
  launch.memory_limit_bytes = 4096;
  const Exited exited = world.run(launch);
  EXPECT_TRUE(exited.has(kOutOfMemory) || exited.kind == ExitKind::kNotStarted)
      << static_cast<int>(exited.kind);
  EXPECT_EQ(world.out(world.run(world.shell("echo fine"))), "fine\n");
}

TEST(WardenMemory, WithoutGroupsALimitIsOnlyAWish) {
  WardenWorld world(LEAT_WARDEN_PROGRAM, WardenWorld::Groups::kNone);
  std::printf("memory limits are kept by: %s\n", enforcement_name(world.link().enforcement()));
  EXPECT_EQ(world.link().enforcement(), Enforcement::kPlain);
  Launch launch = allocating(world, 100);
  launch.memory_limit_bytes = 10 * kMiB;
  const Exited exited = world.run(launch);
  EXPECT_EQ(world.out(exited), "done\n");
  EXPECT_FALSE(exited.has(kPeakOfGroup));
  EXPECT_GT(exited.peak_kib, 100u << 10);
}

TEST(WardenMemory, GpusAreToldAgainToTheNextAgent) {
  WardenWorld world;
  Launch launch = world.shell("read x < $DIR/gate");
  ASSERT_EQ(mkfifo(world.path("gate").c_str(), 0600), 0);
  launch.gpu_mask = 0b1010;
  world.put(launch);
  EXPECT_EQ(world.wait_running(launch.run).gpu_mask, 0b1010u);
  world.leave();
  world.attach();
  ASSERT_EQ(world.dump().size(), 2u);
  EXPECT_EQ(std::get<Running>(world.dump()[0]).gpu_mask, 0b1010u);
  world.put(End{launch.run, 0});
  world.wait_exit(launch.run);
}

}  // namespace
}  // namespace leat::warden
