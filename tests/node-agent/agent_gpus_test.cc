#include <gtest/gtest.h>

#include "node-agent/gpus.h"
#include "node-agent/topology.h"

namespace leat::agent {
namespace {

using Names = std::vector<std::string>;

std::string file(const std::string& name) {
  return std::string(LEAT_TEST_DIRECTORY) + "/topologies/" + name;
}

TEST(Gpus, AreFoundOncePerCardAndScreensAreNone) {
  EXPECT_EQ(count_gpus(file("two_gpus.xml")), 2u);
  EXPECT_EQ(count_gpus(file("one_socket.xml")), 0u);
  EXPECT_EQ(count_gpus(file("not_there.xml")), 0u);
}

TEST(Gpus, AreThoseDeclaredOrElseThoseFound) {
  EXPECT_EQ(gpu_names({2, 0, 0, std::nullopt}), (Names{"0", "1"}));
  EXPECT_EQ(gpu_names({2, 4, 0, std::nullopt}), (Names{"4", "5"}));
  EXPECT_EQ(gpu_names({0, 0, 8, std::nullopt}), Names{});
  EXPECT_EQ(gpu_names({std::nullopt, 0, 3, std::nullopt}), (Names{"0", "1", "2"}));
  EXPECT_EQ(gpu_names({1000, 0, 0, std::nullopt}).size(), kGpusMax);
}

TEST(Gpus, AreNeverMoreThanTheAgentWasGiven) {
  EXPECT_EQ(gpu_names({std::nullopt, 0, 8, "5,2"}), (Names{"5", "2"}));
  EXPECT_EQ(gpu_names({std::nullopt, 0, 8, "GPU-ab,MIG-cd"}), (Names{"GPU-ab", "MIG-cd"}));
  EXPECT_EQ(gpu_names({std::nullopt, 0, 8, ""}), Names{});
  EXPECT_EQ(gpu_names({std::nullopt, 0, 8, "-1"}), Names{});
  EXPECT_EQ(gpu_names({std::nullopt, 0, 8, "3,-1,4"}), Names{"3"});
  EXPECT_EQ(gpu_names({4, 0, 8, "7,6"}), (Names{"7", "6"}));
  EXPECT_EQ(gpu_names({1, 1, 8, "7,6"}), Names{"6"});
}

TEST(GpuPool, GivesEachDeviceToOneRunAtATime) {
  GpuPool pool({"4", "5", "7"});
  const auto first = pool.take(2);
  ASSERT_TRUE(first);
  EXPECT_EQ(pool.list(*first), "4,5");
  EXPECT_FALSE(pool.take(2));
  const auto second = pool.take(1);
  ASSERT_TRUE(second);
  EXPECT_EQ(pool.list(*second), "7");
  pool.give_back(*first);
  EXPECT_EQ(pool.list(*pool.take(1)), "4");
  EXPECT_EQ(pool.list(0), "");
}

TEST(GpuPool, LeavesAloneWhatAnAdoptedRunHas) {
  GpuPool pool({"0", "1"});
  pool.claim(0b01);
  EXPECT_EQ(pool.list(*pool.take(1)), "1");
  EXPECT_FALSE(pool.take(1));
}

}  // namespace
}  // namespace leat::agent
