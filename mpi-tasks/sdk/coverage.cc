// coverage.cc - arithmetic of index ranges.

#include <leat/coverage.h>

#include <algorithm>
#include <bit>

namespace leat {
namespace {

constexpr std::size_t kRangesShown = 6;

std::string text_of(const IndexRange& range) {
  const std::string first = std::to_string(range.first);
  return range.first == range.last ? first : first + "-" + std::to_string(range.last);
}

}  // namespace

std::string text_of(std::span<const IndexRange> ranges) {
  std::string text;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges.size() > kRangesShown && i == kRangesShown - 1) {
      text += ", …";
      i = ranges.size() - 1;
    }
    if (i > 0) text += ", ";
    text += text_of(ranges[i]);
  }
  return text.empty() ? "nothing" : text;
}

Share share_of(Share whole, std::uint64_t part, std::uint64_t parts) {
  const std::uint64_t each = whole.count / parts;
  const std::uint64_t larger = whole.count % parts;
  return {whole.first + part * each + std::min(part, larger), each + (part < larger ? 1 : 0)};
}

namespace detail {

std::uint64_t elements_of(std::span<const IndexRange> ranges) {
  std::uint64_t sum = 0;
  for (const IndexRange& range : ranges) sum += range.size();
  return sum;
}

void require_ascending(std::span<const IndexRange> ranges) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].first > ranges[i].last || ranges[i].last > kIndexMax)
      throw CoverageError("a partial result covers " + text_of(ranges[i]) + ", which is no range");
    if (i > 0 && ranges[i].first <= ranges[i - 1].last)
      throw CoverageError("a partial result covers " + text_of(ranges[i]) + " after " +
                          text_of(ranges[i - 1]));
  }
}

void require_disjoint(std::span<const IndexRange> left, std::span<const IndexRange> right) {
  std::size_t l = 0;
  std::size_t r = 0;
  while (l < left.size() && r < right.size()) {
    if (left[l].last < right[r].first) {
      ++l;
    } else if (right[r].last < left[l].first) {
      ++r;
    } else {
      throw CoverageError("counted twice: " +
                          text_of(IndexRange{std::max(left[l].first, right[r].first),
                                             std::min(left[l].last, right[r].last)}));
    }
  }
}

std::vector<IndexRange> united(std::span<const IndexRange> left,
                               std::span<const IndexRange> right) {
  std::vector<IndexRange> sorted(left.size() + right.size());
  std::merge(left.begin(), left.end(), right.begin(), right.end(), sorted.begin(),
             [](const IndexRange& a, const IndexRange& b) { return a.first < b.first; });
  std::vector<IndexRange> ranges;
  for (const IndexRange& range : sorted) {
    if (!ranges.empty() && ranges.back().last + 1 == range.first) {
      ranges.back().last = range.last;
    } else {
      ranges.push_back(range);
    }
  }
  return ranges;
}

std::vector<IndexRange> gaps_in(std::span<const IndexRange> ranges) {
  std::vector<IndexRange> gaps;
  for (std::size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i - 1].last + 1 < ranges[i].first)
      gaps.push_back({ranges[i - 1].last + 1, ranges[i].first - 1});
  return gaps;
}

Origin common_origin(const Origin& left, const Origin& right) {
  if (left.job != right.job || left.stage != right.stage)
    throw CoverageError("results of different jobs: " + std::to_string(left.job) + "." +
                        std::to_string(left.stage) + " and " + std::to_string(right.job) + "." +
                        std::to_string(right.stage));
  if (left.elements != right.elements && left.elements != 0 && right.elements != 0)
    throw CoverageError("parts of different wholes: of " + std::to_string(left.elements) +
                        " elements and of " + std::to_string(right.elements));
  return left.elements != 0 ? left : right;
}

void require_whole(const Origin& origin, std::span<const IndexRange> ranges, bool gaps_are_fine) {
  const std::uint64_t covered = elements_of(ranges);
  if (origin.elements != 0 && covered != origin.elements)
    throw CoverageError("not the whole: covers " + std::to_string(covered) + " of " +
                        std::to_string(origin.elements) + " elements (" +
                        leat::text_of(united(ranges, {})) + ")");
  if (origin.elements != 0 || gaps_are_fine) return;
  const std::vector<IndexRange> gaps = gaps_in(ranges);
  if (!gaps.empty()) throw CoverageError("not the whole: without " + leat::text_of(gaps));
}

bool is_tree_node(const IndexRange& range) {
  return std::has_single_bit(range.size()) && range.first % range.size() == 0;
}

bool are_siblings(const IndexRange& left, const IndexRange& right) {
  return left.last + 1 == right.first && left.size() == right.size() &&
         left.first % (2 * left.size()) == 0;
}

std::size_t left_of_fork(std::span<const IndexRange> nodes) {
  const std::uint64_t fork = std::bit_floor(nodes.front().first ^ nodes.back().first);
  const auto right = std::find_if(nodes.begin(), nodes.end(), [&](const IndexRange& node) {
    return (node.first & fork) != (nodes.front().first & fork);
  });
  return static_cast<std::size_t>(right - nodes.begin());
}

}  // namespace detail
}  // namespace leat
