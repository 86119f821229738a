#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/sim/queue_world.h"

// LEAT_SIM_SEEDS=N and LEAT_SIM_FIRST=S choose the seeds; docs/testing.md.

namespace leat::sim {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

QueuePlan plan_of(std::uint64_t seed) {
  QueuePlan plan;
  plan.seed = seed;
  plan.losses = seed % 2 == 0;
  plan.unlimited = seed % 3 == 0;
  return plan;
}

TEST(QueueOfGangs, KeepsEveryPromiseAndStarvesNobody) {
  const std::uint64_t first = setting("LEAT_SIM_FIRST", 1);
  const std::uint64_t seeds = setting("LEAT_SIM_SEEDS", 50);
  std::uint64_t gangs = 0;
  std::uint64_t kept = 0;
  std::uint64_t backfilled = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    QueueWorld world(plan_of(seed));
    const auto complaints = world.run();
    ASSERT_TRUE(complaints.empty())
        << "seed " << seed << ": " << complaints.front() << " (and " << complaints.size() - 1
        << " more)\nreplay: LEAT_SIM_FIRST=" << seed
        << " LEAT_SIM_SEEDS=1 sim_test --gtest_filter=QueueOfGangs.Keeps*";
    gangs += world.gangs_started();
    kept += world.promises_kept();
    backfilled += world.backfilled();
  }
  std::printf("%llu seeds: %llu gangs, %llu of them by a promise, %llu sets backfilled\n",
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(gangs),
              static_cast<unsigned long long>(kept), static_cast<unsigned long long>(backfilled));
  // Or it proves nothing.
  EXPECT_GT(kept, seeds * 5);
  EXPECT_GT(backfilled, seeds * 5);
}

class QueueFaults : public testing::TestWithParam<QueueFault> {};

TEST_P(QueueFaults, AreCaughtWithin50Seeds) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    QueuePlan plan = plan_of(seed);
    plan.fault = GetParam();
    QueueWorld world(plan);
    const auto complaints = world.run();
    if (complaints.empty()) continue;
    std::printf("caught by seed %llu: %s\n", static_cast<unsigned long long>(seed),
                complaints.front().c_str());
    return;
  }
  FAIL() << "50 seeds did not notice";
}

INSTANTIATE_TEST_SUITE_P(All, QueueFaults,
                         testing::Values(QueueFault::kIgnoreReservations, QueueFault::kHoldParts),
                         [](const auto& test) {
                           return test.param == QueueFault::kHoldParts ? "HoldPartsOfAGang"
                                                                       : "BackfillPastAReservation";
                         });

}  // namespace
}  // namespace leat::sim
