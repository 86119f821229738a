#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/cli/fake_cluster.h"
#include "transport/secret_file.h"

namespace leat::cli {
namespace {

class PoolCommandsTest : public testing::Test {
 protected:
  PoolCommandsTest() { cluster.start_head(); }

  std::string file(const char* name, const char* text) {
    std::ofstream(cluster.home.path + '/' + name) << text;
    return name;
  }

  static std::function<void(schema::Refusal::Builder)> busy() {
    return [](schema::Refusal::Builder refusal) {
      refusal.setReason(schema::Refusal::Reason::CONFLICT);
      refusal.setMessage("pool \"p\" has work: say --wait or --requeue");
    };
  }

  const std::vector<std::string>& wishes() const { return cluster.world.wishes; }
  using Wishes = std::vector<std::string>;

  FakeCluster cluster;
};

TEST_F(PoolCommandsTest, CreateSendsWhatTheFileSays) {
  const std::string path = file("p.toml", R"(name = "burst"
provider = "local"
min = 1
max = 8
idle_timeout = "2m"
join_deadline = "30s"
cores = 2
labels = ["fast"]
)");
  EXPECT_EQ(cluster.run(kPoolCreate, {path}), 0) << cluster.failure;
  EXPECT_EQ(wishes(), (Wishes{"create burst local 1-8 idle 120000000 join 30000000 cores 2000 "
                              "gpus 0 #fast"}));
  EXPECT_EQ(cluster.world.keys_seen, Wishes{cluster.surroundings.fresh_key});
}

TEST_F(PoolCommandsTest, CreateTakesOptionsForAFile) {
  EXPECT_EQ(cluster.run(kPoolCreate, {"--name", "burst", "--min", "1", "--max", "8",
                                      "--idle-timeout", "2m", "--join-deadline", "30s", "--cores",
                                      "2", "--label", "fast", "--key", "mine"}),
            0)
      << cluster.failure;
  EXPECT_EQ(wishes(), (Wishes{"create burst local 1-8 idle 120000000 join 30000000 cores 2000 "
                              "gpus 0 #fast"}));
  EXPECT_EQ(cluster.world.keys_seen, Wishes{"mine"});
}

TEST_F(PoolCommandsTest, AFixedSizeIsBothBounds) {
  EXPECT_EQ(cluster.run(kPoolCreate,
                        {"--name", "lab", "--provider", "static", "--nodes", "3", "--cores", "4"}),
            0);
  EXPECT_EQ(wishes(),
            (Wishes{"create lab static 3-3 idle 300000000 join 120000000 cores 4000 gpus 0"}));
}

TEST_F(PoolCommandsTest, ALocalPoolTakesItsShareOfTheMachine) {
  bool seen = false;
  EXPECT_EQ(cluster.run(kPoolCreate, {"--name", "p", "--max", "1000"}), 0);
  for (const std::string& wish : wishes()) seen = wish.find("cores 1000 ") != std::string::npos;
  EXPECT_TRUE(seen);  // never less than one core each
}

TEST_F(PoolCommandsTest, MistakesInOptionsAreNamedAndNothingIsAsked) {
  struct Case {
    std::vector<std::string> words;
    const char* message;
  };
  const Case cases[] = {
      {{"--max", "2"}, "--name is missing: a pool needs name, provider and nodes, or max"},
      {{"--name", "a b", "--max", "2"},
       "--name is letters, digits, '-', '_' and '.', at most 64 of them"},
      {{"--name", "p"}, "--nodes is missing: a pool needs name, provider and nodes, or max"},
      {{"--name", "p", "--nodes", "0"}, "--nodes \"0\" is not a whole number from 1 to 4096"},
      {{"--name", "p", "--min", "3", "--max", "2"}, "--min is 3, above max, which is 2"},
      {{"--name", "p", "--nodes", "3", "--idle-timeout", "1m"},
       "--idle-timeout is for pools on demand: give min and max instead of nodes"},
      {{"--name", "p", "--max", "3", "--idle-timeout", "1ms"},
       "--idle-timeout 1ms: wants a time from 100ms to 30d"},
      {{"--name", "p", "--max", "3", "--counter", "x"},
       "--counter x: write NAME=N, like licence=2"},
      {{"--name", "p", "--max", "3", "--counter", "x=0"},
       "--counter x: \"0\" is not a whole number from 1 to 281474976710656"},
      {{"--name", "p", "--max", "3", "--label", "a b"},
       "--label a b: a label is a word of letters, digits and -_./: or two of them "
       "like site=north, and does not begin with leat:"},
      {{"p.toml", "--max", "3"}, "give FILE or options, not both: p.toml says it all"},
  };
  for (const Case& wrong : cases) {
    EXPECT_EQ(cluster.run(kPoolCreate, wrong.words), 2);
    EXPECT_EQ(cluster.failure, wrong.message);
  }
  EXPECT_EQ(cluster.run(kPoolCreate, {"--name", "p", "--provider", "slurm", "--max", "1"}), 4);
  EXPECT_TRUE(wishes().empty());
}

TEST_F(PoolCommandsTest, ListAndShowAreTablesOrDocuments) {
  EXPECT_EQ(cluster.run(kPoolList, {}), 0);
  EXPECT_NE(cluster.console.written.find("burst  local     paused    0    8   1       2"),
            std::string::npos)
      << cluster.console.written;
  cluster.console.written.clear();
  EXPECT_EQ(cluster.run(kPoolShow, {"burst", "--json"}), 0);
  EXPECT_NE(cluster.console.written.find("\"reason\":\"node 5 did not join within 2m\""),
            std::string::npos)
      << cluster.console.written;
  EXPECT_EQ(cluster.run(kPoolShow, {"none"}), 2);
  EXPECT_EQ(cluster.failure, "no pool \"none\": see leat pool list");
}

TEST_F(PoolCommandsTest, ResizeTakesANumberOrBounds) {
  EXPECT_EQ(cluster.run(kPoolResize, {"p", "4"}), 0);
  EXPECT_EQ(cluster.run(kPoolResize, {"p", "--max", "9", "--requeue", "--within", "2s"}), 0);
  EXPECT_EQ(cluster.run(kPoolResize, {"p", "--min", "0", "--wait"}), 0);
  EXPECT_EQ(wishes(), (Wishes{"change p 4 4 -1 -1 refuse", "change p -1 9 -1 -1 requeue+2000000",
                              "change p 0 -1 -1 -1 complete"}));
  EXPECT_EQ(cluster.run(kPoolResize, {"p"}), 2);
  EXPECT_EQ(cluster.failure, "N is missing: write leat pool resize POOL N, or --min and --max");
  EXPECT_EQ(cluster.run(kPoolResize, {"p", "4", "--max", "5"}), 2);
  EXPECT_EQ(cluster.run(kPoolResize, {"p", "--min", "5", "--max", "4"}), 2);
  EXPECT_EQ(cluster.run(kPoolResize, {"p", "4", "--wait", "--requeue"}), 2);
  EXPECT_EQ(cluster.run(kPoolResize, {"p", "4", "--within", "1s"}), 2);
  EXPECT_EQ(wishes().size(), 3u);
}

TEST_F(PoolCommandsTest, SetChangesWhatIsGiven) {
  EXPECT_EQ(cluster.run(kPoolSet, {"p", "--idle-timeout", "30s"}), 0);
  EXPECT_EQ(cluster.run(kPoolSet, {"p", "--join-deadline", "10s", "--max", "3"}), 0);
  EXPECT_EQ(cluster.run(kPoolSet, {"p"}), 0);
  EXPECT_EQ(wishes(), (Wishes{"change p -1 -1 30000000 -1 refuse",
                              "change p -1 3 -1 10000000 refuse", "change p -1 -1 -1 -1 refuse"}));
}

TEST_F(PoolCommandsTest, DeleteWithWorkIsRefusedWithTheOptionsWhereNobodyCanBeAsked) {
  cluster.world.refuse = busy();
  EXPECT_EQ(cluster.run(kPoolDelete, {"p"}), 4);
  EXPECT_EQ(cluster.failure, "pool \"p\" has work: say --wait or --requeue");
  EXPECT_EQ(wishes(), Wishes{"delete p refuse"});
  EXPECT_TRUE(cluster.console.asked.empty());
}

TEST_F(PoolCommandsTest, DeleteWithWorkAsksAtATerminal) {
  cluster.console.terminal = true;
  for (const char* answer : {"w", "requeue"}) {
    cluster.world.refuse = busy();
    cluster.console.answer = answer;
    EXPECT_EQ(cluster.run(kPoolDelete, {"p"}), 0) << cluster.failure;
  }
  EXPECT_EQ(wishes(), (Wishes{"delete p refuse", "delete p complete", "delete p refuse",
                              "delete p requeue"}));
  cluster.world.refuse = busy();
  cluster.console.answer = "";
  EXPECT_EQ(cluster.run(kPoolDelete, {"p"}), 4);
  EXPECT_EQ(cluster.failure, "pool p is kept");
  ASSERT_EQ(cluster.console.asked.size(), 3u);
  EXPECT_EQ(cluster.console.asked[0],
            "pool \"p\" has work: let it complete (w), run it again elsewhere (r), or change "
            "nothing? ");
}

TEST_F(PoolCommandsTest, DeleteAsksNobodyWhenItIsSaid) {
  EXPECT_EQ(cluster.run(kPoolDelete, {"p", "--requeue", "--within", "1m"}), 0);
  EXPECT_EQ(cluster.run(kPoolDelete, {"p", "--wait"}), 0);
  EXPECT_EQ(wishes(), (Wishes{"delete p requeue+60000000", "delete p complete"}));
}

TEST_F(PoolCommandsTest, PlanShowsWhatTheHeadWouldDo) {
  EXPECT_EQ(cluster.run(kPoolPlan, {"--name", "p", "--max", "8", "--cores", "1"}), 0);
  EXPECT_EQ(cluster.console.written,
            "pool p: 5 nodes wanted, 2 there or coming\n  requests 3 for 9 tasks that wait\n");
  cluster.console.written.clear();
  EXPECT_EQ(cluster.run(kPoolPlan, {"--name", "p", "--max", "8", "--json"}), 0);
  EXPECT_EQ(cluster.console.written,
            "{\"version\":1,\"pool\":\"p\",\"have\":2,\"wanted\":5,\"why\":[\"requests 3 for 9 "
            "tasks that wait\"]}\n");
}

TEST_F(PoolCommandsTest, NodesAreDrainedResumedAndRemoved) {
  EXPECT_EQ(cluster.run(kNodeDrain, {"3"}), 0);
  EXPECT_EQ(cluster.run(kNodeDrain, {"3", "--deadline", "5s"}), 0);
  EXPECT_EQ(cluster.run(kNodeResume, {"3"}), 0);
  EXPECT_EQ(cluster.run(kNodeRemove, {"3"}), 0);
  EXPECT_EQ(cluster.run(kNodeRemove, {"3", "--requeue"}), 0);
  EXPECT_EQ(wishes(), (Wishes{"drain 3 complete", "drain 3 requeue+5000000", "resume 3",
                              "remove 3 complete", "remove 3 requeue"}));
  EXPECT_EQ(cluster.run(kNodeDrain, {"x"}), 2);
  EXPECT_EQ(cluster.failure, "NODE \"x\" is not a whole number from 1 to 4294967295");
  cluster.world.refuse = [](schema::Refusal::Builder refusal) {
    refusal.setReason(schema::Refusal::Reason::NOT_FOUND);
    refusal.setMessage("no node 9; see: leat node list");
  };
  EXPECT_EQ(cluster.run(kNodeDrain, {"9"}), 2);
  EXPECT_EQ(cluster.failure, "no node 9; see: leat node list");
}

TEST_F(PoolCommandsTest, TokensGoToFilesThatOnlyTheirOwnerReads) {
  EXPECT_EQ(cluster.run(kPoolToken, {"lab", "--out", "one", "--expires", "8h"}), 0)
      << cluster.failure;
  EXPECT_EQ(cluster.run(kPoolToken, {"lab", "--count", "2", "--out", "two"}), 0);
  EXPECT_EQ(wishes(), (Wishes{"tokens lab 1 28800000000", "tokens lab 2 3600000000"}));
  const std::string folder = cluster.home.path + '/';
  EXPECT_EQ(value_or_fail(transport::read_secret_file(folder + "one")), "leat1.secret0");
  EXPECT_EQ(value_or_fail(transport::read_secret_file(folder + "two.2")), "leat1.secret1");
  struct stat info {};
  ASSERT_EQ(::stat((folder + "two.1").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(cluster.console.written.find("secret"), std::string::npos);
  // What is there is never overwritten, and no token is made in vain.
  EXPECT_EQ(cluster.run(kPoolToken, {"lab", "--count", "2", "--out", "two"}), 2);
  EXPECT_EQ(cluster.failure, folder + "two.1 is there already: choose another --out");
  EXPECT_EQ(cluster.run(kPoolToken, {"lab"}), 2);
  EXPECT_EQ(cluster.run(kPoolToken, {"lab", "--out", "x", "--expires", "0s"}), 2);
  EXPECT_EQ(wishes().size(), 2u);
}

}  // namespace
}  // namespace leat::cli
