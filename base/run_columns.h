#pragma once

// run_columns.h - how runs ended, as columns beside an index list. Head and agents share it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"

namespace leat {

// How a run ended; the meaning of `code` stands beside each. Numbers are those of
// schema/types.capnp, and open: a number not listed here is kept and shown.
enum class Outcome : std::uint16_t {
  kExit = 0,    // exit code; 0 is success
  kSignal = 1,  // signal number
  kOutOfMemory = 2,
  kTimeLimit = 3,  // the signal that ended it
  kNodeLost = 4,
  kWithdrawn = 5,      // given back before it started
  kCancelled = 6,      // the signal that ended it; 0 if it never ran
  kCouldNotStart = 7,  // errno
  kQuarantined = 8,
  kDependencyFailed = 9,
  kInputLost = 10,  // its input could not be fetched; costs no retry
  kSpoolFull = 11,  // its output could not be kept; costs no retry
  kOutputLost = 12,
};

// One value per run of a set, in the set's order. Equal values are folded: no value stands for
// all zero, one value for all equal, which take no memory besides the object.
template <typename T>
class Column {
 public:
  Column() = default;
  explicit Column(T all) : all_(all) {}
  // Folds.
  explicit Column(std::vector<T> values) {
    const auto differs = [&values](const T& v) { return !(v == values.front()); };
    if (std::any_of(values.begin(), values.end(), differs)) {
      values_ = std::move(values);
    } else if (!values.empty()) {
      all_ = values.front();
    }
  }

  T at(std::size_t n) const {
    if (values_.empty()) return all_;
    LEAT_CHECK(n < values_.size());
    return values_[n];
  }

  std::span<const T> values() const {
    if (!values_.empty()) return values_;
    return {&all_, all_ == T{} ? 0u : 1u};
  }
  // Whether all values are equal.
  bool folded() const { return values_.empty(); }
  // Whether this can describe `count` runs.
  bool fits(std::size_t count) const { return values_.empty() || values_.size() == count; }

  friend bool operator==(const Column&, const Column&) = default;

 private:
  T all_{};                // of every run, if
  std::vector<T> values_;  // this is empty
};

// What is known of the runs of a set; units as in schema/types.capnp.
struct RunColumns {
  Column<Outcome> outcome;
  Column<std::int32_t> code;
  Column<std::int64_t> start_us;  // on the head's time line
  Column<std::int64_t> duration_us;
  Column<std::int64_t> cpu_us;    // user + system
  Column<std::int64_t> peak_kib;  // negative: at most that much
  Column<std::int64_t> output_bytes;
  Column<std::uint32_t> flags;  // kOutputCut | kErrorCut

  static constexpr std::uint32_t kOutputCut = 1;
  static constexpr std::uint32_t kErrorCut = 2;

  bool fit(std::size_t count) const {
    return outcome.fits(count) && code.fits(count) && start_us.fits(count) &&
           duration_us.fits(count) && cpu_us.fits(count) && peak_kib.fits(count) &&
           output_bytes.fits(count) && flags.fits(count);
  }

  friend bool operator==(const RunColumns&, const RunColumns&) = default;
};

// One run's cells of the columns.
struct RunRow {
  Outcome outcome = Outcome::kExit;
  std::int32_t code = 0;
  std::int64_t start_us = 0;
  std::int64_t duration_us = 0;
  std::int64_t cpu_us = 0;
  std::int64_t peak_kib = 0;
  std::int64_t output_bytes = 0;
  std::uint32_t flags = 0;

  friend bool operator==(const RunRow&, const RunRow&) = default;
};

// Rows into columns, and one row out of them.
RunColumns to_columns(const std::vector<RunRow>& rows);
RunRow row_of(const RunColumns& columns, std::size_t n);

}  // namespace leat
