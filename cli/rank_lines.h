#pragma once

// rank_lines.h - what the ranks and subtasks of a gang wrote, as one text: lines stay whole.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "cli/console.h"

namespace leat::cli {

// Whose words: a frame of spool/rank_frames.h, of one member or of whichever has it.
struct Speaker {
  std::optional<std::uint32_t> member;
  std::uint32_t frame = 0;
};

// "1:0", "1:coordination", "coordination" (of all members), "application".
Result<Speaker> parse_subtask(std::string_view text);
// The first two or the last.
std::string subtask_name(std::uint32_t member, std::uint32_t frame);

// Takes records of spool/rank_frames.h that have been taken apart. Borrows the console.
class RankLines {
 public:
  struct Choice {
    std::optional<Speaker> only;  // none: all, and the launcher's own words
    bool label = false;           // begin every line with "[RANK] " or "[SUBTASK] "
    std::string prefix;           // before the label, if there is one
  };
  // A line that is longer is passed on in pieces, so that no rank can fill the memory.
  static constexpr std::size_t kLineMax = 64 * 1024;

  RankLines(Console& console, Choice choice) : console_(console), choice_(std::move(choice)) {}

  void take(std::uint32_t member, std::uint32_t frame, std::string_view content);
  // Lines without an end are lines, too.
  void finish();

  // Whether anything came that was chosen.
  bool has_seen_any() const { return seen_; }

 private:
  using Key = std::pair<std::uint32_t, std::uint32_t>;  // member and frame

  std::string label_of(Key key) const;

  Console& console_;
  Choice choice_;
  std::map<Key, std::string> begun_;  // lines that have not ended
  bool seen_ = false;
};

}  // namespace leat::cli
