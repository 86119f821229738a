#include "cli/job_request.h"

#include <capnp/message.h>
#include <gtest/gtest.h>

#include "cli/line_index.h"

namespace leat::cli {
namespace {

JobRequest request_of(std::uint64_t tasks) {
  JobRequest request;
  request.argv = {"prog", "-x", ""};
  request.indices = IndexList(Stride{1, tasks, 1});
  request.environment = {"A=1", "B=x=y"};
  request.directory = "/work";
  return request;
}

TEST(JobRequest, OfOneTaskHasOneStage) {
  capnp::MallocMessageBuilder message;
  JobRequest request = request_of(3);
  request.pools = {"big"};
  request.resources.millicores = 500;
  request.time_limit = std::chrono::seconds(7);
  request.retries = 2;
  fill_job_spec(request, message.initRoot<schema::JobSpec>());
  const schema::JobSpec::Reader spec = message.getRoot<schema::JobSpec>().asReader();
  EXPECT_EQ(spec.getResultStage(), -1);
  EXPECT_EQ(spec.getPools()[0], "big");
  ASSERT_EQ(spec.getStages().size(), 1u);
  const schema::StageSpec::Reader stage = spec.getStages()[0];
  EXPECT_EQ(stage.getProgram().getArgv().size(), 3u);
  EXPECT_EQ(stage.getProgram().getArgv()[2], "");
  EXPECT_EQ(stage.getProgram().getEnvironment()[1].getName(), "B");
  EXPECT_EQ(stage.getProgram().getEnvironment()[1].getValue(), "x=y");
  EXPECT_EQ(stage.getIndices()[0].getFirst(), 1u);
  EXPECT_EQ(stage.getIndices()[0].getCount(), 3u);
  EXPECT_EQ(stage.getMembers()[0].getResources().getMillicores(), 500u);
  EXPECT_EQ(stage.getTimeLimitUs(), 7'000'000);
  EXPECT_EQ(stage.getRetries(), 2u);
  EXPECT_TRUE(stage.getInputs().isNone());
}

TEST(JobRequest, ReducesFlatInOneStep) {
  JobRequest request = request_of(100);
  request.reduce = ReduceRequest{{"sum"}, std::nullopt};
  EXPECT_EQ(stage_sizes(request), (std::vector<std::uint64_t>{100, 1}));
  request.indices = IndexList(Stride{});
  EXPECT_EQ(stage_sizes(request), (std::vector<std::uint64_t>{1, 1}));
}

TEST(JobRequest, ReducesAsATreeDownToOne) {
  JobRequest request = request_of(100);
  request.reduce = ReduceRequest{{"sum", "-n"}, 4};
  EXPECT_EQ(stage_sizes(request), (std::vector<std::uint64_t>{100, 25, 7, 2, 1}));
  request.reduce->width = 100;
  EXPECT_EQ(stage_sizes(request), (std::vector<std::uint64_t>{100, 1}));
  request.reduce->width = 1000;
  EXPECT_EQ(stage_sizes(request), (std::vector<std::uint64_t>{100, 1}));
  request.indices = IndexList(Stride{0, kTasksPerJobMax, 1});
  request.reduce->width = 2;
  EXPECT_EQ(stage_sizes(request).size(), 33u);
}

TEST(JobRequest, ChainsTheStagesOfATree) {
  capnp::MallocMessageBuilder message;
  JobRequest request = request_of(10);
  request.reduce = ReduceRequest{{"sum", "-n"}, 4};
  fill_job_spec(request, message.initRoot<schema::JobSpec>());
  const schema::JobSpec::Reader spec = message.getRoot<schema::JobSpec>().asReader();
  ASSERT_EQ(spec.getStages().size(), 3u);
  EXPECT_EQ(spec.getResultStage(), 2);
  for (std::uint16_t i = 1; i < 3; ++i) {
    const schema::StageSpec::Reader stage = spec.getStages()[i];
    EXPECT_EQ(stage.getInputs().getOutputs().getStage(), i - 1);
    EXPECT_EQ(stage.getInputs().getOutputs().getWidth(), 4u);
    EXPECT_EQ(stage.getIndices()[0].getFirst(), 0u);
    EXPECT_EQ(stage.getIndices()[0].getCount(), i == 1 ? 3u : 1u);
    EXPECT_EQ(stage.getProgram().getArgv()[1], "-n");
    EXPECT_EQ(stage.getRetries(), kReduceRetries);
  }
}

struct Indexed {
  std::vector<std::uint64_t> offsets;
  std::uint64_t lines;
  std::uint64_t tasks;
};

// Feeds `text` in pieces of `piece` bytes.
Indexed index_of(std::string_view text, std::uint64_t chunk, std::size_t piece) {
  Indexed indexed{};
  LineIndex index(chunk, [&indexed](std::uint64_t offset) { indexed.offsets.push_back(offset); });
  for (std::size_t at = 0; at < text.size(); at += piece) index.feed(text.substr(at, piece));
  index.finish();
  indexed.lines = index.lines();
  indexed.tasks = index.tasks();
  return indexed;
}

TEST(LineIndex, TellsWhereEachTaskBegins) {
  struct Case {
    std::string_view text;
    std::uint64_t chunk;
    std::vector<std::uint64_t> offsets;
    std::uint64_t lines;
  };
  const Case cases[] = {
      {"", 1, {0}, 0},
      {"a", 1, {0, 1}, 1},
      {"a\n", 1, {0, 2}, 1},
      {"\n\n", 1, {0, 1, 2}, 2},
      {"one\ntwo\nthree", 1, {0, 4, 8, 13}, 3},
      {"one\ntwo\nthree\n", 2, {0, 8, 14}, 3},
      {"one\ntwo\n", 2, {0, 8}, 2},
      {"one\ntwo\n", 100, {0, 8}, 2},
  };
  for (const Case& c : cases) {
    for (const std::size_t piece : {1, 3, 100}) {
      const Indexed indexed = index_of(c.text, c.chunk, piece);
      EXPECT_EQ(indexed.offsets, c.offsets) << c.text;
      EXPECT_EQ(indexed.lines, c.lines) << c.text;
      EXPECT_EQ(indexed.tasks + 1, c.offsets.size()) << c.text;
    }
  }
}

}  // namespace
}  // namespace leat::cli
