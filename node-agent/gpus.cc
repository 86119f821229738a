#include "node-agent/gpus.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace leat::agent {
namespace {

// As the CUDA runtime reads it: what stands behind something impossible does not count.
std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    const std::string_view name = list.substr(0, end);
    if (name.empty() || name.front() == '-') break;
    names.emplace_back(name);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

std::vector<std::string> numbers(std::uint64_t count) {
  std::vector<std::string> names;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(count, 2 * kGpusMax); ++i)
    names.push_back(std::to_string(i));
  return names;
}

}  // namespace

std::vector<std::string> gpu_names(const GpuFacts& facts) {
  std::vector<std::string> names;
  if (facts.visible) {
    names = split(*facts.visible);
  } else if (facts.declared) {
    names = numbers(std::uint64_t{facts.first} + *facts.declared);
  } else {
    names = numbers(facts.found);
  }
  if (facts.declared) {
    const std::size_t first = std::min<std::size_t>(facts.first, names.size());
    names.erase(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(first));
    names.resize(std::min<std::size_t>(names.size(), *facts.declared));
  }
  names.resize(std::min<std::size_t>(names.size(), kGpusMax));
  return names;
}

GpuPool::GpuPool(std::vector<std::string> names) : names_(std::move(names)) {
  LEAT_CHECK(names_.size() <= kGpusMax);
}

std::optional<std::uint64_t> GpuPool::take(std::uint32_t count) {
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < names_.size() && count > 0; ++i) {
    const std::uint64_t bit = std::uint64_t{1} << i;
    if ((taken_ & bit) != 0) continue;
    mask |= bit;
    --count;
  }
  if (count > 0) return std::nullopt;
  taken_ |= mask;
  return mask;
}

std::string GpuPool::list(std::uint64_t mask) const {
  std::string text;
  for (std::size_t i = 0; i < names_.size(); ++i)
    if ((mask >> i & 1) != 0) text.append(text.empty() ? "" : ",").append(names_[i]);
  return text;
}

}  // namespace leat::agent
