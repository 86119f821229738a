#include "cli/task_name.h"

#include <gtest/gtest.h>

namespace leat::cli {
namespace {

TEST(TaskName, ReadsJobsTasksAndStages) {
  EXPECT_EQ(parse_name("17").value().job, JobId{17});
  EXPECT_TRUE(parse_name("17").value().indices.empty());
  EXPECT_FALSE(parse_name("last").value().job);

  const TaskName task = parse_name("17.42").value();
  EXPECT_EQ(task.stage, 0);
  EXPECT_EQ(task.indices.to_string(), "42");
  EXPECT_TRUE(task.names_task());

  const TaskName range = parse_name("last.1.5-9:2,20").value();
  EXPECT_FALSE(range.job);
  EXPECT_EQ(range.stage, 1);
  EXPECT_EQ(range.indices.size(), 4u);
  EXPECT_FALSE(range.names_task());
}

TEST(TaskName, RefusesEverythingElse) {
  for (const char* const text : {"", "0", "x", "-1", "17.", "17.x", ".5", "17.1.", "17.65536.1",
                                 "17.1.2.3", "lasts", "17.5-1", "17 ", "99999999999999999999"})
    EXPECT_FALSE(parse_name(text).ok()) << text;
}

TEST(TaskName, WantsAWholeJobOrOneTaskWhereOnlyThatMakesSense) {
  EXPECT_TRUE(parse_job("last").ok());
  EXPECT_FALSE(parse_job("17.1").ok());
  EXPECT_TRUE(parse_task("17.1.2").ok());
  EXPECT_FALSE(parse_task("17").ok());
  EXPECT_FALSE(parse_task("17.1-2").ok());
}

}  // namespace
}  // namespace leat::cli
