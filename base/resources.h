#pragma once

// resources.h - what a task needs and what a node has, and the one arithmetic on it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace leat {

// Kinds of counters one task or node may name.
inline constexpr std::size_t kCountersMax = 16;
inline constexpr std::size_t kCounterNameBytesMax = 64;
inline constexpr std::uint64_t kCounterAmountMax = std::uint64_t{1} << 53;
// Whole devices; a node's are bits of one word.
inline constexpr std::uint32_t kGpusMax = 64;

// So many of a resource that has only a name: licences, scratch space, places at an instrument.
struct Counter {
  std::string name;
  std::uint64_t amount = 0;

  friend bool operator==(const Counter&, const Counter&) = default;
};

// Counts, never fractions: a core is 1000 millicores, a gpu is a whole device.
//
// Invariant: counters are sorted by name, each name once. What is not named is 0.
struct Resources {
  std::uint32_t millicores = 1000;
  std::uint64_t memory_bytes = 0;
  std::uint32_t gpus = 0;
  std::vector<Counter> counters{};

  static Resources none() { return {0, 0, 0, {}}; }

  // How many members that need `need` find room here; `need` must need something.
  std::uint64_t fit_count(const Resources& need) const;
  bool holds(const Resources& need) const;
  // Takes what `times` members need. Precondition (checked): fit_count(need) >= times.
  void take(const Resources& need, std::uint64_t times = 1);
  // The opposite. Precondition (checked): it has every counter that `back` names.
  void give(const Resources& back, std::uint64_t times = 1);
  std::uint64_t counter(std::string_view name) const;

  friend bool operator==(const Resources&, const Resources&) = default;
};

// Letters, digits, '-', '_' and '.', beginning with a letter.
bool is_counter_name(std::string_view text);

// Sorts counters into their order; refused for a bad or repeated name, an amount that is 0 or over
// kCounterAmountMax, or more than kCountersMax of them.
Result<std::vector<Counter>> sorted_counters(std::vector<Counter> counters);

// "2 cpus, 512 MiB, 1 gpu, 3 licence": what is not 0, for people. "nothing" for none.
std::string to_text(const Resources& resources);

}  // namespace leat
