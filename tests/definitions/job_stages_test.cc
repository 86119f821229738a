#include <gtest/gtest.h>

#include <string>

#include "definitions/job_definition.h"

namespace leat::definitions {
namespace {

constexpr const char* kPipeline = R"(name = "ensemble"
memory = "1G"

[env]
A = "1"

[[stage]]
name = "prepare"
command = ["./mesh"]

[[stage]]
name = "simulate"
after = ["prepare"]
command = ["./heat"]
array = "0-49"
nodes = 2
mpi = true
memory = "4G"

[stage.env]
B = "2"

[[stage]]
name = "look"
after = [{stage = "simulate", each = true, on = "any"}, {stage = "prepare"}]
command = ["./look"]
array = "0-49"

[[stage]]
name = "mean"
reduces = "simulate"
width = 8
command = ["./mean"]
result = true

[[stage]]
reduces = "mean"
command = ["./report"]
)";

TEST(JobStages, AreReadWhole) {
  const Result<JobDefinition> read = parse_job(kPipeline, "j");
  ASSERT_TRUE(read.ok()) << read.refusal().message;
  const JobDefinition& job = read.value();
  EXPECT_FALSE(check_stages(job).has_value());
  ASSERT_EQ(job.stages.size(), 5u);
  EXPECT_EQ(job.find("name")->text, "ensemble");
  const StageDefinition& simulate = job.stages[1];
  EXPECT_EQ(simulate.where, "j:11:1: stage");
  EXPECT_EQ(simulate.name.text, "simulate");
  ASSERT_EQ(simulate.after.size(), 1u);
  EXPECT_EQ(simulate.after[0].stage.text, "prepare");
  EXPECT_FALSE(simulate.after[0].each);
  EXPECT_EQ(simulate.said.find("array")->text, "0-49");
  const StageDefinition& look = job.stages[2];
  ASSERT_EQ(look.after.size(), 2u);
  EXPECT_TRUE(look.after[0].each);
  EXPECT_EQ(look.after[0].on.text, "any");
  EXPECT_EQ(look.after[1].on.text, "");
  EXPECT_EQ(job.stages[3].reduces.text, "simulate");
  EXPECT_EQ(job.stages[3].width.text, "8");
  EXPECT_TRUE(job.stages[3].result);
  EXPECT_EQ(job.stages[4].name.text, "");
}

TEST(JobStages, SayWhatHoldsForAllUnlessTheySayOtherwise) {
  const JobDefinition job = parse_job(kPipeline, "j").value();
  const JobDefinition prepare = stage_of(job, 0);
  const JobDefinition simulate = stage_of(job, 1);
  EXPECT_EQ(prepare.find("memory")->text, "1G");
  EXPECT_EQ(simulate.find("memory")->text, "4G");
  EXPECT_EQ(prepare.all("env").size(), 1u);
  EXPECT_EQ(simulate.all("env").size(), 2u);
  EXPECT_EQ(simulate.find("name")->text, "ensemble");
  EXPECT_TRUE(simulate.stages.empty());
}

TEST(JobStages, AreReadBackAsTheyWerePrinted) {
  const JobDefinition job = parse_job(kPipeline, "j").value();
  const Result<std::string> printed = print_job(job);
  ASSERT_TRUE(printed.ok());
  const Result<JobDefinition> again = parse_job(printed.value(), "j");
  ASSERT_TRUE(again.ok()) << again.refusal().message << '\n' << printed.value();
  EXPECT_EQ(again.value(), job) << printed.value();
}

TEST(JobStages, AreRefusedWithLineAndColumn) {
  struct Wrong {
    const char* text;
    const char* message;
  };
  const Wrong cases[] = {
      {"stage = 1", "j:1:9: stage wants tables: write [[stage]] above each"},
      {"stage = [1]", "j:1:10: stage wants tables: write [[stage]] above each"},
      {"[[stage]]\nname = 7", "j:2:8: name wants a text in quotes"},
      {"[[stage]]\nresult = 1", "j:2:10: result wants true or false"},
      {"[[stage]]\nwidth = 'x'", "j:2:9: width wants a whole number"},
      {"[[stage]]\nafter = 'a'",
       "j:2:9: after wants a list of names of stages, or of tables like {stage = \"NAME\", each = "
       "true, on = \"any\"}"},
      {"[[stage]]\nafter = [{each = true}]",
       "j:2:10: after wants a list of names of stages, or of tables like {stage = \"NAME\", each = "
       "true, on = \"any\"}"},
      {"[[stage]]\nafter = ['a']", "j:2:10: after \"a\": no stage before this one has this name"},
      {"[[stage]]\nname = 'a'\n[[stage]]\nname = 'b'\nafter = ['c']",
       "j:5:10: after \"c\": no stage before this one has this name; those before it are a"},
      {"[[stage]]\nname = 'a'\n[[stage]]\nname = 'a'",
       "j:4:8: name \"a\": another stage has this name"},
      {"[[stage]]\nname = 'a'\n[[stage]]\nafter = [{stage = 'a', on = 'never'}]",
       "j:4:29: on \"never\": write success, failure or any"},
      {"[[stage]]\nwidth = 3", "j:2:9: width: say which stage it reduces, too"},
      {"[[stage]]\nname = 'a'\n[[stage]]\nreduces = 'a'\nafter = ['a']",
       "j:5:10: after: a stage that reduces another comes after the outputs it reads, and nothing "
       "else"},
      {"[[stage]]\nname = 'a'\n[[stage]]\nreduces = 'a'\narray = '1-3'",
       "j:5:9: array: the tasks of a stage that reduces another are its steps"},
      {"[[stage]]\nname = 'a'\n[[stage]]\nreduces = 'a'\n[[stage]]\nreduces = 'a'",
       "j:6:11: reduces \"a\": another stage reduces it already"},
      {"[[stage]]\nresult = true\n[[stage]]\nresult = true",
       "j:3:1: stage: the output of another stage is the result already"},
      {"[[stage]]\nreduce = 'sort'",
       "j:2:10: reduce: in a job of stages a stage reduces another: write reduces = \"NAME\" into "
       "it, and what it runs as its command"},
      {"[[stage]]\npool = 'p'",
       "j:2:8: pool: it is said of the whole job, above the first "
       "[[stage]]"},
      {"array = '1-3'\n[[stage]]\nname = 'a'",
       "j:1:9: array: which of the stages? Write it into one of them"},
      {"command = ['x']\n[[stage]]\nname = 'a'",
       "j:1:12: command: which of the stages runs it? Write it into one of them"},
  };
  for (const Wrong& wrong : cases) {
    const Result<JobDefinition> job = parse_job(wrong.text, "j");
    std::string message = job.ok() ? "" : job.refusal().message;
    if (job.ok())
      if (const auto refusal = check_stages(job.value())) message = refusal->message;
    EXPECT_EQ(message, wrong.message) << wrong.text;
  }
}

TEST(JobStages, NameTheKeysThatAStageMayHave) {
  const Result<JobDefinition> job = parse_job("[[stage]]\ncolour = 1", "j");
  ASSERT_FALSE(job.ok());
  const std::string& message = job.refusal().message;
  EXPECT_EQ(message.rfind("j:2:1: unknown key \"colour\": a stage may have name, after, ", 0), 0u)
      << message;
  EXPECT_NE(message.find(", array"), std::string::npos);
  EXPECT_EQ(message.find(", priority"), std::string::npos) << message;
}

}  // namespace
}  // namespace leat::definitions
