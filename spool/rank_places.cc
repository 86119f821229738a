#include "spool/rank_places.h"

#include <algorithm>

#include "spool/line_words.h"

namespace leat::spool {
namespace {

bool read_cpus(std::string_view text, std::vector<std::uint16_t>& cpus) {
  if (text == "-") return true;
  for (;;) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (!read_whole(text.substr(0, comma), cpus.emplace_back())) return false;
    if (comma == text.size()) return true;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

std::string rank_place_line(const RankPlace& place) {
  std::string cpus;
  for (const std::uint16_t cpu : place.cpus)
    cpus += (cpus.empty() ? "" : ",") + std::to_string(cpu);
  return "rank " + std::to_string(place.rank) + " pid " + std::to_string(place.pid) + " cpus " +
         (cpus.empty() ? "-" : cpus) + " host " + place.host + '\n';
}

std::optional<RankPlace> parse_rank_place(std::string_view line) {
  RankPlace place;
  const bool good = next_word(line) == "rank" && read_whole(next_word(line), place.rank) &&
                    next_word(line) == "pid" && read_whole(next_word(line), place.pid) &&
                    next_word(line) == "cpus" && read_cpus(next_word(line), place.cpus) &&
                    next_word(line) == "host" && !(place.host = next_word(line)).empty();
  if (!good) return std::nullopt;
  return place;
}

void append_about_ranks(std::string& out, std::string_view lines) {
  while (!lines.empty()) {
    std::size_t length = lines.size();
    if (length > kRankFrameContentMax) length = lines.rfind('\n', kRankFrameContentMax - 1) + 1;
    if (length > 0) append_rank_frame(out, kAboutRanks, lines.substr(0, length));
    if (length == 0) length = std::min(lines.find('\n'), lines.size() - 1) + 1;
    lines.remove_prefix(length);
  }
}

RankPlaceReader::RankPlaceReader()
    : frames_([this](std::uint32_t rank, std::string_view content) { take(rank, content); }) {}

void RankPlaceReader::take(std::uint32_t rank, std::string_view content) {
  if (rank != kAboutRanks) {
    complete_ = complete_ || !places_.empty();
    return;
  }
  while (!content.empty()) {
    const std::size_t end = std::min(content.find('\n'), content.size());
    const std::string_view line = content.substr(0, end);
    std::optional<RankPlace> place = parse_rank_place(line);
    if (place && !complete_) places_.push_back(std::move(*place));
    if (!place) subtasks_.take(line);
    content.remove_prefix(std::min(end + 1, content.size()));
  }
}

}  // namespace leat::spool
