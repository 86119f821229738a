#include "cli/rank_lines.h"

#include "spool/rank_frames.h"

namespace leat::cli {

std::string RankLines::label_of(std::uint32_t rank) const {
  if (!choice_.label) return {};
  const std::string who = rank == spool::kNoRank ? "launcher" : std::to_string(rank);
  return choice_.prefix + '[' + who + "] ";
}

void RankLines::take(std::uint32_t rank, std::string_view content) {
  if (rank == spool::kAboutRanks || (choice_.only && rank != *choice_.only)) return;
  seen_ = true;
  // With nobody to interrupt it, what one rank writes is passed on as it comes.
  if (choice_.only && !choice_.label) return console_.out(content);
  std::string& begun = begun_[rank];
  std::string text;
  for (std::size_t end = content.find('\n'); end != std::string_view::npos;
       end = content.find('\n')) {
    text += label_of(rank) + begun;
    text += content.substr(0, end + 1);
    begun.clear();
    content.remove_prefix(end + 1);
  }
  begun += content;
  if (begun.size() > kLineMax) {
    text += label_of(rank) + begun + (choice_.label ? "\n" : "");
    begun.clear();
  }
  if (!text.empty()) console_.out(text);
}

void RankLines::finish() {
  std::string text;
  for (auto& [rank, begun] : begun_) {
    if (begun.empty()) continue;
    // Labels stand at the beginning of lines, so the line before must have an end.
    text += label_of(rank) + begun + (choice_.label ? "\n" : "");
  }
  begun_.clear();
  if (!text.empty()) console_.out(text);
}

}  // namespace leat::cli
