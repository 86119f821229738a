// local_pool_test.cc - nodes as processes: made once, found again, proved gone.

#include <fcntl.h>
#include <kj/io.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/pools/pool_fixture.h"

namespace leat::pools {
namespace {

class LocalPoolTest : public PoolTest {};

TEST_F(LocalPoolTest, MakesAPrivateDirectoryAndStartsTheAgentInIt) {
  open();
  const NodeOrder first = order(1);
  const Instance instance = create_whole(first);
  EXPECT_EQ(instance.state, InstanceState::kAlive);
  EXPECT_TRUE(process_lives(instance.agent_pid));
  EXPECT_TRUE(process_lives(instance.warden_pid));
  EXPECT_EQ(::getsid(instance.agent_pid), instance.agent_pid);
  struct stat status {};
  ASSERT_EQ(::stat(directory(first.node).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0700u);
  for (const char* name : {"/agent.json", "/join.token", "/agent.pid", "/agent.log"}) {
    ASSERT_EQ(::stat((directory(first.node) + name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777u, 0600u) << name;
  }
  EXPECT_EQ(content_of(directory(first.node) + "/join.token"), "leat1.secret");
  const std::string json = content_of(directory(first.node) + "/agent.json");
  EXPECT_NE(json.find("\"pool\": \"lo\\\"cal\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"core_first\": 0"), std::string::npos) << json;
}

TEST_F(LocalPoolTest, MakesANodeOnceHoweverOftenItIsAsked) {
  open();
  NodeOrder again = order(1);
  const Instance before = create_whole(again);
  again.token = "leat1.fresh";
  again.agent_address = "127.0.0.1:5001";
  EXPECT_TRUE(wait(pool_->create(again)).ok());
  EXPECT_EQ(only(again.node).agent_pid, before.agent_pid);
  EXPECT_EQ(starts(again.node), 1u);
  EXPECT_EQ(content_of(directory(again.node) + "/join.token"), "leat1.fresh");
  EXPECT_NE(content_of(directory(again.node) + "/agent.json").find("127.0.0.1:5001"),
            std::string::npos);
  pool_->head_moved("127.0.0.1:6001");
  EXPECT_NE(content_of(directory(again.node) + "/agent.json").find("127.0.0.1:6001"),
            std::string::npos);
}

TEST_F(LocalPoolTest, StartsADeadAgentAgainAndLeavesItsWardenAlone) {
  open();
  const Instance before = create_whole(order(1));
  ::kill(before.agent_pid, SIGKILL);
  const InstanceChange died = next(InstanceState::kAgentDead);
  EXPECT_EQ(died.proof, "the agent process ended");
  const InstanceChange back = next(InstanceState::kAlive);
  EXPECT_NE(back.instance.agent_pid, before.agent_pid);
  EXPECT_EQ(back.instance.warden_pid, before.warden_pid);
  EXPECT_TRUE(process_lives(before.warden_pid));
}

TEST_F(LocalPoolTest, ProvesANodeGoneWhenAgentAndWardenHaveEnded) {
  open();
  const NodeOrder lost = order(1);
  const Instance instance = create_whole(lost);
  const Instance other = create_whole(order(2));
  ::kill(instance.agent_pid, SIGKILL);
  ::kill(instance.warden_pid, SIGKILL);
  const InstanceChange gone = next(InstanceState::kGone);
  EXPECT_EQ(gone.instance.node, lost.node);
  EXPECT_EQ(gone.proof, "agent and warden processes ended");
  EXPECT_EQ(only(lost.node).state, InstanceState::kGone);
  EXPECT_FALSE(std::filesystem::exists(directory(lost.node)));
  const Result<Done> again = wait(pool_->create(lost));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.refusal().reason, Reason::kConflict);
  EXPECT_TRUE(wait(pool_->destroy(lost.node)).ok());
  ASSERT_EQ(list().size(), 1u);
  EXPECT_EQ(only(other.node).agent_pid, other.agent_pid);
  wait(pool_->on_cleaned());
  EXPECT_TRUE(std::filesystem::is_empty(options_.nodes_directory + "/.trash"));
}

TEST_F(LocalPoolTest, KillsAnAgentThatOutlivesItsWarden) {
  mode("stubborn");
  open();
  const Instance instance = create_whole(order(1));
  ::kill(instance.warden_pid, SIGKILL);
  EXPECT_EQ(next(InstanceState::kGone).proof, "agent and warden processes ended");
  EXPECT_FALSE(process_lives(instance.agent_pid));
}

TEST_F(LocalPoolTest, GivesUpAnAgentThatNeverGetsAWarden) {
  mode("dies");
  options_.starts_without_warden_max = 3;
  open();
  EXPECT_TRUE(wait(pool_->create(order(1))).ok());
  const InstanceChange gone = next(InstanceState::kGone);
  EXPECT_NE(gone.proof.find("before it had a warden"), std::string::npos);
}

TEST_F(LocalPoolTest, DoesNotRestartAnAgentThatTheHeadRefused) {
  open();
  const Instance instance = create_whole(order(1));
  ::kill(instance.agent_pid, SIGUSR1);
  const InstanceChange gone = next(InstanceState::kGone);
  EXPECT_EQ(gone.proof, "agent and warden processes ended");
  EXPECT_FALSE(process_lives(instance.warden_pid));
}

TEST_F(LocalPoolTest, GivesUpAfterSoManyRestartsInARow) {
  options_.restarts_in_row_max = 2;
  open();
  Instance instance = create_whole(order(1));
  const pid_t warden = instance.warden_pid;
  for (int i = 0; i < 2; ++i) {
    ::unlink((directory(instance.node) + "/attached").c_str());
    ::kill(instance.agent_pid, SIGKILL);
    instance = next(InstanceState::kAlive).instance;
    ASSERT_TRUE(wait_for_file(directory(instance.node) + "/attached"));
  }
  ::kill(instance.agent_pid, SIGKILL);
  EXPECT_EQ(next(InstanceState::kGone).instance.node, instance.node);
  EXPECT_FALSE(process_lives(warden));
}

TEST_F(LocalPoolTest, FindsItsNodesAgainAndWatchesThem) {
  open();
  const Instance before = create_whole(order(1));
  const Instance lost = create_whole(order(2));
  pool_ = nullptr;
  ::kill(lost.agent_pid, SIGKILL);
  ::kill(lost.warden_pid, SIGKILL);
  // The test is the lost agent's parent, as an ended head is not.
  ::waitpid(lost.agent_pid, nullptr, 0);
  open();
  EXPECT_EQ(next(InstanceState::kGone).instance.node, lost.node);
  EXPECT_EQ(only(before.node).state, InstanceState::kAlive);
  EXPECT_EQ(only(before.node).agent_pid, before.agent_pid);
  EXPECT_EQ(only(before.node).warden_pid, before.warden_pid);
  ::kill(before.agent_pid, SIGKILL);
  EXPECT_NE(next(InstanceState::kAlive).instance.agent_pid, before.agent_pid);
}

TEST_F(LocalPoolTest, OutlivesAHeadThatIsKilled) {
  const NodeOrder mine = order(1);
  const pid_t head = ::fork();
  if (head == 0) {
    // A thread of its own: this one has the parent's loop.
    std::thread([&] {
      kj::AsyncIoContext io = kj::setupAsyncIo();
      auto opened = LocalPool::open(io.unixEventPort, io.provider->getTimer(), options_);
      kj::Own<LocalPool> pool = std::move(opened).value();
      if (!pool->create(mine).wait(io.waitScope).ok()) ::_exit(1);
      ::kill(::getpid(), SIGKILL);
    }).join();
  }
  int status = 0;
  ASSERT_EQ(::waitpid(head, &status, 0), head);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_TRUE(wait_for_file(directory(mine.node) + "/attached"));
  open();
  const Instance instance = only(mine.node);
  EXPECT_EQ(instance.state, InstanceState::kAlive);
  EXPECT_TRUE(process_lives(instance.agent_pid));
  EXPECT_EQ(starts(mine.node), 1u);
  EXPECT_TRUE(wait(pool_->create(mine)).ok());
  EXPECT_EQ(starts(mine.node), 1u);
}

TEST_F(LocalPoolTest, DoesNotTakeALaterProcessWithTheSamePidForItsOwn) {
  const pid_t innocent = ::fork();
  if (innocent == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::pause();
    ::_exit(0);
  }
  open();
  pool_ = nullptr;
  const NodeOrder mine = order(1);
  ASSERT_TRUE(
      make_node_directory(options_.nodes_directory, mine, node_file_text(mine, {}, "w")).ok());
  const std::string ticks = std::to_string(*start_ticks_of(innocent) + 1);
  for (const char* name : {"/agent.pid", "/warden.pid"})
    write_text(directory(mine.node) + name, std::to_string(innocent) + " " + ticks + "\n");
  open();
  EXPECT_EQ(next(InstanceState::kGone).instance.node, mine.node);
  EXPECT_TRUE(wait(pool_->destroy(mine.node)).ok());
  EXPECT_TRUE(process_lives(innocent));
  ::kill(innocent, SIGKILL);
  ::waitpid(innocent, nullptr, 0);
}

TEST_F(LocalPoolTest, KnowsThatNothingSurvivesARestartOfTheMachine) {
  open();
  pool_ = nullptr;
  const NodeOrder mine = order(1);
  ASSERT_TRUE(
      make_node_directory(options_.nodes_directory, mine, node_file_text(mine, {}, "w")).ok());
  const std::string self =
      std::to_string(::getpid()) + " " + std::to_string(*start_ticks_of(::getpid()));
  write_text(directory(mine.node) + "/agent.pid", self + " another-boot\n");
  write_text(directory(mine.node) + "/warden.pid", self + "\n");
  open();
  EXPECT_EQ(next(InstanceState::kGone).proof, "the machine was restarted");
}

TEST_F(LocalPoolTest, DestroysWithoutLeavingAProcess) {
  open();
  const Instance instance = create_whole(order(1));
  write_text(directory(instance.node) + "/node.token", "00ff00ff00ff00ff00ff00ff00ff00ff\n");
  // It tells that it runs: before its exec it has no environment of its own to be known by.
  int lines[2];
  ASSERT_EQ(::pipe2(lines, O_CLOEXEC), 0);
  const kj::AutoCloseFd told(lines[0]);
  kj::AutoCloseFd telling(lines[1]);
  const pid_t stray = ::fork();
  if (stray == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char* const argv[] = {"/bin/sh", "-c", "echo; kill -STOP $$", nullptr};
    const char* const environment[] = {"LEAT_RUN_TOKEN=00ff00ff00ff00ff00ff00ff00ff00ff.1.0.5.1",
                                       nullptr};
    ::setsid();
    ::dup2(lines[1], STDOUT_FILENO);
    ::execve(argv[0], const_cast<char**>(argv), const_cast<char**>(environment));
    ::_exit(127);
  }
  telling = nullptr;
  char line = 0;
  ASSERT_EQ(::read(told.get(), &line, 1), 1);
  EXPECT_TRUE(wait(pool_->destroy(instance.node)).ok());
  EXPECT_FALSE(process_lives(instance.agent_pid));
  EXPECT_FALSE(process_lives(instance.warden_pid));
  int status = 0;
  ASSERT_EQ(::waitpid(stray, &status, 0), stray);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(list().empty());
  EXPECT_FALSE(std::filesystem::exists(directory(instance.node)));
  EXPECT_TRUE(wait(pool_->destroy(instance.node)).ok());
}

TEST_F(LocalPoolTest, DestroysByForceWhatDoesNotListen) {
  mode("stubborn");
  options_.stop_deadline = std::chrono::milliseconds(100);
  options_.warden_deadline = std::chrono::milliseconds(200);
  open();
  const Instance instance = create_whole(order(1));
  kj::Promise<Result<Done>> first = pool_->destroy(instance.node);
  kj::Promise<Result<Done>> second = pool_->destroy(instance.node);
  EXPECT_TRUE(wait(kj::mv(first)).ok());
  EXPECT_TRUE(wait(kj::mv(second)).ok());
  EXPECT_FALSE(process_lives(instance.agent_pid));
  EXPECT_FALSE(process_lives(instance.warden_pid));
}

TEST_F(LocalPoolTest, TakesAnUnreadableListingForNoNews) {
  open();
  const Instance instance = create_whole(order(1));
  const std::string aside = home_ + "/aside";
  std::filesystem::rename(options_.nodes_directory, aside);
  write_text(options_.nodes_directory, "not a directory");
  const Result<std::vector<Instance>> listed = wait(pool_->list());
  ASSERT_FALSE(listed.ok());
  EXPECT_EQ(listed.refusal().reason, Reason::kDisconnected);
  std::filesystem::remove(options_.nodes_directory);
  std::filesystem::rename(aside, options_.nodes_directory);
  EXPECT_EQ(only(instance.node).state, InstanceState::kAlive);
  EXPECT_EQ(only(instance.node).agent_pid, instance.agent_pid);
}

TEST_F(LocalPoolTest, DoesNotJudgeANodeWhoseWardenItCannotTell) {
  open();
  const Instance instance = create_whole(order(1));
  const std::string stamp = directory(instance.node) + "/warden.pid";
  const std::string good = content_of(stamp);
  pool_ = nullptr;
  write_text(stamp, "garbage\n");
  ::kill(instance.agent_pid, SIGKILL);
  ::waitpid(instance.agent_pid, nullptr, 0);
  open();
  EXPECT_NE(only(instance.node).state, InstanceState::kGone);
  EXPECT_EQ(starts(instance.node), 1u);
  write_text(stamp, good);
  (void)list();
  EXPECT_EQ(next(InstanceState::kAlive).instance.warden_pid, instance.warden_pid);
}

TEST_F(LocalPoolTest, SharesCoresOutWithoutOverlap) {
  open();
  for (std::uint32_t id = 1; id <= 5; ++id) (void)create_whole(order(id));
  std::vector<std::string> firsts;
  for (std::uint32_t id = 1; id <= 5; ++id) {
    const auto cores = cores_in_node_file(content_of(directory(order(id).node) + "/agent.json"));
    firsts.push_back(cores.has_value() ? std::to_string(cores->first) : "none");
  }
  // Eight cores make four shares of two; the fifth node has none of its own.
  EXPECT_EQ(firsts, (std::vector<std::string>{"0", "2", "4", "6", "none"}));
  EXPECT_TRUE(wait(pool_->destroy(order(2).node)).ok());
  (void)create_whole(order(6));
  EXPECT_EQ(cores_in_node_file(content_of(directory(order(6).node) + "/agent.json"))->first, 2u);
}

TEST_F(LocalPoolTest, RefusesAnAgentThatCannotBeStartedAndKeepsNothing) {
  options_.agent_program = "/nowhere/leat-agent";
  open();
  const Result<Done> created = wait(pool_->create(order(1)));
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.refusal().message,
            "cannot start /nowhere/leat-agent: No such file or directory");
  EXPECT_TRUE(list().empty());
  EXPECT_FALSE(std::filesystem::exists(directory(order(1).node)));
}

TEST_F(LocalPoolTest, RefusesADirectoryThatLetsOthersIn) {
  std::filesystem::create_directory(options_.nodes_directory);
  ::chmod(options_.nodes_directory.c_str(), 0755);
  const auto opened = LocalPool::open(io_.unixEventPort, io_.provider->getTimer(), options_);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.refusal().message.find("0700"), std::string::npos);
}

}  // namespace
}  // namespace leat::pools
