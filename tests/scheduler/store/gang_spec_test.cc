#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/scheduler/store/specs.h"

namespace leat::store {
namespace {

using Gang = schema::GangSpec;

// A gang of three nodes.
struct GangMessage : SpecMessage {
  GangMessage() : SpecMessage(1) {
    stage().getMembers()[0].setCount(3);
    stage().getMembers()[0].setSpread(schema::Member::Spread::DISTINCT_NODES);
    stage().initGang();
  }
};

void ranks(SpecMessage& message, const std::vector<std::uint32_t>& each) {
  auto list = message.stage().getGang().initRanksPerNode(static_cast<unsigned>(each.size()));
  for (unsigned n = 0; n < list.size(); ++n) list.set(n, each[n]);
}

TEST(GangSpec, IsReadAsMembersOnNodesOfTheirOwn) {
  GangMessage message;
  ranks(message, {4, 2, 1});
  const core::JobSpec spec = message.read().value();
  EXPECT_TRUE(spec.stages[0].gang);
  EXPECT_EQ(spec.stages[0].nodes, 3u);
}

TEST(GangSpec, GoesToNodesOfOneMpiOnlyIfItIsThatWeStart) {
  const auto in_common = [](Gang::Launch launch) {
    GangMessage message;
    message.stage().getGang().setLaunch(launch);
    const core::JobSpec spec = message.read().value();
    EXPECT_EQ(spec.labels, std::vector<Requirement>{});
    return spec.stages[0].in_common;
  };
  EXPECT_EQ(in_common(Gang::Launch::MPI), "leat:mpi");
  EXPECT_EQ(in_common(Gang::Launch::MPI_REQUIRED), "leat:mpi");
  EXPECT_EQ(in_common(Gang::Launch::PMI1), "");
  EXPECT_EQ(in_common(Gang::Launch::APPLICATION), "");
  EXPECT_EQ(SpecMessage(1).read().value().stages[0].in_common, "") << "no gang";
}

TEST(GangSpec, AsksNothingOfTheStagesBesideIt) {
  SpecMessage message(4, 2);
  auto member = message.stage().getMembers()[0];
  member.setCount(2);
  member.setSpread(schema::Member::Spread::DISTINCT_NODES);
  message.stage().initGang().setLaunch(Gang::Launch::MPI);
  const core::JobSpec spec = message.read().value();
  EXPECT_EQ(spec.labels, std::vector<Requirement>{});
  ASSERT_EQ(spec.stages.size(), 3u);
  EXPECT_EQ(spec.stages[0].in_common, "leat:mpi");
  EXPECT_EQ(spec.stages[1].in_common, "");
}

struct Bad {
  std::function<void(SpecMessage&)> spoil;
  const char* says;
};

const Bad kBad[] = {
    {[](SpecMessage& m) {
       ranks(m, {1, 2});
     },
     "ranks for 2 nodes, but there are 3"},
    {[](SpecMessage& m) {
       ranks(m, {1, 0, 1});
     },
     "a node without ranks"},
    {[](SpecMessage& m) { ranks(m, {30'000}); }, "more than 65536 ranks"},
    {[](SpecMessage& m) {
       ranks(m, {65'535, 1, 1});
     },
     "more than 65536 ranks"},
    {[](SpecMessage& m) { m.stage().getGang().initCoordination(1); },
     "the coordination command is empty"},
    {[](SpecMessage& m) {
       m.stage().getGang().initCoordination(1).set(0, kj::StringPtr("a\0b", 3));
     },
     "the coordination command contains a zero byte"},
    {[](SpecMessage& m) { m.stage().getGang().setInterfaces(kj::str(kj::repeat('e', 1025))); },
     "the list of interfaces makes no sense"},
    {[](SpecMessage& m) { m.stage().getGang().setLaunch(static_cast<Gang::Launch>(9)); },
     "a gang that is started or bound in a newer way: not in this version"},
};

TEST(GangSpec, IsRefusedWithTheReason) {
  for (const Bad& bad : kBad) {
    GangMessage message;
    bad.spoil(message);
    const Result<core::JobSpec> read = message.read();
    ASSERT_FALSE(read.ok()) << bad.says;
    EXPECT_EQ(read.refusal().message, bad.says);
  }
}

}  // namespace
}  // namespace leat::store
