#include "tests/scheduler/store/samples_pools.h"

#include "base/check.h"
#include "tests/scheduler/store/samples.h"

namespace leat::store {

core::Hash hash_from(std::uint8_t first) {
  core::Hash hash{};
  for (std::size_t n = 0; n < hash.size(); ++n) hash[n] = static_cast<std::uint8_t>(first + n);
  return hash;
}

NodeRef node_ref(std::uint32_t id, std::uint64_t epoch) {
  return {NodeId{id}, NodeEpoch{epoch}};
}

std::string random_text(Random& random) {
  std::string text;
  for (std::uint64_t n = random.below(40); n > 0; --n) text += static_cast<char>(random.below(256));
  return text;
}

namespace {

core::PoolSpec sample_elastic_spec() {
  core::PoolSpec spec{"elastic", "local", {1, 12}, core::Resources{4000, 8ull << 30, 0}, {"west"}};
  spec.idle_timeout = Duration{30'000'000};
  spec.join_deadline = Duration{45'000'000};
  spec.for_job = JobId{17};
  return spec;
}

}  // namespace

core::Pool sample_elastic_pool() {
  core::Pool pool;
  pool.id = PoolId{3};
  pool.state = core::PoolState::kPaused;
  pool.spec = sample_elastic_spec();
  pool.key = "key-pool";
  pool.failures = 3;
  pool.failed_at = Time{Duration{21}};
  pool.trouble = "it did not join within 45 s";
  pool.probe_at = Time{Duration{22}};
  pool.probe_pause = Duration{23};
  pool.recall_at = Time{Duration{24}};
  pool.seen = core::Resources{3000, 7ull << 30, 1};
  return pool;
}

std::map<std::string, core::Fact> sample_pool_facts() {
  using namespace core;
  const Principal actor{1000, "head.example", "user:1000"};
  return {
      {"pool-removed", PoolRemoved{PoolId{3}}},
      {"pool-set-elastic", PoolSet{PoolId{4}, sample_elastic_spec(), actor, "key-elastic"}},
      {"nodes-requested",
       NodesRequested{
           node_ref(6, 10), PoolId{4}, {hash_from(1), hash_from(2)}, Time{Duration{77}}}},
      {"duty-changed", DutyChanged{{node_ref(5, 9), node_ref(6, 10)},
                                   DutyStep::kLeave,
                                   "removed by a person",
                                   Time{Duration{88}},
                                   actor,
                                   "key-leave"}},
      {"runs-recalled", RunsRecalled{node_ref(5, 9)}},
      {"nodes-deleting", NodesDeleting{{node_ref(5, 9), node_ref(6, 10)},
                                       DeleteCause::kNoJoin,
                                       "it did not join within 120 s",
                                       actor,
                                       "key-delete"}},
      {"pool-paused",
       PoolPaused{PoolId{4}, "3 nodes in a row", Time{Duration{99}}, actor, "key-pause"}},
      {"pool-reopened", PoolReopened{PoolId{4}, actor, "key-open"}},
      {"pool-deleting", PoolDeleting{PoolId{4}, "by a person", kNever, actor, "key-end"}},
      {"wish-granted", WishGranted{WishKind::kHold, "key-hold", actor, Done{}}},
      {"wish-granted-node",
       WishGranted{WishKind::kDrainNode, "key-drain", actor, Answer(node_ref(5, 9))}},
  };
}

void fill(core::GrantedWishes& wishes) {
  using namespace core;
  for (std::uint64_t n = 0; n < 3; ++n)
    LEAT_CHECK(wishes.restore(70 + n, {static_cast<WishKind>(n), "key-" + std::to_string(n),
                                       Time{Duration{static_cast<std::int64_t>(500 + n)}},
                                       n == 0 ? Answer(JobId{17}) : Answer(Done{})}));
  LEAT_CHECK(
      wishes.restore(73, {WishKind::kSetPool, "key-pool", Time{Duration{503}}, Answer(PoolId{3})}));
  LEAT_CHECK(wishes.restore(
      74, {WishKind::kRemoveNode, "key-node", Time{Duration{504}}, Answer(node_ref(5, 9))}));
}

namespace {

core::Answer random_answer(core::WishKind wish, Random& random) {
  const auto number = static_cast<std::uint32_t>(random.next());
  if (wish == core::WishKind::kSubmit) return JobId{number};
  switch (random.below(5)) {
    case 0:
      return Done{};
    case 1:
      return PoolId{number};
    case 2:
      return node_ref(number, random.next());
    case 3:
      return random.next();
    default:
      return JobId{random.next()};
  }
}

}  // namespace

core::Fact random_pool_fact(std::size_t kind, Random& random) {
  using namespace core;
  const auto number = [&random] { return random.next() >> (random.below(63) + 1); };
  const auto time = [&] { return Time{Duration{static_cast<std::int64_t>(number())}}; };
  const PoolId pool{static_cast<std::uint32_t>(random.next())};
  const Principal actor{static_cast<std::uint32_t>(random.next()), random_text(random),
                        random_text(random)};
  std::vector<NodeRef> nodes(random.below(5));
  for (NodeRef& node : nodes) node = node_ref(static_cast<std::uint32_t>(random.next()), number());
  switch (kind) {
    case 16:
      return PoolRemoved{pool};
    case 17:
      return NodesRequested{node_ref(7, number()), pool,
                            std::vector<Hash>(random.below(4), hash_from(9)), time()};
    case 18:
      return DutyChanged{nodes,
                         static_cast<DutyStep>(random.below(5)),
                         random_text(random),
                         time(),
                         actor,
                         random_text(random)};
    case 19:
      return RunsRecalled{node_ref(7, number())};
    case 20:
      return NodesDeleting{nodes, static_cast<DeleteCause>(random.below(kDeleteCauseCount)),
                           random_text(random), actor, random_text(random)};
    case 21:
      return PoolPaused{pool, random_text(random), time(), actor, random_text(random)};
    case 22:
      return PoolReopened{pool, actor, random_text(random)};
    case 28: {
      const auto wish = static_cast<WishKind>(random.below(kWishKindCount));
      return WishGranted{wish, random_text(random), actor, random_answer(wish, random)};
    }
    default:
      LEAT_CHECK(kind == 23);
      return PoolDeleting{pool, random_text(random), time(), actor, random_text(random)};
  }
}

core::Resources random_resources(Random& random) {
  core::Resources resources;
  resources.millicores = static_cast<std::uint32_t>(random.next());
  resources.memory_bytes = random.next();
  resources.gpus = static_cast<std::uint32_t>(random.below(kGpusMax + 1));
  for (const char* name : {"licence", "scratch"})
    if (random.chance(30)) resources.counters.push_back({name, 1 + random.below(99)});
  return resources;
}

void adorn(core::PoolSpec& spec, Random& random) {
  spec.tasks_per_node = static_cast<std::uint32_t>(random.next());
  if (random.chance(50)) spec.packing = core::Packing::kSpread;
  spec.keeps_memory_limits = random.chance(50);
}

}  // namespace leat::store
