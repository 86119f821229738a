#include "scheduler/core/mpi_versions.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "base/labels.h"

namespace leat::core {
namespace {

std::string version_text(std::optional<std::string_view> version, const char* none) {
  return version ? std::string(*version) : none;
}

// "nodes 1, 2 and 6 more have 40.30.4".
std::string share_text(const LabelShare& share) {
  std::string text = share.count == 1 ? "node " : "nodes ";
  for (std::size_t n = 0; n < share.some.size(); ++n)
    text += (n == 0 ? "" : ", ") + std::to_string(share.some[n].value);
  if (share.count > share.some.size())
    text += " and " + std::to_string(share.count - share.some.size()) + " more";
  return text + (share.count == 1 ? " has " : " have ") + version_text(share.value, "none");
}

}  // namespace

std::string mpi_difference(const State& state, const Node& node) {
  constexpr std::size_t kNamed = 8;
  const auto own = label_value(node.report.labels, kMpiLabel);
  const std::vector<LabelShare> shares = state.capacity().shares(node.pool, kMpiLabel);
  const Pool* pool = state.pool(node.pool);
  const auto same = std::find_if(shares.begin(), shares.end(),
                                 [&own](const LabelShare& share) { return share.value == own; });
  if (same == shares.end() || shares.size() < 2 || pool == nullptr) return {};
  const bool outnumbered = std::any_of(shares.begin(), shares.end(), [&](const LabelShare& share) {
    return share.value && share.value != own && share.count >= same->count;
  });
  if (same->count > 1 && !outnumbered) return {};
  std::string others;
  std::size_t named = 0;
  for (const LabelShare& share : shares) {
    if (share.value == own || ++named > kNamed) continue;
    others += (others.empty() ? "" : ", ") + share_text(share);
  }
  return "node " + std::to_string(node.ref.id.value) + " has " +
         (own ? "Open MPI " + std::string(*own) : std::string("no Open MPI")) + "; in pool \"" +
         pool->spec.name + "\" " + others +
         (own ? ": the ranks of one program run on nodes of one version"
              : ": no ranks are started on it");
}

}  // namespace leat::core
