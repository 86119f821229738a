// What a node has is never given twice, also while runs that the head has given up still end.

#include <gtest/gtest.h>

#include "tests/node-agent/agent_core_words.h"

namespace leat::agent {
namespace {

std::shared_ptr<const StageSpec> needing(const Resources& resources, bool exclusive = false) {
  StageSpec spec;
  spec.program.argv = {"/bin/true"};
  spec.indices = list("0-9");
  spec.resources = resources;
  spec.exclusive = exclusive;
  return std::make_shared<const StageSpec>(std::move(spec));
}

// A node of 4 cores, 2 gpus and 3 licences.
struct Machine {
  Machine() : core(64, Resources{4000, 1 << 30, 2, {{"licence", 3}}}) {
    EXPECT_EQ(core.on_joined(1, kHead), Verdict::kTaken);
  }

  void start(std::uint64_t job, std::string_view indices, const Resources& need,
             bool exclusive = false) {
    StartSet set;
    set.runs = {{JobId{job}, 0}, 1, list(indices), 0};
    set.claims = 10;
    set.spec = needing(need, exclusive);
    core.on_start({kHead, 1, ++sequence, {set}}, now);
  }
  std::size_t launched() { return core.take_actions().launches.size(); }
  void exit(std::uint64_t job, Index index) {
    core.on_exit(run_id({JobId{job}, 0}, 1, index), exit_code(0), false, now);
  }

  AgentCore core;
  std::uint64_t sequence = 0;
  Time now = at_ms(1);
};

TEST(AgentCoreRoom, EveryResourceIsGivenOnce) {
  for (const Resources& need : {Resources{2000, 0, 0, {}}, Resources{1, 1 << 29, 0, {}},
                                Resources{1, 0, 1, {}}, Resources{1, 0, 0, {{"licence", 1}}}}) {
    Machine machine;
    machine.start(1, "0-9", need);
    const std::size_t fit = need.counters.empty() ? 2 : 3;
    EXPECT_EQ(machine.launched(), fit);
    machine.exit(1, 0);
    EXPECT_EQ(machine.launched(), 1u);
    machine.start(2, "0", need);
    EXPECT_EQ(machine.launched(), 0u);
    machine.exit(1, 1);
    EXPECT_EQ(machine.launched(), 1u);
  }
}

TEST(AgentCoreRoom, AnExclusiveRunIsAlone) {
  Machine machine;
  machine.start(1, "0", {1000, 0, 0, {}});
  machine.start(2, "0", {1000, 0, 0, {}}, true);
  EXPECT_EQ(machine.launched(), 1u);
  machine.exit(1, 0);
  EXPECT_EQ(machine.launched(), 1u);
  machine.start(3, "0", {1, 0, 0, {}});
  EXPECT_EQ(machine.launched(), 0u);
  machine.exit(2, 0);
  EXPECT_EQ(machine.launched(), 1u);
}

TEST(AgentCoreRoom, ARunThatIsLargerThanTheNodeRunsAlone) {
  Machine machine;  // after a restart with a smaller share than the head had placed for
  machine.start(1, "0-1", {9000, 0, 0, {}});
  EXPECT_EQ(machine.launched(), 1u);
  machine.exit(1, 0);
  EXPECT_EQ(machine.launched(), 1u);
}

TEST(AgentCoreRoom, AdoptedRunsKeepWhatTheyHave) {
  AgentCore core(64, Resources{4000, 0, 2, {}});
  core.on_recovered_stage({JobId{1}, 0}, needing({1000, 0, 2, {}}));
  const AdoptedRun adopted{run_id({JobId{1}, 0}, 1, 3), 0};
  core.on_adopted({&adopted, 1});
  core.on_joined(1, kHead);
  StartSet set;
  set.runs = {{JobId{2}, 0}, 1, list("0"), 0};
  set.spec = needing({1000, 0, 1, {}});
  core.on_start({kHead, 1, 1, {set}}, at_ms(1));
  EXPECT_TRUE(core.take_actions().launches.empty());
  core.on_exit(adopted.run, exit_code(0), false, at_ms(2));
  EXPECT_EQ(core.take_actions().launches.size(), 1u);
}

}  // namespace
}  // namespace leat::agent
