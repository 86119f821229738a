#include "definitions/pool_definition.h"

#include <capnp/message.h>
#include <gtest/gtest.h>

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

struct Wrong {
  const char* text;
  const char* message;
  Reason reason = Reason::kInvalid;
};

TEST(PoolDefinition, NamesLineAndColumnOfEveryWrongField) {
  const Wrong cases[] = {
      {"name = 7\nprovider = 'local'\nnodes = 1\n", "p.toml:1:8: name wants a text in quotes"},
      {"name = '-a'\nprovider = 'local'\nnodes = 1\n",
       "p.toml:1:8: name is letters, digits, '-', '_' and '.', at most 64 of them"},
      {"name = ''\nprovider = 'local'\nnodes = 1\n",
       "p.toml:1:8: name is letters, digits, '-', '_' and '.', at most 64 of them"},
      {"provider = 'local'\nnodes = 1\n",
       "p.toml:1:1: name is missing: a pool needs name, provider and nodes"},
      {"name = 'a'\nprovider = 1\nnodes = 1\n", "p.toml:2:12: provider wants a text in quotes"},
      {"name = 'a'\nprovider = 'cloud'\nnodes = 1\n",
       "p.toml:2:12: provider is \"local\" in this version"},
      {"name = 'a'\nprovider = 'slurm'\nnodes = 1\n",
       "p.toml:2:12: provider \"slurm\": not in this version, which has \"local\" only",
       Reason::kNotInThisVersion},
      {"name = 'a'\nprovider = 'local'\n",
       "p.toml:1:1: nodes is missing: a pool needs name, provider and nodes"},
      {"name = 'a'\nprovider = 'local'\nnodes = 'four'\n",
       "p.toml:3:9: nodes wants a whole number from 1 to 4096"},
      {"name = 'a'\nprovider = 'local'\nnodes = 0\n",
       "p.toml:3:9: nodes wants a whole number from 1 to 4096"},
      {"name = 'a'\nprovider = 'local'\nnodes = 4097\n",
       "p.toml:3:9: nodes wants a whole number from 1 to 4096"},
      {"name = 'a'\nprovider = 'local'\nnodes = 1\ncores = -1\n",
       "p.toml:4:9: cores wants the cores of one node, like 4 or 0.5"},
      {"name = 'a'\nprovider = 'local'\nnodes = 1\ncores = nan\n",
       "p.toml:4:9: cores wants the cores of one node, like 4 or 0.5"},
      {"name = 'a'\nprovider = 'local'\nnodes = 1\nmemory = '4X'\n",
       "p.toml:4:10: memory wants the memory of one node, like \"8G\""},
      {"name = 'a'\nprovider = 'local'\nnodes = 1\nmemory = 0\n",
       "p.toml:4:10: memory wants the memory of one node, like \"8G\""},
      {"name = 'a'\nprovider = 'local'\nnodes = 1\nlabels = 'x'\n",
       "p.toml:4:10: labels wants a list of at most 64 words, like [\"fast\"]"},
      {"name = 'a'\nprovider = 'local'\nnodes = 1\nlabels = ['x',\n  'a b']\n",
       "p.toml:5:3: a label is a word of letters, digits, '-', '_' and '.'"},
      {"name = 'a'\nprovider = 'local'\nnodes = 1\ncolour = 'x'\n",
       "p.toml:4:1: unknown key \"colour\": a pool has name, provider, nodes, cores, memory, "
       "labels"},
  };
  for (const Wrong& wrong : cases) {
    const Result<PoolDefinition> pool = parse_pool(wrong.text, "p.toml");
    ASSERT_FALSE(pool.ok()) << wrong.text;
    EXPECT_EQ(pool.refusal().message, wrong.message);
    EXPECT_EQ(pool.refusal().reason, wrong.reason) << wrong.text;
  }
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
