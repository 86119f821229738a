#include "node-agent/rank_binding.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace leat::agent {
namespace {

using Lists = std::vector<std::vector<std::uint32_t>>;

// Eight cores of two hyperthreads; two sockets, each a NUMA domain.
std::vector<CoreSite> cores_taken(std::uint32_t count) {
  Result<Topology> topology =
      Topology::from_xml(std::string(LEAT_TEST_DIRECTORY) + "/topologies/two_numa.xml", {});
  EXPECT_TRUE(topology.ok());
  Topology machine = std::move(topology).value();
  return machine.sites_of(machine.take_cores(count));
}

GangSpec gang(GangSpec::Bind bind, GangSpec::BindTo to, std::uint32_t cores_per_rank = 1) {
  GangSpec spec;
  spec.bind = bind;
  spec.bind_to = to;
  spec.cores_per_rank = cores_per_rank;
  return spec;
}

constexpr auto kCompact = GangSpec::Bind::kCompact;
constexpr auto kSpread = GangSpec::Bind::kSpread;
constexpr auto kCore = GangSpec::BindTo::kCore;

TEST(RankBinding, PutsRanksOnCoresThatFollowEachOther) {
  EXPECT_EQ(bind_ranks(gang(kCompact, kCore), 3, cores_taken(8)), (Lists{{0, 1}, {2, 3}, {4, 5}}));
  EXPECT_EQ(bind_ranks(gang(kCompact, kCore, 2), 2, cores_taken(8)),
            (Lists{{0, 1, 2, 3}, {4, 5, 6, 7}}));
}

TEST(RankBinding, SpreadsRanksOverTheSockets) {
  EXPECT_EQ(bind_ranks(gang(kSpread, kCore), 2, cores_taken(8)), (Lists{{0, 1}, {8, 9}}));
  EXPECT_EQ(bind_ranks(gang(kSpread, kCore), 4, cores_taken(8)),
            (Lists{{0, 1}, {4, 5}, {8, 9}, {12, 13}}));
}

TEST(RankBinding, SharesTheCoresAlikeUnlessToldHowMany) {
  EXPECT_EQ(bind_ranks(gang(kCompact, kCore, 0), 2, cores_taken(8)),
            (Lists{{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11, 12, 13, 14, 15}}));
}

TEST(RankBinding, GivesADomainOnlyAsFarAsItIsTheGangs) {
  const std::vector<CoreSite> six = cores_taken(6);
  EXPECT_EQ(bind_ranks(gang(kSpread, GangSpec::BindTo::kNuma), 2, six),
            (Lists{{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}}))
      << "the third core and the first are of one domain";
  EXPECT_EQ(bind_ranks(gang(kSpread, GangSpec::BindTo::kSocket), 3, six),
            (Lists{{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11}}));
}

TEST(RankBinding, BindsNobodyWithTooFewCoresOrByWish) {
  const Lists nobody(3);
  EXPECT_EQ(bind_ranks(gang(kCompact, kCore), 3, cores_taken(2)), nobody);
  EXPECT_EQ(bind_ranks(gang(kCompact, kCore, 4), 3, cores_taken(8)), nobody);
  EXPECT_EQ(bind_ranks(gang(GangSpec::Bind::kNone, kCore), 3, cores_taken(8)), nobody);
  EXPECT_EQ(bind_ranks(gang(kCompact, kCore), 3, {}), nobody);
}

}  // namespace
}  // namespace leat::agent
