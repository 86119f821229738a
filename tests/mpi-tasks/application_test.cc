#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "spool/rank_frames.h"
#include "tests/mpi-tasks/gang_world.h"

namespace leat::mpi {
namespace {

// A gang without ranks, whose application is a shell script.
GangPlan script(NodeIndex nodes, const std::string& text) {
  return {.nodes = nodes_of(nodes, 2), .program = {"sh", "-c", text}, .application = true};
}

std::string of(const std::map<Rank, std::string>& output, Rank frame) {
  const auto at = output.find(frame);
  return at == output.end() ? "" : at->second;
}

// What the application of a gang that ends well has written to its standard output.
std::string said(const GangPlan& gang) {
  GangWorld world(gang);
  const std::vector<LauncherEnd> ends = world.run();
  for (const LauncherEnd& end : ends) EXPECT_EQ(end.code, 0) << end.error;
  EXPECT_EQ(world.left_over(), "");
  return of(ends.at(0).rank_out, spool::kApplication);
}

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/leat-app-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

TEST(Application, RunsOnTheFirstNodeAloneAndKnowsAll) {
  GangPlan gang = script(3,
                         "echo $LEAT_HOST_LIST of $LEAT_NODE_COUNT, here $LEAT_NODE_INDEX, first "
                         "$LEAT_IS_PRIMARY; cat $LEAT_HOSTFILE; env | grep -c -e ^SLURM -e ^PMI");
  gang.inherited = {"SLURM_JOBID=4", "SLURM_NODELIST=here", "PMIX_RANK=3"};
  gang.program.back() += "; true";
  GangWorld world(gang);
  const std::vector<LauncherEnd> ends = world.run();
  EXPECT_EQ(of(ends[0].rank_out, spool::kApplication),
            "node0,node1,node2 of 3, here 0, first 1\n"
            "node0 slots=2\nnode1 slots=2\nnode2 slots=2\n0\n");
  for (const LauncherEnd& end : ends) {
    EXPECT_EQ(end.code, 0);
    EXPECT_EQ(end.error, "");
  }
  EXPECT_EQ(ends[1].out, "");
  EXPECT_EQ(world.left_over(), "");
}

TEST(Application, GivesTheGangItsExitCode) {
  for (const auto& [text, code, cause] :
       {std::tuple("exit 3", 3, "exited with code 3"),
        std::tuple("kill -9 $$", 137, "was killed by signal 9 (SIGKILL)")}) {
    GangWorld world(script(2, text));
    for (const LauncherEnd& end : world.run()) {
      EXPECT_EQ(end.code, code);
      EXPECT_NE(end.error.find(std::string("the application on node node0 ") + cause + "\n"),
                std::string::npos)
          << end.error;
    }
    EXPECT_EQ(world.left_over(), "");
  }
}

TEST(Application, StartsWhenTheCoordinationHasEndedWellOnAllNodes) {
  const Folder folder;
  GangPlan gang = script(3, "ls " + folder.path);
  gang.coordination = {"sh", "-c",
                       "echo up $LEAT_NODE_INDEX; : > " + folder.path + "/$LEAT_NODE_INDEX"};
  GangWorld world(gang);
  const std::vector<LauncherEnd> ends = world.run();
  EXPECT_EQ(of(ends[0].rank_out, spool::kApplication), "0\n1\n2\n") << ends[0].error;
  for (NodeIndex node = 0; node < 3; ++node)
    EXPECT_EQ(of(ends[node].rank_out, spool::kCoordination), "up " + std::to_string(node) + "\n");
}

TEST(Application, DoesNotStartAfterACoordinationThatFails) {
  for (const bool application : {true, false}) {
    GangPlan gang = script(2, "echo started");
    gang.application = application;
    gang.coordination = {"sh", "-c", "test $LEAT_NODE_INDEX = 0 || exit 5"};
    GangWorld world(gang);
    for (const LauncherEnd& end : world.run()) {
      EXPECT_EQ(end.code, 5);
      EXPECT_NE(end.error.find("the coordination command on node node1 exited with code 5\n"),
                std::string::npos)
          << end.error;
      EXPECT_EQ(end.out, "");
    }
    EXPECT_EQ(world.left_over(), "");
  }
}

TEST(Application, MayBeBroughtByTheCoordination) {
  const Folder folder;
  GangPlan gang{.nodes = nodes_of(2, 1), .program = {folder.path + "/app"}};
  gang.coordination = {"sh", "-c",
                       "umask 022; cd " + folder.path +
                           "; printf '#!/bin/sh\\necho brought' > $LEAT_NODE_INDEX; chmod +x "
                           "$LEAT_NODE_INDEX; mv $LEAT_NODE_INDEX app"};
  GangWorld world(gang);
  for (const LauncherEnd& end : world.run()) {
    EXPECT_EQ(end.code, 0) << end.error;
    EXPECT_EQ(end.rank_out.begin()->second, "brought\n");
  }
}

TEST(Application, OfACoordinationThatNeverReturnsEndsWhenItIsTold) {
  GangPlan gang = script(2, "true");
  gang.coordination = {"sh", "-c", "echo up; exec tail -f /dev/null"};
  GangWorld world(gang);
  world.start();
  for (const NodeIndex node : {0u, 1u}) world.wait_for_output(node, "up");
  world.signal(1, SIGTERM);
  for (const LauncherEnd& end : world.wait()) EXPECT_EQ(end.code, 143);
  EXPECT_EQ(world.left_over(), "");
}

TEST(Rsh, RunsACommandOnAnotherNodeAsSshDoes) {
  GangWorld world(
      script(2,
             "$LEAT_RSH -x node1 'echo a  b; echo node $LEAT_NODE_INDEX >&2; exit 4' 2>&1"
             "; echo code $?; $LEAT_RSH node0 'kill -9 $$'; echo code $?; "
             "$LEAT_RSH -n node1 echo '$LEAT_NODE_INDEX' ';' cat"));
  const std::vector<LauncherEnd> ends = world.run();
  const std::string out = of(ends[0].rank_out, spool::kApplication);
  EXPECT_TRUE(out == "a b\nnode 1\ncode 4\ncode 137\n1\n" ||
              out == "node 1\na b\ncode 4\ncode 137\n1\n")
      << out << ends[0].error;
  // Each can be seen by itself on its node.
  EXPECT_EQ(of(ends[1].rank_out, spool::kFirstSubtask), "a b\n");
  EXPECT_EQ(of(ends[1].rank_error, spool::kFirstSubtask), "node 1\n");
  EXPECT_EQ(of(ends[1].rank_out, spool::kFirstSubtask + 1), "1\n");
  EXPECT_EQ(world.left_over(), "");
}

TEST(Rsh, TellsOfEachSubtaskItsCommandItsTimesAndItsEnd) {
  GangPlan gang = script(2,
                         "$LEAT_RSH node1 'printf %s a\nexit 4'; $LEAT_RSH node1 'kill -9 $$'; "
                         "$LEAT_RSH node1 true; exit 0");
  gang.coordination = {"sh", "-c", "echo up; exit 0"};
  GangWorld world(gang);
  const std::vector<LauncherEnd> ends = world.run();
  for (const LauncherEnd& end : ends) {
    ASSERT_EQ(end.code, 0) << end.error;
    for (const auto& [frame, subtask] : end.subtasks) {
      EXPECT_EQ(subtask.frame, frame);
      EXPECT_GT(subtask.pid, 0u);
      ASSERT_TRUE(subtask.end) << spool::frame_name(frame);
      EXPECT_GT(subtask.started_us, 1'600'000'000'000'000);
      EXPECT_GE(subtask.end->at_us, subtask.started_us);
    }
    EXPECT_EQ(end.subtasks.at(spool::kCoordination).command, "sh -c echo up; exit 0");
    EXPECT_EQ(end.subtasks.at(spool::kCoordination).end->status, 0);
  }
  ASSERT_EQ(ends[0].subtasks.size(), 2u);
  EXPECT_EQ(ends[0].subtasks.at(spool::kApplication).host, "node0");
  ASSERT_EQ(ends[1].subtasks.size(), 4u);
  const spool::Subtask& first = ends[1].subtasks.at(spool::kFirstSubtask);
  EXPECT_EQ(first.command, "printf %s a\\nexit 4");
  EXPECT_EQ(first.host, "node1");
  EXPECT_EQ(first.end->status, 4);
  EXPECT_FALSE(first.end->signalled);
  const spool::Subtask& second = ends[1].subtasks.at(spool::kFirstSubtask + 1);
  EXPECT_EQ(second.end->status, 9);
  EXPECT_TRUE(second.end->signalled);
}

TEST(Rsh, ReachesNodesOfItsGangOnlyAndKnowsItsToken) {
  GangWorld world(
      script(2,
             "$LEAT_RSH elsewhere true; echo $?; LEAT_RSH_TOKEN=guessed $LEAT_RSH node1 "
             "true; echo $?; env -u LEAT_RSH_TOKEN $LEAT_RSH node1 true; echo $?; "
             "LEAT_RSH_SOCKET=/nowhere $LEAT_RSH node1 true; echo $?; $LEAT_RSH -l root "
             "node1 true; echo $?; $LEAT_RSH node1; echo $?"));
  const LauncherEnd end = world.run().at(0);
  EXPECT_EQ(of(end.rank_out, spool::kApplication), "255\n255\n255\n255\n255\n255\n");
  EXPECT_EQ(of(end.rank_error, spool::kApplication),
            "leat-rsh: elsewhere is no node of this gang\n"
            "leat-rsh: this is not the gang's token\n"
            "leat-rsh: LEAT_RSH_TOKEN is not set: this is no program of a gang\n"
            "leat-rsh: the launcher of this node cannot be reached at /nowhere\n"
            "leat-rsh: unknown option '-l' (--help shows the usage)\n"
            "leat-rsh: HOST COMMAND... is missing (--help shows the usage)\n");
}

TEST(Rsh, LosesNothingOfMuchOutput) {
  EXPECT_EQ(said(script(2,
                        "$LEAT_RSH node1 'yes 12345678 | head -c 9000000' | cksum; "
                        "yes 12345678 | head -c 9000000 | cksum"))
                .substr(0, 11),
            said(script(1, "yes 12345678 | head -c 9000000 | cksum")).substr(0, 11));
}

TEST(Rsh, HangsUpACommandWhoseCallerIsGone) {
  const Folder folder;
  EXPECT_EQ(said(script(2, "cd " + folder.path +
                               "; $LEAT_RSH node1 \"trap ': > $PWD/gone; exit' HUP; : > $PWD/up; "
                               "while :; do read x < /dev/tty; done\" 2> /dev/null & until test -e "
                               "up; do :; done; kill -9 $!; until test -e gone; do :; done; echo "
                               "well")),
            "well\n");
}

TEST(Rsh, WhatItStartedEndsWithTheApplication) {
  EXPECT_EQ(said(script(2,
                        "$LEAT_RSH node1 'setsid tail -f /dev/null & exec tail -f /dev/null' & "
                        "$LEAT_RSH node1 'echo well'")),
            "well\n");
}

TEST(Mpirun, StartsAnUnmodifiedProgramAcrossTheGang) {
  GangPlan gang{.nodes = nodes_of(2, 2),
                .program = {"mpirun", LEAT_RANK_PROGRAM, "allreduce"},
                .inherited = {"SLURM_JOBID=4", "SLURM_NODELIST=here", "SLURM_NNODES=7"},
                .application = true};
  std::string out = said(gang);
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < out.size(); at = out.find('\n', at) + 1)
    lines.push_back(out.substr(at, out.find('\n', at) - at));
  std::sort(lines.begin(), lines.end());
  EXPECT_EQ(lines,
            (std::vector<std::string>{"rank 0 of 4", "rank 1 of 4", "rank 2 of 4", "rank 3 of 4"}))
      << out;
}

TEST(Mpirun, GivesTheGangTheCodeOfAnAbort) {
  GangPlan gang{.nodes = nodes_of(2, 1),
                .program = {"mpirun", LEAT_RANK_PROGRAM, "abort"},
                .application = true};
  GangWorld world(gang);
  for (const LauncherEnd& end : world.run()) EXPECT_EQ(end.code, 7) << end.error;
  EXPECT_EQ(world.left_over(), "");
}

TEST(Mpirun, MayTakeTheFirstNodeForItsOwn) {
  char name[64];
  ASSERT_EQ(::gethostname(name, sizeof name), 0);
  GangPlan gang{.nodes = {{name, {0, 1}}, {"other", {2, 3}}},
                .program = {"mpirun", "-display-map", LEAT_RANK_PROGRAM, "allreduce"},
                .application = true};
  const std::string out = said(gang);
  for (Rank rank = 0; rank < 4; ++rank)
    EXPECT_NE(out.find("rank " + std::to_string(rank) + " of 4\n"), std::string::npos) << out;
}

TEST(Mpirun, LeavesNoMemoryOnItsOwnNodeWhenItIsKilledWithItsRanks) {
  char name[64];
  ASSERT_EQ(::gethostname(name, sizeof name), 0);
  GangPlan gang{
      .nodes = {{name, {0, 1}}, {"other", {2}}},
      .program = {"sh", "-c", "trap 'kill -9 -$$' TERM; mpirun $0 wait & wait", LEAT_RANK_PROGRAM},
      .application = true};
  GangWorld world(gang);
  world.start();
  for (const char* rank : {"rank 0 of 3", "rank 1 of 3", "rank 2 of 3"})
    world.wait_for_output(0, rank);
  world.signal(0, SIGTERM);
  for (const LauncherEnd& end : world.wait()) EXPECT_EQ(end.code, 143);
  EXPECT_EQ(world.left_over(), "");
}

TEST(Mpirun, EndsWithALauncherThatIsKilled) {
  for (const NodeIndex lost : {0u, 1u}) {
    GangPlan gang{.nodes = nodes_of(2, 1),
                  .program = {"mpirun", LEAT_RANK_PROGRAM, "wait"},
                  .application = true};
    GangWorld world(gang);
    world.start();
    world.wait_for_output(0, "rank 0 of 2");
    world.wait_for_output(0, "rank 1 of 2");
    world.signal(lost, SIGKILL);
    const std::vector<LauncherEnd> ends = world.wait();
    EXPECT_EQ(ends[lost].code, 128 + SIGKILL);
    EXPECT_EQ(ends[1 - lost].code, 1);
    world.wait_for_no_process();
    EXPECT_EQ(::access(world.private_directory(1 - lost).c_str(), F_OK), -1);
    // What a killed launcher cannot take with it, whoever started it does.
    std::filesystem::remove_all(world.private_directory(lost));
    EXPECT_EQ(world.left_over(), "");
  }
}

TEST(Mpirun, LeavesNothingWhenItIsEnded) {
  for (const int number : {SIGTERM, SIGKILL}) {
    GangPlan gang{.nodes = nodes_of(2, 1),
                  .program = {"sh", "-c",
                              number == SIGKILL ? "mpirun \"$0\" wait & read line; kill -9 $!; wait"
                                                : "exec mpirun \"$0\" wait",
                              LEAT_RANK_PROGRAM},
                  .application = true};
    if (number == SIGKILL)
      gang.program[2] =
          "mkfifo $0.fifo.$$; mpirun \"$0\" wait > $0.fifo.$$ & exec 4< $0.fifo.$$; rm $0.fifo.$$; "
          "read line <&4; read line <&4; kill -9 $!; wait $!";
    GangWorld world(gang);
    world.start();
    if (number == SIGTERM) {
      world.wait_for_output(0, "rank 1 of 2");
      world.signal(0, SIGTERM);
    }
    for (const LauncherEnd& end : world.wait())
      EXPECT_EQ(end.code, number == SIGTERM ? 143 : 137) << end.error;
    EXPECT_EQ(world.left_over(), "");
  }
}

}  // namespace
}  // namespace leat::mpi
