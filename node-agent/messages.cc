#include "node-agent/messages.h"

namespace leat::agent {

std::uint64_t ReportBatch::run_count() const {
  std::uint64_t count = 0;
  for (const Ended& e : ended) count += e.runs.indices.size();
  return count;
}

}  // namespace leat::agent
