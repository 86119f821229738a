#pragma once

// rank_lines.h - what the ranks of a gang wrote, as one text: lines stay whole.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "cli/console.h"

namespace leat::cli {

// Takes records of spool/rank_frames.h that have been taken apart. Borrows the console.
class RankLines {
 public:
  struct Choice {
    std::optional<std::uint32_t> only;  // this rank; none: all, and the launcher's own words
    bool label = false;                 // begin every line with "[RANK] "
    std::string prefix;                 // before the label, if there is one
  };
  // A line that is longer is passed on in pieces, so that no rank can fill the memory.
  static constexpr std::size_t kLineMax = 64 * 1024;

  RankLines(Console& console, Choice choice) : console_(console), choice_(std::move(choice)) {}

  void take(std::uint32_t rank, std::string_view content);
  // Lines without an end are lines, too.
  void finish();

  // Whether anything came that was chosen.
  bool has_seen_any() const { return seen_; }

 private:
  std::string label_of(std::uint32_t rank) const;

  Console& console_;
  Choice choice_;
  std::map<std::uint32_t, std::string> begun_;  // lines that have not ended, by rank
  bool seen_ = false;
};

}  // namespace leat::cli
