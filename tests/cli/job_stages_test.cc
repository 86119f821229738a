#include "cli/job_stages.h"

#include <capnp/message.h>
#include <gtest/gtest.h>

#include "cli/job_options.h"

namespace leat::cli {
namespace {

JobRequest request_of(const std::string& text) {
  Surroundings surroundings;
  surroundings.directory = "/";
  surroundings.environment = {"PATH=/usr/bin:/bin"};
  const auto job = definitions::parse_job(text, "j");
  EXPECT_TRUE(job.ok()) << job.refusal().message;
  return read_job_request(job.value(), surroundings);
}

std::string refusal_of(const std::string& text) {
  try {
    (void)request_of(text);
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, ExitCode::kUsage);
    return failure.message;
  }
  return "none";
}

constexpr const char* kPipeline = R"(name = "ensemble"
priority = 3
retries = 2
start_within = "1h"

[[stage]]
name = "prepare"
command = ["true"]

[[stage]]
name = "simulate"
after = ["prepare"]
command = ["true"]
array = "0-8"
nodes = 2
mpi = true

[[stage]]
name = "mean"
reduces = "simulate"
width = 3
command = ["cat"]

[[stage]]
name = "report"
reduces = "mean"
command = ["cat", "-n"]
result = true

[[stage]]
name = "clean"
after = [{stage = "mean", on = "any"}, {stage = "simulate", on = "failure"}]
command = ["true"]
)";

TEST(JobStages, BecomeTheStagesOfOneJob) {
  capnp::MallocMessageBuilder message;
  fill_job_spec(request_of(kPipeline), message.initRoot<schema::JobSpec>());
  const auto job = message.getRoot<schema::JobSpec>().asReader();
  EXPECT_STREQ(job.getName().cStr(), "ensemble");
  EXPECT_EQ(job.getPriority(), 3);
  const auto stages = job.getStages();
  // The tree of the mean has two levels, of which the last has its name.
  ASSERT_EQ(stages.size(), 6u);
  const char* const names[] = {"prepare", "simulate", "", "mean", "report", "clean"};
  for (unsigned n = 0; n < 6; ++n) {
    EXPECT_STREQ(stages[n].getName().cStr(), names[n]);
    EXPECT_EQ(stages[n].getRetries(), 2u);
    EXPECT_EQ(stages[n].getStartWithinUs(), n == 0 ? 3'600'000'000 : 0);
  }
  ASSERT_EQ(stages[1].getAfter().size(), 1u);
  EXPECT_EQ(stages[1].getAfter()[0].getJob(), 0u);
  EXPECT_EQ(stages[1].getAfter()[0].getStage(), 0u);
  EXPECT_EQ(stages[1].getMembers()[0].getCount(), 2u);
  EXPECT_EQ(stages[2].getInputs().getOutputs().getStage(), 1u);
  EXPECT_EQ(stages[2].getIndices()[0].getCount(), 3u);
  EXPECT_EQ(stages[3].getInputs().getOutputs().getStage(), 2u);
  EXPECT_EQ(stages[3].getInputs().getOutputs().getWidth(), 3u);
  EXPECT_EQ(stages[3].getIndices()[0].getCount(), 1u);
  EXPECT_EQ(stages[4].getInputs().getOutputs().getStage(), 3u);
  EXPECT_EQ(stages[4].getInputs().getOutputs().getWidth(), 1u);
  EXPECT_EQ(job.getResultStage(), 4);
  ASSERT_EQ(stages[5].getAfter().size(), 2u);
  EXPECT_EQ(stages[5].getAfter()[0].getStage(), 3u);
  EXPECT_EQ(stages[5].getAfter()[0].getOn(), schema::After::Condition::ANY);
  EXPECT_EQ(stages[5].getAfter()[1].getStage(), 1u);
  EXPECT_EQ(stages[5].getAfter()[1].getOn(), schema::After::Condition::FAILURE);
}

TEST(JobStages, ReduceStepsAreTriedAgainUnlessToldOtherwise) {
  const JobRequest request = request_of(
      "[[stage]]\nname = 'a'\ncommand = ['true']\n[[stage]]\nreduces = 'a'\ncommand = ['cat']\n");
  EXPECT_EQ(request.stages[0].work.retries, 0u);
  EXPECT_EQ(request.stages[1].work.retries, kReduceRetries);
}

TEST(JobStages, OnlyTheFirstComeAfterOtherJobs) {
  const JobRequest request = request_of(
      "after = ['7']\n[[stage]]\nname = 'a'\ncommand = ['true']\n"
      "[[stage]]\nafter = ['a']\ncommand = ['true']\n[[stage]]\ncommand = ['true']\n");
  EXPECT_EQ(request.stages[0].work.after.size(), 1u);
  EXPECT_TRUE(request.stages[1].work.after.empty());
  EXPECT_EQ(request.stages[2].work.after.size(), 1u);
}

TEST(JobStages, AreRefusedBeforeTheHeadIsAsked) {
  EXPECT_EQ(refusal_of("[[stage]]\nname = 'a'\n"),
            "j:1:1: stage names no program: write command = [\"PROGRAM\"]");
  EXPECT_EQ(refusal_of("[[stage]]\ncommand = ['true']\nafter = ['b']\n"),
            "j:3:10: after \"b\": no stage before this one has this name");
  EXPECT_NE(refusal_of("[[stage]]\nname = 'a'\ncommand = ['true']\n"
                       "[[stage]]\nreduces = 'a'\nwidth = 1\ncommand = ['true']\n")
                .find("j:6:9: width"),
            std::string::npos);
  EXPECT_NE(refusal_of("[[stage]]\ncommand = ['/nonexistent']\n").find("j:2:12"),
            std::string::npos);
}

}  // namespace
}  // namespace leat::cli
