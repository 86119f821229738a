#include "base/index_list.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace leat {
namespace {

std::optional<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

Refusal bad_part(std::string_view part, const char* why) {
  return invalid("index range \"" + std::string(part) + "\": " + why);
}

// One RANGE of the grammar in index_list.h.
Result<Stride> parse_part(std::string_view part) {
  const std::size_t colon = part.find(':');
  const std::string_view range = part.substr(0, colon);
  const std::size_t dash = range.find('-');
  const bool step_without_range = colon != std::string_view::npos && dash == std::string_view::npos;
  const auto first = read_number(range.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : read_number(range.substr(dash + 1));
  const auto step = colon == std::string_view::npos ? std::optional<std::uint64_t>(1)
                                                    : read_number(part.substr(colon + 1));
  if (!first || !last || !step || step_without_range)
    return bad_part(part, "write N, A-B or A-B:STEP");
  if (*step == 0) return bad_part(part, "the step must be at least 1");
  if (*last < *first) return bad_part(part, "the end is below the start");
  if (*last >= kIndexLimit) return bad_part(part, "an index must be below 2^48");
  const std::uint64_t count = (*last - *first) / *step + 1;
  // The step of a single element says nothing, and may be as large as a number can be.
  return Stride{*first, count, count == 1 ? 1 : *step};
}

bool interleaves(const Stride& a, const Stride& b) {
  return a.last() >= b.first;
}

// Whether every element of `b` is one of `a`.
bool covers(const Stride& a, const Stride& b) {
  return b.first >= a.first && b.last() <= a.last() && (b.first - a.first) % a.step == 0 &&
         (b.count == 1 || b.step % a.step == 0);
}

// Two sorted neighbours as one, where that is exact and cheap.
bool merge_into(Stride& a, const Stride& b) {
  if (covers(a, b)) return true;
  if (a.step == b.step && b.first >= a.first && (b.first - a.first) % a.step == 0 &&
      b.first <= a.last() + a.step) {
    a.count = (std::max(a.last(), b.last()) - a.first) / a.step + 1;
    return true;
  }
  return false;
}

}  // namespace

IndexList::IndexList(Stride stride) {
  LEAT_CHECK(stride.count >= 1 && stride.count <= kTasksPerJobMax && stride.step >= 1);
  LEAT_CHECK(stride.last() < kIndexLimit);
  append(stride);
}

void IndexList::append(Stride stride) {
  if (stride.count == 1) stride.step = 1;
  if (empty()) {
    only_ = stride;
  } else {
    if (strides_.empty()) {
      strides_.push_back(only_);
      starts_.push_back(0);
    }
    strides_.push_back(stride);
    starts_.push_back(size_);
  }
  size_ += stride.count;
}

std::size_t IndexList::stride_holding(std::uint64_t position) const {
  if (strides_.empty()) return 0;
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), position);
  return static_cast<std::size_t>(after - starts_.begin()) - 1;
}

std::optional<std::size_t> IndexList::stride_with(Index index) const {
  const std::span<const Stride> all = strides();
  const auto after = std::upper_bound(all.begin(), all.end(), index,
                                      [](Index value, const Stride& s) { return value < s.first; });
  if (after == all.begin()) return std::nullopt;
  const Stride& s = *(after - 1);
  if (index > s.last() || (index - s.first) % s.step != 0) return std::nullopt;
  return static_cast<std::size_t>(after - all.begin()) - 1;
}

Result<IndexList> IndexList::parse(std::string_view text) {
  if (text.empty()) return invalid("the index range is empty: write for example 1-100");
  std::vector<Stride> parts;
  std::uint64_t total = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    Result<Stride> part = parse_part(text.substr(at, comma - at));
    if (!part.ok()) return part.refusal();
    total += part.value().count;
    if (total > kTasksPerJobMax)
      return bad_part(text.substr(0, 80), "more than 4294967296 tasks in one job");
    if (parts.size() >= kStridesMax) return bad_part(text.substr(0, 80), "too many parts");
    parts.push_back(part.value());
    at = comma + 1;
  }
  std::sort(parts.begin(), parts.end(), [](const Stride& a, const Stride& b) {
    return a.first != b.first ? a.first < b.first : a.count > b.count;
  });
  std::vector<Stride> merged;
  bool tangled = false;
  for (const Stride& part : parts) {
    if (!merged.empty() && merge_into(merged.back(), part)) continue;
    tangled = tangled || (!merged.empty() && interleaves(merged.back(), part));
    merged.push_back(part);
  }
  if (!tangled) return from_strides(merged);
  if (total > kStridesMax)
    return bad_part(text.substr(0, 80), "parts with different steps overlap; list them apart");
  std::vector<Index> all;
  all.reserve(total);
  for (const Stride& s : merged)
    for (std::uint64_t i = 0; i < s.count; ++i) all.push_back(s.first + i * s.step);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return from_sorted(all);
}

Result<IndexList> IndexList::from_strides(const std::vector<Stride>& strides) {
  if (strides.size() > kStridesMax) return invalid("index list: too many strides");
  IndexList list;
  if (strides.size() > 1) {
    list.strides_.reserve(strides.size());
    list.starts_.reserve(strides.size());
  }
  for (const Stride& s : strides) {
    const bool sane = s.count >= 1 && s.count <= kTasksPerJobMax && s.step >= 1 &&
                      s.step < kIndexLimit && s.first < kIndexLimit &&
                      (s.count - 1) <= (kIndexLimit - 1 - s.first) / s.step;
    if (!sane) return invalid("index list: a stride is out of range");
    if (!list.empty() && interleaves(list.strides().back(), s))
      return invalid("index list: strides are not sorted");
    list.append(s);
    if (list.size_ > kTasksPerJobMax) return invalid("index list: more than 4294967296 tasks");
  }
  return list;
}

IndexList IndexList::from_sorted(std::span<const Index> indices) {
  IndexList list;
  for (std::size_t i = 0; i < indices.size();) {
    LEAT_CHECK(list.empty() || list.strides().back().last() < indices[i]);
    Stride s{indices[i], 1, 1};
    if (i + 1 < indices.size()) {
      LEAT_CHECK(indices[i + 1] > indices[i]);
      const std::uint64_t step = indices[i + 1] - indices[i];
      std::size_t end = i + 2;
      while (end < indices.size() && indices[end] - indices[end - 1] == step) ++end;
      // Two alone with a gap say nothing about a stride; the second may begin a longer one.
      if (end - i > 2 || step == 1) s = Stride{indices[i], end - i, step};
    }
    list.append(s);
    i += s.count;
  }
  LEAT_CHECK(list.empty() || list.strides().back().last() < kIndexLimit);
  return list;
}

Index IndexList::at(std::uint64_t position) const {
  LEAT_CHECK(position < size_);
  const std::size_t n = stride_holding(position);
  return strides()[n].first + (position - start_of(n)) * strides()[n].step;
}

std::optional<std::uint64_t> IndexList::position_of(Index index) const {
  const auto n = stride_with(index);
  if (!n) return std::nullopt;
  return start_of(*n) + (index - strides()[*n].first) / strides()[*n].step;
}

IndexList IndexList::select(const IntervalSet& positions) const {
  IndexList result;
  positions.for_each([&](Interval part) {
    LEAT_CHECK(part.last < size_);
    std::size_t n = stride_holding(part.first);
    for (std::uint64_t at = part.first; at <= part.last; ++n) {
      const Stride& s = strides()[n];
      const std::uint64_t offset = at - start_of(n);
      const std::uint64_t count = std::min(s.count - offset, part.last - at + 1);
      result.append({s.first + offset * s.step, count, s.step});
      at += count;
    }
  });
  return result;
}

std::optional<IntervalSet> IndexList::positions_of(const IndexList& part) const {
  IntervalSet result;
  for (const Stride& s : part.strides()) {
    for (std::uint64_t i = 0; i < s.count;) {
      const Index index = s.first + i * s.step;
      const auto n = stride_with(index);
      if (!n) return std::nullopt;
      const Stride& mine = strides()[*n];
      const std::uint64_t offset = (index - mine.first) / mine.step;
      // Where both run in step, a whole stretch is found at once.
      const std::uint64_t stretch =
          s.step == mine.step ? std::min(s.count - i, mine.count - offset) : 1;
      const std::uint64_t position = start_of(*n) + offset;
      result.insert({position, position + stretch - 1});
      if (result.interval_count() > kStridesMax) return std::nullopt;
      i += stretch;
    }
  }
  return result;
}

std::vector<Index> IndexList::expand() const {
  std::vector<Index> result;
  result.reserve(size_);
  for_each([&result](Index i) { result.push_back(i); });
  return result;
}

std::string IndexList::to_string() const {
  std::string text;
  for (const Stride& s : strides()) {
    if (!text.empty()) text += ',';
    text += std::to_string(s.first);
    if (s.count > 1) text += '-' + std::to_string(s.last());
    if (s.step > 1) text += ':' + std::to_string(s.step);
  }
  return text;
}

}  // namespace leat
