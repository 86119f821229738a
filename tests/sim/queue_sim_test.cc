#include <gtest/gtest.h>

#include "tests/sim/queue_world.h"
#include "tests/sim/seeds.h"

namespace leat::sim {
namespace {

QueuePlan plan_of(std::uint64_t seed) {
  QueuePlan plan;
  plan.seed = seed;
  plan.losses = seed % 2 == 0;
  plan.unlimited = seed % 3 == 0;
  return plan;
}

TEST(QueueOfGangs, KeepsEveryPromiseAndStarvesNobody) {
  const Seeds seeds = seeds_or(200);
  std::uint64_t gangs = 0;
  std::uint64_t kept = 0;
  std::uint64_t backfilled = 0;
  run_seeds(seeds, "QueueOfGangs.Keeps", [&](std::uint64_t seed) {
    QueueWorld world(plan_of(seed));
    const auto complaints = world.run();
    gangs += world.gangs_started();
    kept += world.promises_kept();
    backfilled += world.backfilled();
    return complaints;
  });
  std::printf("%llu seeds: %llu gangs, %llu of them by a promise, %llu sets backfilled\n",
              static_cast<unsigned long long>(seeds.count), static_cast<unsigned long long>(gangs),
              static_cast<unsigned long long>(kept), static_cast<unsigned long long>(backfilled));
  // Or it proves nothing.
  EXPECT_GT(kept, seeds.count * 5);
  EXPECT_GT(backfilled, seeds.count * 5);
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
