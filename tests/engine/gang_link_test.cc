#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/engine/link_world.h"

namespace leat::engine {
namespace {

using Texts = std::vector<std::string>;

// Gangs of two nodes, and what their agents have heard. The first member is on `primary`.
struct GangLinks : Links {
  GangLinks() {
    for (const NodeRef ref : {node(), node()}) sessions[ref] = join(ref, heard[ref], 1);
  }

  JobId gangs(std::uint64_t tasks = 1) {
    store::SpecMessage message(tasks);
    message.stage().getMembers()[0].setCount(2);
    message.stage().getMembers()[0].setSpread(schema::Member::Spread::DISTINCT_NODES);
    message.stage().initGang().setLaunch(schema::GangSpec::Launch::APPLICATION);
    const auto answer = head.ask(core::Submit{"gangs", {}, message.read().value()});
    EXPECT_TRUE(answer.ok());
    const JobId job = std::get<JobId>(answer.value());
    const core::Gang* gang = head.engine.state().gang({job, 0}, 0);
    EXPECT_NE(gang, nullptr);
    primary = gang->nodes.front();
    other = gang->nodes.back();
    return job;
  }

  Texts started(NodeRef ref) {
    Texts all;
    for (const Heard::Start& start : heard[ref].starts)
      all.insert(all.end(), start.gangs.begin(), start.gangs.end());
    return all;
  }

  std::map<NodeRef, Heard> heard;
  std::map<NodeRef, std::uint64_t> sessions;
  NodeRef primary;
  NodeRef other;
};

TEST(GangLink, StartsTheOthersWhenTheFirstMemberSaysWhereItIs) {
  GangLinks world;
  for (auto& [ref, heard] : world.heard) heard.hub = "node-" + std::to_string(ref.id.value) + ":5";
  // Whoever is asked answers with itself; the head asks the first member alone.
  world.gangs();
  world.head.settle();
  EXPECT_EQ(world.started(world.primary), (Texts{"0 of 2 at "}));
  EXPECT_EQ(world.started(world.other), (Texts{"1 of 2 at " + world.heard[world.primary].hub}));
}

TEST(GangLink, KeepsTheOthersWaitingUntilThen) {
  GangLinks world;
  world.gangs();
  world.head.settle();
  EXPECT_EQ(world.started(world.primary), (Texts{"0 of 2 at "}));
  EXPECT_EQ(world.started(world.other), Texts{});
  // The first member's agent begins anew, and has an answer this time.
  world.heard[world.primary].hub = "here:1";
  world.join(world.primary, world.heard[world.primary], 1);
  world.head.settle();
  EXPECT_EQ(world.started(world.other), (Texts{"1 of 2 at here:1"}));
}

TEST(GangLink, StartsNobodyOfAGangThatIsBroken) {
  GangLinks world;
  const JobId job = world.gangs();
  const core::RunSet run{{job, 0}, 1, IndexList(Stride{0})};
  world.links.carry_out(core::StartRuns{world.other, run, 1,
                                        std::make_shared<const std::vector<NodeRef>>(
                                            std::vector<NodeRef>{world.primary, world.other})});
  RunColumns failed;
  failed.code = Column<std::int32_t>(1);
  EXPECT_TRUE(world.head
                  .ask(core::ReportEnded{
                      world.primary, world.sessions[world.primary], {{run, failed, std::nullopt}}})
                  .ok());
  world.links.gang_begun({job, 0, 1, 0}, {"late:1", "", "", ""});
  world.head.settle();
  EXPECT_EQ(world.started(world.other), Texts{});
  ASSERT_EQ(world.heard[world.other].ends.size(), 1u);
  EXPECT_EQ(world.heard[world.other].ends[0].runs, run);
}

TEST(GangLink, TellsAMemberThatComesBackWhereTheGangIs) {
  GangLinks world;
  for (auto& [ref, heard] : world.heard) heard.hub = "here:1";
  world.gangs();
  world.head.settle();
  world.join(world.other, world.heard[world.other], 1);
  world.head.settle();
  EXPECT_EQ(world.started(world.other), (Texts{"1 of 2 at here:1", "1 of 2 at here:1"}));
}

TEST(GangLink, ForgetsWhereGangsWereThatAreOver) {
  GangLinks world;
  for (auto& [ref, heard] : world.heard) heard.hub = "here:1";
  const JobId job = world.gangs(300);
  for (Index index = 0; index < 300; ++index) {
    const core::RunSet run{{job, 0}, 1, IndexList(Stride{index})};
    for (const NodeRef ref : {world.primary, world.other})
      world.report(ref, world.sessions[ref], run);
    world.head.settle();
  }
  EXPECT_EQ(world.started(world.other).size(), 300u);
  EXPECT_LE(world.links.gangs().size(), 65u);
}

}  // namespace
}  // namespace leat::engine
