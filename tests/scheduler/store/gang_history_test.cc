#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "scheduler/store/history_prune.h"
#include "scheduler/store/store_file.h"
#include "tests/scheduler/core/gangs_world.h"
#include "tests/scheduler/store/scratch.h"

namespace leat::store {
namespace {

// A gang of two members that both end, the second first.
struct GangOver : core::Gangs {
  GangOver() : members(nodes(2, 1)), job(submit(core::gangs(1, 2))) {
    place();
    member(job, members[1], core::exits(0));
    member(job, members[0], core::exits(0));
    place();
    EXPECT_FALSE(state.job(job)->active());
  }

  // What all that has happened means for history.
  History history() const {
    core::State seen;
    History all;
    for (const auto& [fact, at] : log) {
      seen.apply(fact, at);
      history_of(fact, seen, at, all);
    }
    return all;
  }

  std::vector<NodeRef> members;
  JobId job;
};

TEST(GangHistory, HasARowForEachMemberAndOneForTheRun) {
  const GangOver world;
  const History history = world.history();
  ASSERT_EQ(history.members.size(), 2u);
  EXPECT_EQ(history.members[0].node, world.members[1]);
  EXPECT_EQ(history.members[0].member, 1u);
  EXPECT_EQ(history.members[1].node, world.members[0]);
  EXPECT_EQ(history.members[1].member, 0u);
  ASSERT_EQ(history.runs.size(), 1u);
  EXPECT_EQ(history.runs[0].count, 1u);
}

TEST(GangHistory, FindsTheNodesOfARunThatIsOverUntilItIsPruned) {
  const GangOver world;
  const Scratch scratch;
  const std::unique_ptr<StoreFile> file = std::move(StoreFile::open(scratch.path())).value();
  TurnRecord turn;
  turn.sequence = 1;
  turn.facts = "facts";
  turn.history = world.history();
  file->append(turn);
  const auto found = [&] { return file->find_run({world.job, 0}, 0).value().value(); };
  EXPECT_EQ(found().members, world.members);
  Prune what;
  what.before_us = world.state.wall_us(world.now) + 1'000'000;
  HistoryPrune prune(what);
  while (!file->step(prune).value()) {
  }
  EXPECT_FALSE(file->find_run({world.job, 0}, 0).value().has_value());
}

}  // namespace
}  // namespace leat::store
