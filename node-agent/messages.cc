#include "node-agent/messages.h"

namespace leat::agent {

std::uint64_t ReportBatch::run_count() const {
  std::uint64_t count = 0;
  for (const Ended& e : ended) count += e.runs.indices.size();
  return count;
}

std::uint32_t GangSpec::ranks_on(std::size_t member) const {
  if (ranks_per_node.empty()) return 1;
  return ranks_per_node.size() == 1 ? ranks_per_node.front() : ranks_per_node.at(member);
}

}  // namespace leat::agent
