#include "spool/subtasks.h"

#include <utility>

#include "spool/line_words.h"

namespace leat::spool {
namespace {

std::string name_of(std::uint32_t frame) {
  if (frame == kCoordination || frame == kApplication) return frame_name(frame);
  return std::to_string(frame - kFirstSubtask);
}

std::optional<std::uint32_t> frame_of(std::string_view name) {
  if (name == "coordination") return kCoordination;
  if (name == "application") return kApplication;
  std::uint32_t number = 0;
  if (!read_whole(name, number) || number > kSubtaskNumberMax) return std::nullopt;
  return kFirstSubtask + number;
}

std::string shown(unsigned char byte) {
  if (byte == '\n') return "\\n";
  if (byte == '\t') return "\\t";
  constexpr std::string_view kDigits = "0123456789abcdef";
  return {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
}

std::optional<Subtask> parse_start(std::string_view line) {
  Subtask subtask;
  const std::optional<std::uint32_t> frame = frame_of(next_word(line));
  const bool good = frame && next_word(line) == "pid" && read_whole(next_word(line), subtask.pid) &&
                    next_word(line) == "at" && read_whole(next_word(line), subtask.started_us) &&
                    next_word(line) == "host" && !(subtask.host = next_word(line)).empty() &&
                    next_word(line) == "command";
  if (!good) return std::nullopt;
  subtask.frame = *frame;
  subtask.command = one_line(line);
  return subtask;
}

std::optional<std::pair<std::uint32_t, SubtaskEnd>> parse_end(std::string_view line) {
  SubtaskEnd end;
  const std::optional<std::uint32_t> frame = frame_of(next_word(line));
  if (!frame || next_word(line) != "at" || !read_whole(next_word(line), end.at_us))
    return std::nullopt;
  const std::string_view how = next_word(line);
  end.signalled = how == "signal";
  if ((how != "code" && !end.signalled) || !read_whole(next_word(line), end.status))
    return std::nullopt;
  return std::pair(*frame, end);
}

}  // namespace

std::string one_line(std::string_view command) {
  constexpr std::string_view kCut = "...";
  std::string text;
  std::size_t kept = 0;  // where it is cut if it turns out too long
  for (const char byte : command) {
    const auto code = static_cast<unsigned char>(byte);
    text += code < 0x20 || code == 0x7f ? shown(code) : std::string(1, byte);
    if (text.size() <= kSubtaskCommandMax - kCut.size()) kept = text.size();
    if (text.size() <= kSubtaskCommandMax) continue;
    // Not within a character of several bytes.
    while (kept > 0 && (static_cast<unsigned char>(text[kept]) & 0xc0) == 0x80) --kept;
    return text.substr(0, kept) + std::string(kCut);
  }
  return text;
}

std::string subtask_line(const Subtask& subtask) {
  return "subtask " + name_of(subtask.frame) + " pid " + std::to_string(subtask.pid) + " at " +
         std::to_string(subtask.started_us) + " host " + subtask.host + " command " +
         one_line(subtask.command) + '\n';
}

std::string subtask_end_line(std::uint32_t frame, const SubtaskEnd& end) {
  return "end " + name_of(frame) + " at " + std::to_string(end.at_us) +
         (end.signalled ? " signal " : " code ") + std::to_string(end.status) + '\n';
}

void SubtaskBook::take(std::string_view line) {
  const std::string_view kind = next_word(line);
  if (kind == "subtask" && subtasks_.size() < kSubtasksToldMax) {
    std::optional<Subtask> subtask = parse_start(line);
    if (subtask) subtasks_.try_emplace(subtask->frame, std::move(*subtask));
  } else if (kind == "end") {
    const auto end = parse_end(line);
    const auto at = end ? subtasks_.find(end->first) : subtasks_.end();
    if (at != subtasks_.end() && !at->second.end) at->second.end = end->second;
  }
}

}  // namespace leat::spool
