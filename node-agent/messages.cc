#include "node-agent/messages.h"

#include "base/check.h"

namespace leat::agent {
namespace {

template <typename T>
T element(const std::vector<T>& column, std::size_t position) {
  if (column.empty()) return T{};
  if (column.size() == 1) return column.front();
  LEAT_CHECK(position < column.size());
  return column[position];
}

}  // namespace

RunResult RunColumns::at(std::size_t position) const {
  RunResult row;
  row.outcome = element(outcome, position);
  row.code = element(code, position);
  row.start_us = element(start_us, position);
  row.duration_us = element(duration_us, position);
  row.cpu_us = element(cpu_us, position);
  row.peak_kib = element(peak_kib, position);
  row.output_bytes = element(output_bytes, position);
  row.flags = element(flags, position);
  return row;
}

std::uint64_t ReportBatch::run_count() const {
  std::uint64_t count = 0;
  for (const Ended& e : ended) count += e.runs.indices.size();
  return count;
}

}  // namespace leat::agent
