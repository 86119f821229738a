#include "mpi-tasks/collectives.h"

#include <algorithm>
#include <utility>

namespace leat::mpi {

GatheringKey key_of(const Message& message) {
  return {message.gathering, message.ranks, message.id};
}

Result<std::optional<Collectives::Outcome>> Collectives::add(NodeIndex from,
                                                             const Message& contribution) {
  for (const Rank rank : contribution.ranks)
    if (!layout_.has(rank)) return invalid("a fence with rank " + std::to_string(rank));
  GatheringKey key = key_of(contribution);
  auto at = rounds_.find(key);
  if (at == rounds_.end()) {
    if (open() >= kOpenMax) return invalid("too many fences at once");
    Round fresh;
    fresh.involved = tree_.branches(self_, layout_.nodes_of(key.ranks));
    fresh.collects = contribution.flag;
    at = rounds_.emplace(std::move(key), std::move(fresh)).first;
  }
  Round& round = at->second;
  if (!std::binary_search(round.involved.begin(), round.involved.end(), from))
    return invalid("a fence that node " + std::to_string(from) + " has no part in");
  if (std::find(round.arrived.begin(), round.arrived.end(), from) != round.arrived.end())
    return invalid("node " + std::to_string(from) + " came twice to one fence");
  round.arrived.push_back(from);
  std::int32_t status = contribution.status;
  // libpmix would misread bytes gathered under two meanings.
  if (status == kPmixSuccess && contribution.flag != round.collects)
    status = kPmixErrorBadParameter;
  if (round.status == kPmixSuccess) round.status = status;
  round.bytes += contribution.bytes;
  if (round.bytes.size() > kMessageBytesMax / 2) return invalid("a fence with too much data");
  if (round.arrived.size() < round.involved.size()) return std::optional<Outcome>();
  Outcome outcome{std::move(round.involved), round.status, round.collects, std::move(round.bytes)};
  if (outcome.status != kPmixSuccess) outcome.bytes.clear();
  rounds_.erase(at);
  return std::optional(std::move(outcome));
}

}  // namespace leat::mpi
