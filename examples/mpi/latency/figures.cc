#include "examples/mpi/latency/figures.h"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>

namespace latency {
namespace {

using Json = nlohmann::ordered_json;

// REQUIRES of both: there is a pair.
const PairRow& slowest(const std::vector<PairRow>& pairs) {
  return *std::max_element(pairs.begin(), pairs.end(), [](const auto& left, const auto& right) {
    return left.latency_us < right.latency_us;
  });
}
const PairRow& narrowest(const std::vector<PairRow>& pairs) {
  return *std::min_element(pairs.begin(), pairs.end(), [](const auto& left, const auto& right) {
    return left.bandwidth_mb_s < right.bandwidth_mb_s;
  });
}

Json json_of(const PairRow& row) {
  return {{"pair", {row.pair.first, row.pair.second}},
          {"latency_us", row.latency_us},
          {"bandwidth_mb_s", row.bandwidth_mb_s}};
}

std::ostream& operator<<(std::ostream& to, const Pair& pair) {
  return to << "ranks " << pair.first << " and " << pair.second;
}

}  // namespace

void print_json(std::ostream& to, const Figures& figures) {
  Json all{{"version", 1}, {"ranks", figures.ranks}, {"pair", {0, 1}}, {"sizes", Json::array()}};
  for (const Row& row : figures.sizes) {
    all["sizes"].push_back({{"bytes", row.bytes}, {"latency_us", row.latency_us}});
    if (row.bytes > 0) all["sizes"].back()["bandwidth_mb_s"] = row.bandwidth_mb_s;
  }
  if (!figures.pairs.empty()) {
    Json& pairs = all["pairs"];
    pairs = {{"latency_bytes", kPairLatencyBytes}, {"bandwidth_bytes", kPairBandwidthBytes}};
    pairs["slowest"] = json_of(slowest(figures.pairs));
    pairs["narrowest"] = json_of(narrowest(figures.pairs));
    for (const PairRow& row : figures.pairs) pairs["all"].push_back(json_of(row));
  }
  to << all.dump(2) << '\n';
}

void print_table(std::ostream& to, const Figures& figures) {
  to << "ranks 0 and 1 of " << figures.ranks << '\n'
     << "     bytes   latency us bandwidth MB/s\n"
     << std::fixed << std::setprecision(2);
  for (const Row& row : figures.sizes) {
    to << std::setw(10) << row.bytes << ' ' << std::setw(12) << row.latency_us;
    if (row.bytes > 0) to << ' ' << std::setw(14) << row.bandwidth_mb_s;
    to << '\n';
  }
  if (figures.pairs.empty()) return;
  const PairRow& slow = slowest(figures.pairs);
  const PairRow& narrow = narrowest(figures.pairs);
  to << "worst of all pairs: " << kPairLatencyBytes << " bytes " << slow.latency_us << " us ("
     << slow.pair << "), " << kPairBandwidthBytes << " bytes " << narrow.bandwidth_mb_s << " MB/s ("
     << narrow.pair << ")\n";
}

}  // namespace latency
