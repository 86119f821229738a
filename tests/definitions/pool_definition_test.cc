#include "definitions/pool_definition.h"

#include <capnp/message.h>
#include <gtest/gtest.h>

#include <cstring>

#include <string>

namespace leat::definitions {
namespace {

constexpr const char* kWhole = R"(name = "big.one"
provider = "local"
nodes = 4
cores = 2
memory = "4G"
labels = ["fast", "x86"]
)";

TEST(PoolDefinition, IsReadWhole) {
  const Result<PoolDefinition> pool = parse_pool(kWhole, "p.toml");
  ASSERT_TRUE(pool.ok()) << pool.refusal().message;
  EXPECT_EQ(pool.value().name, "big.one");
  EXPECT_EQ(pool.value().provider, "local");
  EXPECT_EQ(pool.value().nodes, 4u);
  EXPECT_EQ(pool.value().millicores, 2000u);
  EXPECT_EQ(pool.value().memory_bytes, 4ull << 30);
  EXPECT_EQ(pool.value().labels, (std::vector<std::string>{"fast", "x86"}));
}

TEST(PoolDefinition, TakesSharesOfACore) {
  for (const char* cores : {"0.5", "\"0.5\""}) {
    const std::string text =
        "name='a'\nprovider='local'\nnodes=1\ncores=" + std::string(cores) + "\n";
    const Result<PoolDefinition> pool = parse_pool(text, "p.toml");
    ASSERT_TRUE(pool.ok()) << pool.refusal().message;
    EXPECT_EQ(pool.value().millicores, 500u);
  }
}

TEST(PoolDefinition, IsReadWholeOnDemand) {
  const Result<PoolDefinition> pool = parse_pool(R"(name = "burst"
provider = "local"
min = 1
max = 8
idle_timeout = "2m"
join_deadline = 30
cores = 2
labels = ["fast", "site=north/1"]
)",
                                                 "p.toml");
  ASSERT_TRUE(pool.ok()) << pool.refusal().message;
  EXPECT_FALSE(pool.value().nodes);
  EXPECT_EQ(pool.value().nodes_min(), 1u);
  EXPECT_EQ(pool.value().nodes_max(), 8u);
  EXPECT_EQ(pool.value().idle_timeout, std::chrono::minutes(2));
  EXPECT_EQ(pool.value().join_deadline, std::chrono::seconds(30));
  EXPECT_EQ(pool.value().labels, (std::vector<std::string>{"fast", "site=north/1"}));
}

TEST(PoolDefinition, MayBeStatic) {
  const Result<PoolDefinition> pool =
      parse_pool("name = 'lab'\nprovider = 'static'\nnodes = 3\n", "p.toml");
  ASSERT_TRUE(pool.ok()) << pool.refusal().message;
  EXPECT_EQ(pool.value().provider, "static");
  EXPECT_EQ(pool.value().nodes_max(), 3u);
}

// Every case is `text` put after a good name and provider, unless it brings its own.
struct Wrong {
  const char* text;
  const char* message;
  Reason reason = Reason::kInvalid;
};

// Compares what is said of `begin + text` in a file whose `text` begins in line 3.
void expect_refused(const std::string& begin, const Wrong& wrong) {
  const Result<PoolDefinition> pool = parse_pool(begin + wrong.text, "p.toml");
  ASSERT_FALSE(pool.ok()) << wrong.text;
  EXPECT_EQ(pool.refusal().message, std::string("p.toml:") + wrong.message);
  EXPECT_EQ(pool.refusal().reason, wrong.reason) << wrong.text;
}

TEST(PoolDefinition, NamesLineAndColumnOfAWrongNameOrProvider) {
  const Wrong cases[] = {
      {"name = 7\nprovider = 'local'\nnodes = 1\n", "1:8: name wants a text in quotes"},
      {"name = '-a'\nprovider = 'local'\nnodes = 1\n",
       "1:8: name is letters, digits, '-', '_' and '.', at most 64 of them"},
      {"name = ''\nprovider = 'local'\nnodes = 1\n",
       "1:8: name is letters, digits, '-', '_' and '.', at most 64 of them"},
      {"provider = 'local'\nnodes = 1\n",
       "1:1: name is missing: a pool needs name, provider and nodes, or max"},
      {"name = 'a'\nnodes = 1\n",
       "1:1: provider is missing: a pool needs name, provider and nodes, or max"},
      {"name = 'a'\nprovider = 1\nnodes = 1\n", "2:12: provider wants a text in quotes"},
      {"name = 'a'\nprovider = 'cloud'\nnodes = 1\n",
       "2:12: provider is \"local\" or \"static\" in this version"},
      {"name = 'a'\nprovider = 'slurm'\nnodes = 1\n",
       "2:12: provider \"slurm\": not in this version, which has \"local\" and \"static\"",
       Reason::kNotInThisVersion},
  };
  for (const Wrong& wrong : cases) expect_refused("", wrong);
}

TEST(PoolDefinition, NamesLineAndColumnOfAWrongSize) {
  const Wrong cases[] = {
      {"", "1:1: nodes is missing: a pool needs name, provider and nodes, or max"},
      {"nodes = 'four'\n", "3:9: nodes wants a whole number from 1 to 4096"},
      {"nodes = 1.5\n", "3:9: nodes wants a whole number from 1 to 4096"},
      {"nodes = 0\n", "3:9: nodes wants a whole number from 1 to 4096"},
      {"nodes = 4097\n", "3:9: nodes wants a whole number from 1 to 4096"},
      {"min = 'x'\nmax = 3\n", "3:7: min wants a whole number from 0 to 4096"},
      {"min = -1\nmax = 3\n", "3:7: min wants a whole number from 0 to 4096"},
      {"max = true\n", "3:7: max wants a whole number from 1 to 4096"},
      {"max = 0\n", "3:7: max wants a whole number from 1 to 4096"},
      {"max = 4097\n", "3:7: max wants a whole number from 1 to 4096"},
      {"min = 1\n", "1:1: max is missing: a pool on demand needs it, min may be left out"},
      {"max = 3\nmin = 4\n", "4:7: min is 4, above max, which is 3"},
      {"nodes = 2\nmax = 3\n",
       "3:9: nodes is the size of a pool that never changes: give it, or min and max"},
      {"nodes = 2\nmin = 1\n",
       "3:9: nodes is the size of a pool that never changes: give it, or min and max"},
      {"max = 3\nidle_timeout = 'soon'\n",
       "4:16: idle_timeout wants a time from 100ms to 30d, like \"90s\" or \"1h30m\""},
      {"max = 3\nidle_timeout = 0\n",
       "4:16: idle_timeout wants a time from 100ms to 30d, like \"90s\" or \"1h30m\""},
      {"max = 3\nidle_timeout = '31d'\n",
       "4:16: idle_timeout wants a time from 100ms to 30d, like \"90s\" or \"1h30m\""},
      {"nodes = 3\nidle_timeout = '1m'\n",
       "4:16: idle_timeout is for pools on demand: give min and max instead of nodes"},
      {"nodes = 3\njoin_deadline = '10ms'\n",
       "4:17: join_deadline wants a time from 1s to 1d, like \"90s\" or \"1h30m\""},
      {"nodes = 3\njoin_deadline = []\n",
       "4:17: join_deadline wants a time from 1s to 1d, like \"90s\" or \"1h30m\""},
  };
  for (const Wrong& wrong : cases) expect_refused("name = 'a'\nprovider = 'local'\n", wrong);
}

TEST(PoolDefinition, NamesLineAndColumnOfAWrongShape) {
  const Wrong cases[] = {
      {"cores = -1\n", "4:9: cores wants the cores of one node, like 4 or 0.5"},
      {"cores = nan\n", "4:9: cores wants the cores of one node, like 4 or 0.5"},
      {"cores = 'many'\n", "4:9: cores wants the cores of one node, like 4 or 0.5"},
      {"cores = 0.0001\n", "4:9: cores wants the cores of one node, like 4 or 0.5"},
      {"memory = '4X'\n", "4:10: memory wants the memory of one node, like \"8G\""},
      {"memory = 0\n", "4:10: memory wants the memory of one node, like \"8G\""},
      {"memory = -5\n", "4:10: memory wants the memory of one node, like \"8G\""},
      {"gpus = 0.5\n", "4:8: gpus wants a whole number from 0 to 64"},
      {"gpus = 65\n", "4:8: gpus wants a whole number from 0 to 64"},
      {"tasks_per_node = 0\n", "4:18: tasks_per_node wants a whole number from 1 to 1000000"},
      {"tasks_per_node = 'x'\n", "4:18: tasks_per_node wants a whole number from 1 to 1000000"},
      {"labels = 'x'\n",
       "4:10: labels wants a list of at most 64 labels, like [\"fast\", \"site=north\"]"},
      {"labels = ['x',\n  7]\n",
       "5:3: labels wants a list of at most 64 labels, like [\"fast\", \"site=north\"]"},
      {"labels = ['x',\n  'a b']\n",
       "5:3: labels: \"a b\": a label is a word of letters, digits and -_./: or two of them "
       "like site=north, and does not begin with leat:"},
      {"labels = ['a=b=c']\n",
       "4:11: labels: \"a=b=c\": a label is a word of letters, digits and -_./: or two of them "
       "like site=north, and does not begin with leat:"},
      {"labels = ['leat:memory-limit']\n",
       "4:11: labels: \"leat:memory-limit\": a label is a word of letters, digits and -_./: or two "
       "of them "
       "like site=north, and does not begin with leat:"},
      {"counters = 3\n",
       "4:12: counters wants a table of at most 16 numbers, like { licence = 2 }"},
      {"[counters]\nlicence = 'two'\n",
       "5:11: counters.licence wants a whole number from 1 to 281474976710656"},
      {"[counters]\nlicence = 0\n",
       "5:11: counters.licence wants a whole number from 1 to 281474976710656"},
      {"[counters]\n'a b' = 1\n",
       "5:1: counters: \"a b\" is letters, digits, '-', '_' and '.', at most 64 of them"},
      {"mpi_interfaces = 'eth0,,'\n",
       "4:18: mpi_interfaces wants interfaces or networks, like \"eth0,10.0.0.0/8\""},
      {"colour = 'x'\n",
       "4:1: unknown key \"colour\": a pool has name, provider, nodes, min, max, idle_timeout, "
       "join_deadline, cores, memory, gpus, labels, tasks_per_node, placement, memory_limits, "
       "mpi_interfaces, counters"},
      {"when = 2026-11-22\n",
       "4:1: unknown key \"when\": a pool has name, provider, nodes, min, max, idle_timeout, "
       "join_deadline, cores, memory, gpus, labels, tasks_per_node, placement, memory_limits, "
       "mpi_interfaces, counters"},
  };
  for (const Wrong& wrong : cases)
    expect_refused("name = 'a'\nprovider = 'local'\nnodes = 1\n", wrong);
}

TEST(PoolDefinition, RefusesWhatAStaticPoolCannotHave) {
  const Wrong cases[] = {
      {"max = 3\n", "3:7: max is for pools whose nodes Leat makes: a static pool has nodes = N"},
      {"min = 1\nmax = 3\n",
       "3:7: min is for pools whose nodes Leat makes: a static pool has nodes = N"},
      {"nodes = 3\njoin_deadline = '1m'\n",
       "4:17: join_deadline is for pools whose nodes Leat makes: the tokens of a static pool "
       "expire"},
      {"nodes = 3\ngpus = 1\n",
       "4:8: gpus is for pools whose nodes Leat makes: a static node says what it has, with leat "
       "agent join"},
      {"nodes = 3\ncounters = { a = 1 }\n",
       "4:12: counters is for pools whose nodes Leat makes: a static node says what it has, with "
       "leat agent join"},
      {"nodes = 3\nmemory_limits = 'off'\n",
       "4:17: memory_limits is for pools whose nodes Leat makes: leat agent join "
       "--no-memory-limits"},
  };
  for (const Wrong& wrong : cases) expect_refused("name = 'a'\nprovider = 'static'\n", wrong);
}

TEST(PoolDefinition, NamesLineAndColumnOfASyntaxError) {
  const Result<PoolDefinition> pool = parse_pool("name = 'a'\nnodes = = 1\n", "p.toml");
  ASSERT_FALSE(pool.ok());
  EXPECT_EQ(pool.refusal().message.rfind("p.toml:2:9: ", 0), 0u) << pool.refusal().message;
}

TEST(PoolDefinition, RefusesAFileThatIsNotThere) {
  const Result<PoolDefinition> pool = load_pool("/nonexistent/p.toml");
  ASSERT_FALSE(pool.ok());
  EXPECT_EQ(pool.refusal().message, "/nonexistent/p.toml: No such file or directory");
  EXPECT_FALSE(load_pool("/").ok());
}

TEST(PoolDefinition, BecomesASpec) {
  const Result<PoolDefinition> pool = parse_pool(kWhole, "p.toml");
  ASSERT_TRUE(pool.ok());
  capnp::MallocMessageBuilder message;
  fill_pool_spec(pool.value(), message.initRoot<schema::PoolSpec>());
  const schema::PoolSpec::Reader spec = message.getRoot<schema::PoolSpec>().asReader();
  EXPECT_EQ(spec.getName(), "big.one");
  EXPECT_EQ(spec.getNodes(), 4u);
  EXPECT_TRUE(spec.getDeclared());
  EXPECT_EQ(spec.getShape().getMillicores(), 2000u);
  EXPECT_EQ(spec.getLabels()[1], "x86");
}

}  // namespace
}  // namespace leat::definitions
