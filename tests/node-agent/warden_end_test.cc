// How runs are ended, with everything they started.

#include <gtest/gtest.h>
#include <signal.h>

#include <csignal>

#include "tests/node-agent/warden_world.h"

namespace leat::warden {
namespace {

// A process that has left session and parent, and ignores SIGTERM. Its pid goes to $DIR/<name>.
std::string daemon(const std::string& name) {
  return "(setsid sh -c 'trap \"\" TERM; echo $$ > $DIR/" + name + ".new; mv $DIR/" + name +
         ".new $DIR/" + name + "; while :; do sleep 100; done' &) ; while ! [ -e $DIR/" + name +
         " ]; do sleep 0.01; done; ";
}

TEST(WardenEnd, TheTimeLimitEndsTheWholeTreeAfterTheGrace) {
  WardenWorld world;
  Launch launch =
      world.shell(daemon("deep") + "trap '' TERM; sleep 100 & echo up; wait; sleep 100");
  launch.time_limit_us = WardenWorld::kSecond / 2;
  launch.grace_us = WardenWorld::kSecond / 4;
  const Exited exited = world.run(launch);
  EXPECT_EQ(exited.kind, ExitKind::kSignaled);
  EXPECT_EQ(exited.code, SIGKILL);
  EXPECT_TRUE(exited.has(kTimeLimitHit));
  EXPECT_FALSE(exited.has(kEndedByOrder));
  EXPECT_GE(exited.duration_us, WardenWorld::kSecond * 3 / 4);
  EXPECT_LT(exited.duration_us, WardenWorld::kSecond * 10);
  EXPECT_EQ(world.out(exited), "up\n");
  // The report waits for the last process, so it is gone by now.
  EXPECT_TRUE(gone_within(read_pid(world.path("deep")), 0));
}

TEST(WardenEnd, ATaskIsWarnedBeforeItsTimeIsOver) {
  WardenWorld world;
  Launch launch = world.shell("trap 'echo warned; exit 0' USR1; while :; do sleep 0.02; done");
  launch.time_limit_us = WardenWorld::kSecond * 100;
  launch.warning_us = launch.time_limit_us - WardenWorld::kSecond / 5;
  launch.warning_signal = SIGUSR1;
  const Exited exited = world.run(launch);
  EXPECT_EQ(world.out(exited), "warned\n");
  EXPECT_EQ(exited.kind, ExitKind::kExited);
  EXPECT_EQ(exited.code, 0);
  EXPECT_FALSE(exited.has(kTimeLimitHit));
  EXPECT_GE(exited.duration_us, WardenWorld::kSecond / 5);
}

TEST(WardenEnd, AWarningDoesNotMoveTheLimit) {
  WardenWorld world;
  Launch launch =
      world.shell("trap 'echo warned' USR1; trap '' TERM; while :; do sleep 0.02; done");
  launch.time_limit_us = WardenWorld::kSecond / 2;
  launch.warning_us = WardenWorld::kSecond / 4;
  launch.warning_signal = SIGUSR1;
  launch.grace_us = WardenWorld::kSecond / 10;
  const Exited exited = world.run(launch);
  EXPECT_EQ(world.out(exited), "warned\n");
  EXPECT_EQ(exited.kind, ExitKind::kSignaled);
  EXPECT_TRUE(exited.has(kTimeLimitHit));
  EXPECT_GE(exited.duration_us, WardenWorld::kSecond / 2);
}

TEST(WardenEnd, ATaskThatListensMayEndInItsGrace) {
  WardenWorld world;
  Launch launch = world.shell("trap 'echo bye; exit 9' TERM; while :; do sleep 0.02; done");
  launch.time_limit_us = WardenWorld::kSecond / 5;
  launch.grace_us = WardenWorld::kSecond * 20;
  const Exited exited = world.run(launch);
  EXPECT_EQ(exited.kind, ExitKind::kExited);
  EXPECT_EQ(exited.code, 9);
  EXPECT_EQ(world.out(exited), "bye\n");
  EXPECT_TRUE(exited.has(kTimeLimitHit));
  EXPECT_LT(exited.duration_us, WardenWorld::kSecond * 10);
}

TEST(WardenEnd, WhatASuccessfulTaskLeavesBehindGoes) {
  WardenWorld world;
  const Exited exited = world.run(world.shell(daemon("left") + "echo fine"));
  EXPECT_EQ(exited.code, 0);
  EXPECT_EQ(world.out(exited), "fine\n");
  EXPECT_TRUE(gone_within(read_pid(world.path("left")), 10));
}

TEST(WardenEnd, WhatHasHiddenItsOriginGoesWhenNothingOlderRuns) {
  WardenWorld world;
  const Exited exited = world.run(
      world.shell("(setsid env -i sh -c 'echo $$ > '$DIR'/hidden; while :; do sleep 100; done' &)"
                  "; while ! [ -s $DIR/hidden ]; do sleep 0.01; done"));
  EXPECT_EQ(exited.code, 0);
  EXPECT_TRUE(gone_within(read_pid(world.path("hidden")), 10));
}

TEST(WardenEnd, TheBackgroundOfALiveTaskIsLeftAlone) {
  WardenWorld world;
  const Launch live =
      world.shell(daemon("own") + "while ! [ -e $DIR/stop ]; do sleep 0.01; done; echo end");
  world.put(live);
  world.wait_for_file(world.path("own"));
  const int own = read_pid(world.path("own"));
  // Several others end meanwhile, and with one of them a daemon: that makes the warden sweep.
  world.run(world.shell(daemon("other") + "exit 0", 1));
  EXPECT_TRUE(gone_within(read_pid(world.path("other")), 10));
  EXPECT_FALSE(gone_within(own, 0));
  EXPECT_FALSE(world.has_exited(live.run));
  world.run(world.shell("touch $DIR/stop", 1));
  EXPECT_EQ(world.out(world.wait_exit(live.run)), "end\n");
  EXPECT_TRUE(gone_within(own, 10));
}

TEST(WardenEnd, AnOrderEndsAtOnceOrAfterItsGrace) {
  WardenWorld world;
  const Launch at_once = world.shell(daemon("a") + "echo ready; sleep 100", 0);
  const Launch gently =
      world.shell("trap 'exit 5' TERM; touch $DIR/b; while :; do sleep 0.02; done", 1);
  const Launch deaf = world.shell("trap '' TERM; echo x > $DIR/c; while :; do sleep 0.02; done", 2);
  for (const Launch& launch : {at_once, gently, deaf}) world.put(launch);
  for (const char* name : {"a", "c"}) world.wait_for_file(world.path(name));
  world.wait_running(gently.run);
  world.run(world.shell("while ! [ -e $DIR/b ]; do sleep 0.01; done", 3));
  world.put(End{at_once.run, 0});
  world.put(End{gently.run, 20 * WardenWorld::kSecond});
  world.put(End{deaf.run, WardenWorld::kSecond / 10});
  const Exited first = world.wait_exit(at_once.run);
  EXPECT_EQ(first.code, SIGKILL);
  EXPECT_TRUE(first.has(kEndedByOrder));
  EXPECT_TRUE(gone_within(read_pid(world.path("a")), 0));
  EXPECT_EQ(world.wait_exit(gently.run).code, 5);
  EXPECT_EQ(world.wait_exit(deaf.run).code, SIGKILL);
}

TEST(WardenEnd, AStoppedTaskHearsThatItShallEnd) {
  WardenWorld world;
  const Launch launch =
      world.shell("trap 'exit 6' TERM; echo x > $DIR/up; kill -STOP $$; sleep 100");
  world.put(launch);
  world.wait_for_file(world.path("up"));
  world.put(End{launch.run, 20 * WardenWorld::kSecond});
  EXPECT_EQ(world.wait_exit(launch.run).code, 6);
}

TEST(WardenEnd, ASignalReachesTheWholeTreeAndEndsNothing) {
  WardenWorld world;
  const Launch launch = world.shell(
      "sh -c 'trap \"echo child >> $DIR/heard\" USR1; echo x > $DIR/up; while ! [ -e $DIR/heard ];"
      "do sleep 0.02; done' & trap : USR1; wait; wait; echo over");
  world.put(launch);
  world.wait_for_file(world.path("up"));
  world.put(Signal{launch.run, SIGUSR1});
  const Exited exited = world.wait_exit(launch.run);
  EXPECT_EQ(exited.code, 0);
  EXPECT_EQ(exited.flags, 0);
  EXPECT_EQ(read_file(world.path("heard")), "child\n");
}

TEST(WardenEnd, ATreeThatGrowsIsEndedToo) {
  WardenWorld world;
  const Launch launch = world.shell(
      "f() { [ $1 -gt 0 ] && { (f $(($1-1)) &) ; (setsid sh -c 'sleep 100' &) ; sleep 100; }; }; "
      "f 40 & echo x > $DIR/up; wait");
  world.put(launch);
  world.wait_for_file(world.path("up"));
  world.put(End{launch.run, 0});
  const Exited exited = world.wait_exit(launch.run);
  EXPECT_EQ(exited.code, SIGKILL);
  // Whatever carries the token is the tree; none of it may be left when the end is reported.
  const Exited count =
      world.run(world.shell("grep -alz '^LEAT_RUN_TOKEN=" + WardenWorld::node_token() +
                                ".7.0.0.1$' "
                                "/proc/[0-9]*/environ 2>/dev/null | wc -l",
                            1));
  EXPECT_EQ(world.out(count), "0\n");
}

TEST(WardenEnd, ShutdownEndsEverythingAndTheWarden) {
  WardenWorld world;
  const Launch running = world.shell(daemon("d") + "sleep 100");
  const Launch waiting = world.shell("true");
  world.put(running);
  world.put(waiting);
  world.wait_for_file(world.path("d"));
  bool lost = false;
  auto waits = world.link().on_lost().then([&lost] { lost = true; }).eagerlyEvaluate(nullptr);
  world.put(Shutdown{});
  world.wait_until([&lost] { return lost; }, "the link's end");
  EXPECT_TRUE(world.wait_exit(running.run).has(kEndedByOrder));
  EXPECT_EQ(world.wait_exit(waiting.run).step, StartStep::kWithdrawn);
  EXPECT_TRUE(gone_within(world.warden_pid(), 10));
  EXPECT_TRUE(gone_within(read_pid(world.path("d")), 0));
}

}  // namespace
}  // namespace leat::warden
