#include "cli/rank_lines.h"

#include <algorithm>
#include <limits>

#include "definitions/units.h"
#include "spool/rank_frames.h"

namespace leat::cli {

Result<Speaker> parse_subtask(std::string_view text) {
  constexpr std::uint64_t kMemberMax = std::numeric_limits<std::uint32_t>::max();
  if (text == "application") return Speaker{std::nullopt, spool::kApplication};
  if (text == "coordination") return Speaker{std::nullopt, spool::kCoordination};
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view which = text.substr(std::min(colon + 1, text.size()));
  const Result<std::uint64_t> member =
      definitions::parse_number(std::string(text.substr(0, colon)), 0, kMemberMax);
  const Result<std::uint64_t> number =
      definitions::parse_number(std::string(which), 0, spool::kSubtaskNumberMax);
  const bool coordination = which == "coordination";
  if (!member.ok() || (!number.ok() && !coordination))
    return invalid('"' + std::string(text) +
                   "\" is not like 1:0 (the first on member 1), 1:coordination, coordination or "
                   "application: leat task show lists them");
  const auto frame = coordination
                         ? spool::kCoordination
                         : spool::kFirstSubtask + static_cast<std::uint32_t>(number.value());
  return Speaker{static_cast<std::uint32_t>(member.value()), frame};
}

std::string subtask_name(std::uint32_t member, std::uint32_t frame) {
  if (frame == spool::kApplication) return "application";
  const bool coordination = frame == spool::kCoordination;
  return std::to_string(member) + ':' +
         (coordination ? "coordination" : std::to_string(frame - spool::kFirstSubtask));
}

std::string RankLines::label_of(Key key) const {
  if (!choice_.label) return {};
  const auto [member, frame] = key;
  std::string who = std::to_string(frame);
  if (frame >= spool::kFirstSubtask)
    who = frame == spool::kNoRank ? "launcher" : subtask_name(member, frame);
  return choice_.prefix + '[' + who + "] ";
}

void RankLines::take(std::uint32_t member, std::uint32_t frame, std::string_view content) {
  if (frame == spool::kAboutRanks) return;
  const std::optional<Speaker>& only = choice_.only;
  if (only && (frame != only->frame || member != only->member.value_or(member))) return;
  const Key key{member, frame};
  seen_ = true;
  // With nobody to interrupt it, what one of them writes is passed on as it comes.
  if (only && only->frame != spool::kCoordination && !choice_.label) return console_.out(content);
  std::string& begun = begun_[key];
  std::string text;
  for (std::size_t end = content.find('\n'); end != std::string_view::npos;
       end = content.find('\n')) {
    text += label_of(key) + begun;
    text += content.substr(0, end + 1);
    begun.clear();
    content.remove_prefix(end + 1);
  }
  begun += content;
  if (begun.size() > kLineMax) {
    text += label_of(key) + begun + (choice_.label ? "\n" : "");
    begun.clear();
  }
  if (!text.empty()) console_.out(text);
}

void RankLines::finish() {
  std::string text;
  for (auto& [key, begun] : begun_) {
    if (begun.empty()) continue;
    // Labels stand at the beginning of lines, so the line before must have an end.
    text += label_of(key) + begun + (choice_.label ? "\n" : "");
  }
  begun_.clear();
  if (!text.empty()) console_.out(text);
}

}  // namespace leat::cli
