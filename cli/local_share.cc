#include "cli/local_share.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

namespace leat::cli {
namespace {

constexpr std::uint64_t kMebibyte = 1 << 20;

std::uint32_t cores_of_machine() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const bool known = ::sched_getaffinity(0, sizeof mask, &mask) == 0;
  return known ? static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&mask))) : 1;
}

std::uint64_t memory_of_machine() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

}  // namespace

void complete_local(definitions::PoolDefinition& pool) {
  if (pool.provider != "local") return;
  const std::uint32_t nodes = std::max(1u, pool.nodes_max());
  if (!pool.millicores) pool.millicores = std::max(1u, cores_of_machine() / nodes) * 1000;
  if (!pool.memory_bytes) pool.memory_bytes = memory_of_machine() / nodes / kMebibyte * kMebibyte;
}

}  // namespace leat::cli
