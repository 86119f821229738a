#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "node-agent/topology.h"

namespace leat::agent {
namespace {

using Processors = std::vector<std::uint32_t>;

std::string file(const std::string& name) {
  return std::string(LEAT_TEST_DIRECTORY) + "/topologies/" + name;
}

Topology load(const std::string& name, const Share& share = {}) {
  Result<Topology> topology = Topology::from_xml(file(name), share);
  EXPECT_TRUE(topology.ok()) << topology.refusal().message;
  return std::move(topology).value();
}

TEST(Topology, OffersTheWholeMachineUnlessToldOtherwise) {
  const Topology one = load("one_socket.xml");
  EXPECT_EQ(one.millicores(), 4000u);
  EXPECT_GT(one.memory_bytes(), 7'000'000'000u);
  EXPECT_EQ(load("two_numa.xml").millicores(), 8000u);  // 16 hyperthreads
}

TEST(Topology, OffersAShareButNeverMoreThanThereIs) {
  const Topology half = load("one_socket.xml", {1500, 1 << 20, std::nullopt});
  EXPECT_EQ(half.millicores(), 1500u);
  EXPECT_EQ(half.memory_bytes(), 1u << 20);
  const Topology much = load("one_socket.xml", {64000, ~std::uint64_t{0}, std::nullopt});
  EXPECT_EQ(much.millicores(), 4000u);
  EXPECT_LT(much.memory_bytes(), std::uint64_t{1} << 40);
}

TEST(Topology, TellsMachinesApart) {
  EXPECT_EQ(load("one_socket.xml").hash(), load("one_socket.xml").hash());
  EXPECT_NE(load("one_socket.xml").hash(), load("two_numa.xml").hash());
}

TEST(Topology, GivesTheLowestFreeCoreWithAllItsHyperthreads) {
  Topology node = load("two_numa.xml");
  EXPECT_EQ(node.take_cores(1), (Processors{0, 1}));
  EXPECT_EQ(node.take_cores(1), (Processors{2, 3}));
  node.free_cores({0, 1});
  EXPECT_EQ(node.take_cores(1), (Processors{0, 1}));
}

TEST(Topology, KeepsARunOnOneSocketIfOneHasRoom) {
  Topology node = load("two_numa.xml");
  EXPECT_EQ(node.take_cores(3), (Processors{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(node.take_cores(2), (Processors{8, 9, 10, 11}));
  // One is left on the first socket, which is the tighter place for one more.
  EXPECT_EQ(node.take_cores(1), (Processors{6, 7}));
  EXPECT_EQ(node.take_cores(3), Processors{});  // 2 are free
  EXPECT_EQ(node.take_cores(2), (Processors{12, 13, 14, 15}));
}

TEST(Topology, SpreadsARunOverSocketsOnlyIfItMust) {
  Topology node = load("two_numa.xml");
  EXPECT_EQ(node.take_cores(6).size(), 12u);
  EXPECT_EQ(node.take_cores(2).size(), 4u);
  EXPECT_EQ(node.take_cores(1).size(), 0u);
}

TEST(Topology, BindsAShareOnlyToCoresOfItsOwn) {
  Topology own = load("one_socket.xml", {2000, 0, 2});
  EXPECT_EQ(own.take_cores(1), (Processors{2}));
  EXPECT_EQ(own.take_cores(1), (Processors{3}));
  EXPECT_EQ(own.take_cores(1), Processors{});
  Topology shared = load("one_socket.xml", {2000, 0, std::nullopt});
  EXPECT_FALSE(shared.may_bind());
  EXPECT_EQ(shared.take_cores(1), Processors{});
  Topology beyond = load("one_socket.xml", {2000, 0, 3});
  EXPECT_EQ(beyond.take_cores(1), Processors{});
}

TEST(Topology, LeavesAloneWhatAnAdoptedRunHas) {
  Topology node = load("one_socket.xml");
  node.claim_cores({0, 1});
  EXPECT_EQ(node.take_cores(1), (Processors{2}));
}

TEST(Topology, KnowsThisMachine) {
  const Result<Topology> here = Topology::discover({});
  ASSERT_TRUE(here.ok());
  EXPECT_GE(here.value().millicores(), 1000u);
  EXPECT_GT(here.value().memory_bytes(), 0u);
}

TEST(Topology, RefusesAFileThatIsNone) {
  EXPECT_FALSE(Topology::from_xml(file("missing.xml"), {}).ok());
}

}  // namespace
}  // namespace leat::agent
