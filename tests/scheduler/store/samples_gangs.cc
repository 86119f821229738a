// samples_gangs.cc - facts and rows about gangs.

#include "tests/scheduler/store/samples_gangs.h"

#include "tests/scheduler/store/samples.h"

namespace leat::store {
namespace {

RunRow sample_row() {
  RunRow row;
  row.outcome = Outcome::kSignal;
  row.code = 9;
  row.start_us = 1'000'001;
  row.duration_us = 2'000'002;
  row.cpu_us = 3'000'003;
  row.peak_kib = -4'004;
  row.output_bytes = 5'005;
  row.flags = RunColumns::kOutputCut;
  return row;
}

core::Blob sample_blob() {
  core::Blob blob;
  blob.hash[0] = 7;
  blob.hash[31] = 8;
  blob.length = 4096;
  return blob;
}

}  // namespace

std::map<std::string, core::Fact> sample_gang_facts() {
  const NodeRef first{NodeId{5}, NodeEpoch{9}};
  const NodeRef second{NodeId{6}, NodeEpoch{11}};
  return {
      {"gang-placed", core::GangPlaced{{JobId{17}, 2}, 3, 44, {first, second}}},
      {"member-ended",
       core::MemberEnded{{JobId{17}, 2}, 3, 44, second, to_columns({sample_row()}), sample_blob()}},
  };
}

core::Gang sample_gang() {
  core::Gang gang;
  gang.attempt = 3;
  gang.placed = Time{Duration{1234}};
  for (std::uint32_t n = 0; n < 5; ++n) gang.nodes.push_back({NodeId{n + 1}, NodeEpoch{n + 100}});
  gang.live.insert({0, 1});
  gang.live.insert({4, 4});
  gang.sum = sample_row();
  gang.broken = true;
  gang.culprit = 3;
  gang.result = sample_blob();
  return gang;
}

core::Node sample_node_with_time() {
  core::Node node = sample_node();
  node.allotments.begin()->second.until = Time{Duration{987'654}};
  node.placed = Time{Duration{4321}};
  return node;
}

core::Fact random_gang_fact(std::size_t kind, Random& random) {
  const auto number = [&random] { return random.next() >> (random.below(63) + 1); };
  const auto node = [&] {
    return NodeRef{NodeId{static_cast<std::uint32_t>(random.next())}, NodeEpoch{number()}};
  };
  const StageRef stage{JobId{number()}, static_cast<StageId>(random.below(64))};
  const auto attempt = static_cast<Attempt>(random.next());
  if (kind == 29) {
    core::GangPlaced fact{stage, attempt, number(), {}};
    for (std::uint64_t n = 1 + random.below(9); n > 0; --n) fact.nodes.push_back(node());
    return fact;
  }
  core::MemberEnded fact{stage, attempt, number(), node(), {}, {}};
  RunRow row = sample_row();
  row.outcome = static_cast<Outcome>(random.below(13));
  row.cpu_us = static_cast<std::int64_t>(number());
  fact.columns = to_columns({row});
  if (random.chance(50)) fact.result = sample_blob();
  return fact;
}

}  // namespace leat::store
