// A real agent and its warden against a head made of this process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>

#include "tests/node-agent/agent_world.h"

namespace leat::agent {
namespace {

constexpr JobId kJob{17};
const transport::Peer kUser{transport::Peer::Kind::kUser, {}, 7};

RunId run(Index index, StageId stage = 0) {
  return run_id({kJob, stage}, 1, index);
}

std::vector<std::string> shell(const std::string& script) {
  return {"/bin/sh", "-c", script};
}

// What a task waits for by `read x < path`, which goes on after open().
class Gate {
 public:
  explicit Gate(const std::string& path) {
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  }
  ~Gate() { ::close(fd_); }
  void open() { EXPECT_EQ(::write(fd_, "go\n", 3), 3); }

 private:
  int fd_ = -1;
};

// A world with an agent that has joined.
struct Joined : AgentWorld {
  Joined() {
    give_credentials();
    start_agent();
    wait_for_join();
  }
};

TEST(Agent, RunsWhatItIsGivenAndReportsIt) {
  Joined world;
  EXPECT_TRUE(world.live.empty());
  world.start(world.stage_set(
      kJob, shell("echo $LEAT_JOB_ID.$LEAT_TASK_INDEX; exit $(($LEAT_TASK_INDEX % 3))"), "0-19"));
  world.wait_until([&world]() { return world.reported.size() == 20; });
  for (Index i = 0; i < 20; ++i) {
    const RunResult& result = world.told(run(i))->result;
    EXPECT_EQ(result.outcome, Outcome::kExit);
    EXPECT_EQ(result.code, static_cast<std::int32_t>(i % 3));
    EXPECT_EQ(result.output_bytes, i < 10 ? 5 : 6);
    EXPECT_GT(result.start_us, 0);
    EXPECT_GT(result.duration_us, 0);
  }
}

TEST(Agent, ServesOutputsToWhoeverShowsATicket) {
  Joined world;
  world.start(world.stage_set(kJob, shell("echo out-$LEAT_TASK_INDEX; echo err >&2"), "0-1"));
  world.wait_until([&world]() { return world.reported.size() == 2; });
  const std::string good = world.ticket(kJob, "user:7");
  EXPECT_EQ(world.read(kUser, good, run(1)).data, "out-1\n");
  EXPECT_TRUE(world.read(kUser, good, run(1)).finished);
  EXPECT_EQ(world.read(kUser, good, run(1), 4).data, "1\n");

  const auto refused = [&world](const std::string& ticket, const RunId& what) {
    const auto answer = world.read(kUser, ticket, what);
    return answer.data.empty() && !answer.refusal.empty();
  };
  std::string forged = good;
  forged[forged.size() / 2] = static_cast<char>(forged[forged.size() / 2] ^ 1);
  EXPECT_TRUE(refused(forged, run(1)));
  EXPECT_TRUE(refused("", run(1)));
  EXPECT_TRUE(refused(world.ticket(kJob, "user:8"), run(1)));                   // another reader
  EXPECT_TRUE(refused(world.ticket(JobId{18}, "user:7"), run(1)));              // another job
  EXPECT_TRUE(refused(world.ticket(kJob, "user:7", -1), run(1)));               // expired
  EXPECT_TRUE(refused(world.ticket(kJob, "user:7", 60, {{0, 1, 1}}), run(1)));  // another task
  EXPECT_TRUE(refused(good, run(2)));                                           // never ran
}

TEST(Agent, ServesTheOutputOfARunThatGoesOn) {
  Joined world;
  Gate gate(world.scratch.path("gate"));
  world.start(world.stage_set(
      kJob, shell("echo begin; read x < " + world.scratch.path("gate") + "; echo end"), "0"));
  const std::string ticket = world.ticket(kJob, "user:7");
  const auto first = world.read(kUser, ticket, run(0));
  EXPECT_EQ(first.data, "begin\n");  // waited for
  EXPECT_FALSE(first.finished);
  gate.open();
  world.wait_until([&world]() { return world.reported.size() == 1; });
  const auto rest = world.read(kUser, ticket, run(0), first.data.size());
  EXPECT_EQ(rest.data, "end\n");
  EXPECT_TRUE(rest.finished);
}

TEST(Agent, AdoptsItsRunsAfterItWasKilled) {
  Joined world;
  const std::string witness = world.scratch.path("witness");
  Gate first(world.scratch.path("gate-0"));
  Gate second(world.scratch.path("gate-1"));
  world.start(world.stage_set(kJob,
                              shell("echo begin; echo x >> " + witness + "; read x < " +
                                    world.scratch.path("gate-") + "$LEAT_TASK_INDEX; echo end"),
                              "0-1"));
  // Both run when both have said so.
  const std::string ticket = world.ticket(kJob, "user:7");
  for (Index i = 0; i < 2; ++i) EXPECT_EQ(world.read(kUser, ticket, run(i)).data, "begin\n");
  world.kill_agent();
  world.start_agent();
  world.wait_for_join(2);
  ASSERT_EQ(world.live.size(), 1u);
  EXPECT_EQ(world.live[0].indices, IndexList::parse("0-1").value());
  // The head says everything again; nothing starts twice.
  world.start(world.stage_set(kJob, shell("echo wrong"), "0-1"));
  EXPECT_EQ(world.read(kUser, ticket, run(1)).data, "begin\n");
  first.open();
  second.open();
  world.wait_until([&world]() { return world.reported.size() == 2; });
  EXPECT_EQ(world.read(kUser, ticket, run(0)).data, "begin\nend\n");
  EXPECT_EQ(content_of(witness), "x\nx\n");
}

// One datagram, as a task sends it.
void tell(const std::string& path, const std::string& record) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::sendto(fd, record.data(), record.size(), 0, reinterpret_cast<sockaddr*>(&address),
                     sizeof address),
            static_cast<ssize_t>(record.size()));
  ::close(fd);
}

TEST(Agent, TellsTheHeadHowFarItsTasksAre) {
  Joined world;
  Gate gate(world.scratch.path("gate"));
  world.start(world.stage_set(
      kJob, shell("echo $LEAT_PROGRESS_SOCKET; read x < " + world.scratch.path("gate")), "0"));
  std::string path = world.read(kUser, world.ticket(kJob, "user:7"), run(0)).data;
  ASSERT_EQ(path.substr(0, 1), "/");
  path.pop_back();
  tell(path, "1 17.0.0.2 990 of an attempt that is not this one");
  tell(path, "1 17.0.0.1 420 solving");
  world.wait_until([&world]() { return !world.progress.empty(); });
  EXPECT_EQ(world.progress, (std::map<RunId, std::string>{{run(0), "420 solving"}}));
  // The next agent listens at the same place.
  world.kill_agent();
  world.progress.clear();
  world.start_agent();
  world.wait_for_join(2);
  tell(path, "1 17.0.0.1 430 still");
  world.wait_until([&world]() { return !world.progress.empty(); });
  EXPECT_EQ(world.progress.at(run(0)), "430 still");
  gate.open();
  world.wait_until([&world]() { return world.reported.size() == 1; });
}

TEST(Agent, KeepsACheckpointForTheNextAttemptAndNoLonger) {
  Joined world;
  StartSet set = world.stage_set(kJob,
                                 shell("cat $LEAT_CHECKPOINT_DIR/left && exit 0; mkdir -p "
                                       "$LEAT_CHECKPOINT_DIR; echo $LEAT_ATTEMPT > "
                                       "$LEAT_CHECKPOINT_DIR/left; exit 1"),
                                 "0");
  world.start(set);
  world.wait_until([&world]() { return world.told(run(0)) != nullptr; });
  EXPECT_EQ(world.told(run(0))->result.code, 1);
  set.runs.attempt = 2;
  world.start(set);
  const RunId second = run_id({kJob, 0}, 2, 0);
  world.wait_until([&world, &second]() { return world.told(second) != nullptr; });
  EXPECT_EQ(world.told(second)->result.code, 0);
  EXPECT_EQ(world.read(kUser, world.ticket(kJob, "user:7"), second).data, "1\n");
  const std::string checkpoints = world.directory + "/scratch/checkpoints-17";
  EXPECT_TRUE(std::filesystem::exists(checkpoints));
  auto request = world.agent->releaseRequest();
  request.setHeadEpoch(world.head_epoch.value);
  request.initJobs(1).set(0, kJob.value);
  request.send().ignoreResult().wait(world.io.waitScope);
  // Whatever else it is asked, it has done that before.
  auto ping = world.agent->pingRequest();
  ping.setHeadEpoch(world.head_epoch.value);
  ping.send().ignoreResult().wait(world.io.waitScope);
  EXPECT_FALSE(std::filesystem::exists(checkpoints));
}

TEST(Agent, ReportsAgainWhatWasNotAcknowledged) {
  Joined world;
  world.answer_reports = false;
  const std::string witness = world.scratch.path("witness");
  world.start(world.stage_set(kJob, shell("echo x >> " + witness + "; exit 5"), "0-2"));
  world.wait_until([&world]() { return world.reported.size() == 3; });
  world.kill_agent();
  world.answer_reports = true;
  world.start_agent();
  world.wait_for_join(2);
  // All placed here is said again, too.
  world.start(world.stage_set(kJob, shell("echo wrong"), "0-2"));
  world.wait_until([&world]() {
    return std::all_of(world.reported.begin(), world.reported.end(),
                       [](const auto& entry) { return entry.second.times == 2; });
  });
  for (Index i = 0; i < 3; ++i) EXPECT_EQ(world.told(run(i))->result.code, 5);
  EXPECT_EQ(content_of(witness), "x\nx\nx\n");
}

TEST(Agent, EndsARunThatTheHeadDoesNotWantAnyMore) {
  Joined world;
  world.start(world.stage_set(kJob, shell("echo begin; exec sleep 100"), "0-5"));
  EXPECT_EQ(world.read(kUser, world.ticket(kJob, "user:7"), run(0)).data, "begin\n");
  world.end({{kJob, 0}, 1, IndexList::parse("0-5").value(), 0}, Duration(5'000'000));
  world.wait_until([&world]() { return world.reported.size() == 6; });
  EXPECT_EQ(world.told(run(0))->result.outcome, Outcome::kCancelled);
  EXPECT_EQ(world.told(run(0))->result.code, SIGTERM);
  EXPECT_EQ(world.told(run(5))->result.code, 0);  // never ran
}

TEST(Agent, FeedsAReduceStepWithOutputsInOrderAndSaysWhenTheyAreLost) {
  Joined world;
  world.start(world.stage_set(kJob, shell("echo line $LEAT_TASK_INDEX"), "1-20"));
  world.wait_until([&world]() { return world.reported.size() == 20; });
  StartSet reduce = world.stage_set(kJob, {"/bin/cat"}, "0-1");
  reduce.runs.stage.stage = 1;
  StageSpec spec = *reduce.spec;
  spec.inputs.kind = Inputs::Kind::kOutputs;
  reduce.spec = std::make_shared<const StageSpec>(spec);
  const InputPart here{{{kJob, 0}, 1, IndexList::parse("3-12").value(), 0}, world.node, "", ""};
  InputPart gone = here;
  gone.node = {NodeId{4}, NodeEpoch{1}};
  gone.address = "127.0.0.1:1";
  reduce.inputs = {{here}, {here, gone}};
  world.start(reduce);
  world.wait_until([&world]() { return world.reported.size() == 22; });
  std::string expected;
  for (int i = 3; i <= 12; ++i) expected += "line " + std::to_string(i) + "\n";
  transport::Ticket ticket;
  ticket.job = kJob;
  ticket.stage = 1;
  ticket.reader = "user:7";
  ticket.expires_wall_s = std::time(nullptr) + 60;
  EXPECT_EQ(world.read(kUser, world.signer.sign(ticket).value(), run(0, 1)).data, expected);
  EXPECT_EQ(world.told(run(1, 1))->result.outcome, Outcome::kInputLost);
  EXPECT_EQ(world.told(run(1, 1))->result.start_us, 0);
  EXPECT_TRUE(std::filesystem::is_empty(world.directory + "/inputs"));
}

TEST(Agent, DoesNotObeyAnOlderHead) {
  Joined world;
  world.head_epoch = HeadEpoch{4};
  world.start(world.stage_set(kJob, shell("true"), "0"));
  world.head_epoch = HeadEpoch{5};
  world.start(world.stage_set(kJob, shell("true"), "1"));
  world.wait_until([&world]() { return world.reported.size() == 1; });
  EXPECT_NE(world.told(run(1)), nullptr);
}

TEST(Agent, StopsInGoodOrderWhenTheHeadSaysSo) {
  Joined world;
  world.start(world.stage_set(kJob, shell("exec sleep 100"), "0-5"));
  const pid_t warden = world.warden_pid();
  auto request = world.agent->stopRequest();
  request.setHeadEpoch(world.head_epoch.value);
  request.send().ignoreResult().wait(world.io.waitScope);
  EXPECT_EQ(world.agent_exit(), 0);
  EXPECT_EQ(world.reported.size(), 6u);
  EXPECT_EQ(world.told(run(0))->result.outcome, Outcome::kWithdrawn);
  EXPECT_GT(warden, 0);
  EXPECT_EQ(world.warden_pid(), 0);
}

TEST(Agent, EndsEverythingWhenItIsRefusedForGood) {
  AgentWorld world;
  world.refuse_with = "node is gone";
  world.give_credentials();
  world.start_agent();
  EXPECT_EQ(world.agent_exit(), 4);
  EXPECT_NE(world.agent_log().find("node is gone"), std::string::npos);
}

TEST(Agent, IsLostWithItsWarden) {
  Joined world;
  ASSERT_GT(world.warden_pid(), 0);
  ASSERT_EQ(::kill(world.warden_pid(), SIGKILL), 0);
  EXPECT_EQ(world.agent_exit(), 1);
}

TEST(Agent, RefusesWrongUseWithOneLine) {
  AgentWorld world;
  world.give_credentials();
  world.start_agent({"--mock"});
  EXPECT_EQ(world.agent_exit(), 2);
  world.start_agent({"--nonsense"});
  EXPECT_EQ(world.agent_exit(), 2);
  put_content(world.directory + "/agent.json", "{");
  world.start_agent();
  EXPECT_EQ(world.agent_exit(), 2);
}

TEST(Agent, AnswersWithoutProcessesWhereThatIsAllowed) {
  AgentWorld world;
  world.write_node_file(R"(, "mock": true)");
  world.give_credentials();
  world.start_agent({"--mock"});
  world.wait_for_join();
  world.start(world.stage_set(kJob, {"/does/not/exist"}, "0-9999"));
  world.wait_until([&world]() { return world.reported.size() == 10000; });
  EXPECT_EQ(world.told(run(9999))->result, RunResult{});
}

}  // namespace
}  // namespace leat::agent
