// Small parts of the agent: what a task is given, and what its end is called.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <set>
#include <string>

#include "node-agent/evacuation.h"
#include "node-agent/node_file.h"
#include "node-agent/run_outcome.h"
#include "node-agent/scratch.h"
#include "node-agent/task_environment.h"
#include "spool/spool_reader.h"
#include "tests/spool/scratch_directory.h"

namespace leat::agent {
namespace {

std::multiset<std::string> strings(const warden::StringBlock& block) {
  std::multiset<std::string> found;
  block.for_each([&found](std::string_view text) { found.emplace(text); });
  return found;
}

TEST(PatienceLeft, IsProlongedByWhatIsThereForTheFirstTime) {
  const auto at = [](int seconds) { return kj::origin<kj::TimePoint>() + seconds * kj::SECONDS; };
  PatienceLeft left(at(0), {100 * kj::SECONDS, 20 * kj::SECONDS});
  EXPECT_TRUE(left.ends() == at(20));
  EXPECT_TRUE(left.brought(5, at(10)));
  EXPECT_TRUE(left.ends() == at(30));
  // Another try begins anew: what was there before is no step forward.
  EXPECT_FALSE(left.brought(3, at(15)));
  EXPECT_FALSE(left.brought(5, at(16)));
  EXPECT_TRUE(left.ends() == at(30));
  EXPECT_TRUE(left.brought(6, at(25)));
  EXPECT_TRUE(left.ends() == at(45));
  EXPECT_TRUE(left.brought(7, at(95)));
  EXPECT_TRUE(left.ends() == at(100)) << "and yet not for ever";
}

TEST(TaskEnvironment, IsTheProgramsOwnAndWhatLeatAdds) {
  StageSpec spec;
  spec.program.environment = {{"HOME", "/root"},      {"LEAT_JOB_ID", "1"},
                              {"LEAT_MINE", "kept"},  {"LEAT_CHECKPOINT_DIR", "/shared"},
                              {"LEAT_DEADLINE", "1"}, {"LEAT_PROGRESS_SOCKET", "/another"}};
  StartSet set;
  set.runs.stage = {JobId{17}, 2};
  set.spec = std::make_shared<const StageSpec>(spec);
  set.task_count = 9;
  EXPECT_EQ(strings(stage_environment(set, {"local", NodeId{3}, "/socket"})),
            (std::multiset<std::string>{"HOME=/root", "LEAT_MINE=kept",
                                        "PATH=/usr/local/bin:/usr/bin:/bin", "LEAT_JOB_ID=17",
                                        "LEAT_STAGE=2", "LEAT_TASK_COUNT=9", "LEAT_POOL=local",
                                        "LEAT_NODE=3", "LEAT_PROGRESS_SOCKET=/socket"}));
  EXPECT_EQ(own_checkpoints(*set.spec), "/shared");
  const RunId run = run_id(set.runs.stage, 4, 5);
  EXPECT_EQ(strings(task_environment(run, {2, "/x", "/c", std::nullopt}, Inputs::Use::kStream,
                                     "a line\n")),
            (std::multiset<std::string>{"LEAT_TASK_INDEX=5", "LEAT_ATTEMPT=4", "LEAT_CPUS=2",
                                        "LEAT_TASK_DIR=/x", "LEAT_CHECKPOINT_DIR=/c",
                                        "LEAT_ENTRY=a line"}));
}

TEST(TaskEnvironment, NamesTheGpusOfATaskAndHidesThoseOfOthers) {
  const RunId run = run_id({JobId{17}, 2}, 4, 5);
  const auto with =
      strings(task_environment(run, {1, "/x", "/c", "1,3"}, Inputs::Use::kStream, std::nullopt));
  EXPECT_EQ(with.count("LEAT_GPUS=1,3"), 1u);
  EXPECT_EQ(with.count("CUDA_VISIBLE_DEVICES=1,3"), 1u);
  const auto without =
      strings(task_environment(run, {1, "/x", "/c", ""}, Inputs::Use::kStream, std::nullopt));
  EXPECT_EQ(without.count("CUDA_VISIBLE_DEVICES="), 1u);
  EXPECT_EQ(strings(task_environment(run, {1, "/x", "/c", std::nullopt}, Inputs::Use::kStream,
                                     std::nullopt))
                .size(),
            5u);
}

TEST(TaskEnvironment, KeepsThePathOfTheProgram) {
  StageSpec spec;
  spec.program.environment = {{"PATH", "/mine"}};
  StartSet set;
  set.spec = std::make_shared<const StageSpec>(spec);
  EXPECT_EQ(strings(stage_environment(set, {"p", NodeId{1}, ""})).count("PATH=/mine"), 1u);
  EXPECT_EQ(strings(stage_environment(set, {"p", NodeId{1}, ""})).size(), 6u);
}

TEST(TaskEnvironment, GivesALineOnlyIfItCanBeAVariable) {
  EXPECT_EQ(entry_of("hello\n"), "hello");
  EXPECT_EQ(entry_of("no end"), "no end");
  EXPECT_EQ(entry_of(""), "");
  EXPECT_FALSE(entry_of(std::string_view("a\0b\n", 4)));
  EXPECT_FALSE(entry_of(std::string(kEntryBytesMax, 'x')));
}

warden::Exited exited(warden::ExitKind kind, std::int32_t code) {
  warden::Exited e;
  e.run = run_id({JobId{1}, 0}, 1, 2);
  e.kind = kind;
  e.code = code;
  e.start_monotonic_us = 100;
  e.duration_us = 7;
  e.peak_kib = 900;
  e.out_bytes = 3;
  return e;
}

TEST(RunOutcome, SaysHowARunEnded) {
  using warden::ExitKind;
  RunEnd end = to_run_end(exited(ExitKind::kExited, 3), 1000);
  EXPECT_EQ(end.result.outcome, Outcome::kExit);
  EXPECT_EQ(end.result.code, 3);
  EXPECT_EQ(end.result.peak_kib, -900);  // at most: the floor was met
  EXPECT_EQ(end.result.output_bytes, 3);
  EXPECT_TRUE(end.has_place);
  EXPECT_FALSE(end.by_order);
  EXPECT_EQ(to_run_end(exited(ExitKind::kExited, 3), 800).result.peak_kib, 900);
  end = to_run_end(exited(ExitKind::kSignaled, SIGSEGV), 0);
  EXPECT_EQ(end.result.outcome, Outcome::kSignal);
  EXPECT_EQ(end.result.code, SIGSEGV);
}

TEST(RunOutcome, TellsLimitsOrdersAndOurOwnFaultsApart) {
  using warden::ExitKind;
  warden::Exited limit = exited(ExitKind::kSignaled, SIGKILL);
  limit.flags = warden::kTimeLimitHit;
  EXPECT_EQ(to_run_end(limit, 0).result.outcome, Outcome::kTimeLimit);
  EXPECT_EQ(to_run_end(limit, 0).result.code, SIGKILL);
  warden::Exited polite = exited(ExitKind::kExited, 0);
  polite.flags = warden::kEndedByOrder;
  EXPECT_TRUE(to_run_end(polite, 0).by_order);
  EXPECT_EQ(to_run_end(polite, 0).result.code, SIGTERM);
  warden::Exited full = exited(ExitKind::kExited, 0);
  full.flags = warden::kSpoolFailed | warden::kOutTruncated;
  warden::Exited greedy = exited(ExitKind::kSignaled, SIGKILL);
  greedy.flags = warden::kOutOfMemory | warden::kPeakOfGroup;
  EXPECT_EQ(to_run_end(greedy, 0).result.outcome, Outcome::kOutOfMemory);
  EXPECT_EQ(to_run_end(greedy, 1000).result.peak_kib, 900);  // no floor: its group's own peak
  greedy.kind = ExitKind::kExited;
  greedy.code = 7;  // its child was killed, and it gave up
  EXPECT_EQ(to_run_end(greedy, 0).result.outcome, Outcome::kOutOfMemory);
  greedy.code = 0;  // its child was killed, and it coped
  EXPECT_EQ(to_run_end(greedy, 0).result.outcome, Outcome::kExit);
  EXPECT_EQ(to_run_end(full, 0).result.outcome, Outcome::kSpoolFull);
  EXPECT_EQ(to_run_end(full, 0).result.flags, RunColumns::kOutputCut);
}

TEST(RunOutcome, BlamesAProgramOnlyForWhatIsItsFault) {
  warden::Exited never = exited(warden::ExitKind::kNotStarted, 0);
  never.error = ENOENT;
  const auto outcome_at = [&never](warden::StartStep step) {
    never.step = step;
    return to_run_end(never, 0).result.outcome;
  };
  EXPECT_EQ(outcome_at(warden::StartStep::kProgram), Outcome::kCouldNotStart);
  EXPECT_EQ(to_run_end(never, 0).result.code, ENOENT);
  EXPECT_FALSE(to_run_end(never, 0).has_place);
  EXPECT_EQ(outcome_at(warden::StartStep::kStdin), Outcome::kInputLost);
  EXPECT_EQ(outcome_at(warden::StartStep::kSpool), Outcome::kSpoolFull);
  EXPECT_EQ(outcome_at(warden::StartStep::kTable), Outcome::kWithdrawn);
  EXPECT_EQ(outcome_at(warden::StartStep::kWithdrawn), Outcome::kWithdrawn);
  EXPECT_TRUE(to_run_end(never, 0).by_order);
}

TEST(NodeFile, NamesTheKeyThatIsWrong) {
  const std::string good =
      R"({"node": 3, "epoch": 12, "pool": "local", "cluster_id": "abc", "head_address": "h:1",
          "warden": "/w", "millicores": 500, "core_first": 1, "mock": true, "labels": ["ssd"]})";
  const Result<NodeFile> file = parse_node_file(good);
  ASSERT_TRUE(file.ok()) << file.refusal().message;
  EXPECT_EQ(file.value().node, (NodeRef{NodeId{3}, NodeEpoch{12}}));
  EXPECT_EQ(file.value().core_first, 1u);
  EXPECT_TRUE(file.value().mock);
  EXPECT_EQ(file.value().spool_quota_bytes, kSpoolQuotaDefault);
  const auto refusal = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    const Result<NodeFile> result = parse_node_file(text);
    return result.ok() ? std::string("taken") : result.refusal().message;
  };
  EXPECT_NE(refusal("\"local\"", "7").find("pool"), std::string::npos);
  EXPECT_NE(refusal("\"abc\"", "\"\"").find("cluster_id"), std::string::npos);
  EXPECT_NE(refusal("500", "-1").find("millicores"), std::string::npos);
  EXPECT_NE(refusal("3,", "0,").find("node"), std::string::npos);
  EXPECT_NE(refusal("true", "1").find("mock"), std::string::npos);
  EXPECT_NE(refusal("[\"ssd\"]", "[1]").find("labels"), std::string::npos);
  EXPECT_FALSE(parse_node_file("[]").ok());
  EXPECT_FALSE(parse_node_file("{").ok());
}

TEST(NodeFile, SaysWhatANodeHasBesidesCoresAndMemory) {
  const auto with = [](const std::string& more) {
    return parse_node_file(
        R"({"node": 3, "epoch": 12, "pool": "p", "cluster_id": "abc", "head_address": "h:1",
            "warden": "/w")" +
        more + "}");
  };
  const Result<NodeFile> none = with("");
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none.value().gpus.has_value());
  EXPECT_TRUE(none.value().counters.empty());
  EXPECT_TRUE(none.value().keeps_memory_limits);
  const Result<NodeFile> all = with(
      R"(, "gpus": 2, "gpu_first": 4, "counters": {"zz": 1, "licence": 7},
           "memory_limits": "off")");
  ASSERT_TRUE(all.ok()) << all.refusal().message;
  EXPECT_EQ(all.value().gpus, 2u);
  EXPECT_EQ(all.value().gpu_first, 4u);
  EXPECT_EQ(all.value().counters, (std::vector<Counter>{{"licence", 7}, {"zz", 1}}));
  EXPECT_FALSE(all.value().keeps_memory_limits);
  for (const char* wrong :
       {R"("gpus": 65)", R"("gpus": "2")", R"("counters": 1)", R"("counters": {"a": -1})",
        R"("counters": {"a b": 1})", R"("counters": {"a": 0})", R"("memory_limits": "no")"})
    EXPECT_FALSE(with(std::string(", ") + wrong).ok()) << wrong;
}

TEST(NodeFile, IsNotTakenFromOthers) {
  const ScratchDirectory dir;
  EXPECT_FALSE(read_node_file(dir.root()).ok());
  put_content(dir.path("agent.json"), "{}");
  ::chmod(dir.path("agent.json").c_str(), 0666);
  EXPECT_NE(read_node_file(dir.root()).refusal().message.find("nobody else"), std::string::npos);
}

TEST(Scratch, EmptiesASlotsDirectoryBetweenTasks) {
  const ScratchDirectory dir;
  Scratch scratch(dir.root());
  const RunId run = run_id({JobId{1}, 0}, 1, 2);
  const std::string first = scratch.prepare(run, 3, false);
  EXPECT_TRUE(std::filesystem::is_empty(first));
  std::filesystem::create_directories(first + "/a/b");
  put_content(first + "/a/file", "x");
  ASSERT_EQ(::symlink("/", (first + "/a/link").c_str()), 0);
  ::chmod((first + "/a/b").c_str(), 0);
  EXPECT_EQ(scratch.prepare(run, 3, false), first);
  EXPECT_TRUE(std::filesystem::is_empty(first));
  while (scratch.clean_step()) continue;
  EXPECT_TRUE(scratch.is_clean());
  EXPECT_TRUE(std::filesystem::is_empty(dir.path("scratch/old")));
  EXPECT_TRUE(std::filesystem::exists("/etc"));
}

TEST(Scratch, RemovesManyFilesInBoundedSteps) {
  const ScratchDirectory dir;
  Scratch scratch(dir.root());
  const std::string path = scratch.prepare(run_id({JobId{1}, 0}, 1, 2), 0, false);
  for (int i = 0; i < 1000; ++i) put_content(path + "/" + std::to_string(i), "");
  scratch.prepare(run_id({JobId{1}, 0}, 1, 3), 0, false);
  int steps = 1;
  while (scratch.clean_step()) ++steps;
  EXPECT_GE(steps, 4);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path("scratch/old")));
}

TEST(Scratch, KeepsATasksOwnDirectoryUntilItsJobIsForgotten) {
  const ScratchDirectory dir;
  Scratch scratch(dir.root());
  const std::string a = scratch.prepare(run_id({JobId{1}, 0}, 1, 2), 0, true);
  const std::string b = scratch.prepare(run_id({JobId{1}, 0}, 1, 3), 0, true);
  EXPECT_NE(a, b);
  EXPECT_TRUE(std::filesystem::is_directory(a));
  scratch.forget(JobId{1});
  EXPECT_FALSE(std::filesystem::exists(a));
}

TEST(Scratch, NamesOneCheckpointDirectoryForAllAttemptsAtATask) {
  const ScratchDirectory dir;
  Scratch scratch(dir.root());
  const std::string first = scratch.checkpoint_directory(run_id({JobId{1}, 0}, 1, 2), "");
  EXPECT_EQ(scratch.checkpoint_directory(run_id({JobId{1}, 0}, 2, 2), ""), first);
  EXPECT_NE(scratch.checkpoint_directory(run_id({JobId{1}, 0}, 1, 3), ""), first);
  EXPECT_NE(scratch.checkpoint_directory(run_id({JobId{1}, 1}, 1, 2), ""), first);
  EXPECT_FALSE(std::filesystem::exists(first)) << "whoever wants it makes it";
  std::filesystem::create_directories(first);
  const std::string other = scratch.checkpoint_directory(run_id({JobId{11}, 0}, 1, 2), "");
  std::filesystem::create_directories(other);
  scratch.forget(JobId{1});
  EXPECT_FALSE(std::filesystem::exists(first));
  EXPECT_TRUE(std::filesystem::exists(other));
  EXPECT_EQ(scratch.checkpoint_directory(run_id({JobId{1}, 2}, 4, 3), "/shared"), "/shared/1.2.3");
}

TEST(SpoolFiles, HaveTheSameNamesForWardenAndReader) {
  EXPECT_EQ(warden::spool_file_name(3, 17, false),
            spool::file_name({3, 17, spool::Stream::kOutput}));
  EXPECT_EQ(warden::spool_file_name(3, 17, true), spool::file_name({3, 17, spool::Stream::kError}));
}

}  // namespace
}  // namespace leat::agent
