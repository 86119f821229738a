#include "node-agent/rank_binding.h"

#include <algorithm>

namespace leat::agent {
namespace {

std::uint32_t place_of(const CoreSite& core, GangSpec::BindTo to) {
  return to == GangSpec::BindTo::kNuma ? core.numa : core.socket;
}

void add(std::vector<std::uint32_t>& to, const CoreSite& core) {
  to.insert(to.end(), core.processors.begin(), core.processors.end());
}

}  // namespace

std::vector<std::vector<std::uint32_t>> bind_ranks(const GangSpec& gang, std::size_t ranks,
                                                   const std::vector<CoreSite>& cores) {
  std::vector<std::vector<std::uint32_t>> bound(ranks);
  const std::size_t each = gang.cores_per_rank > 0 ? gang.cores_per_rank
                                                   : cores.size() / std::max<std::size_t>(ranks, 1);
  if (gang.bind == GangSpec::Bind::kNone || each == 0 || each * ranks > cores.size()) return bound;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const std::size_t first =
        gang.bind == GangSpec::Bind::kSpread ? rank * cores.size() / ranks : rank * each;
    const auto own = cores.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = own + static_cast<std::ptrdiff_t>(each);
    for (const CoreSite& core : cores) {
      const bool wanted =
          gang.bind_to == GangSpec::BindTo::kCore
              ? std::any_of(own, end, [&](const CoreSite& mine) { return &mine == &core; })
              : std::any_of(own, end, [&](const CoreSite& mine) {
                  return place_of(mine, gang.bind_to) == place_of(core, gang.bind_to);
                });
      if (wanted) add(bound[rank], core);
    }
  }
  return bound;
}

}  // namespace leat::agent
