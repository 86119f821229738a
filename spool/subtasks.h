#pragma once

// subtasks.h - the commands that a launcher starts on its node beside ranks, as it tells of them in
// records of kAboutRanks: a line when one starts, and a line when it has ended.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "spool/rank_frames.h"

namespace leat::spool {

// Of one node so many are told of: the first.
inline constexpr std::size_t kSubtasksToldMax = 4096;
inline constexpr std::size_t kSubtaskCommandMax = 200;

struct SubtaskEnd {
  std::int64_t at_us = 0;  // since 1970
  std::int32_t status = 0;
  bool signalled = false;  // `status` is the signal, not the exit code

  friend bool operator==(const SubtaskEnd&, const SubtaskEnd&) = default;
};

struct Subtask {
  std::uint32_t frame = 0;  // kCoordination, kApplication, or kFirstSubtask and its number
  std::uint32_t pid = 0;
  std::int64_t started_us = 0;  // since 1970
  std::string host{};
  std::string command{};  // as one_line() has it
  std::optional<SubtaskEnd> end{};

  friend bool operator==(const Subtask&, const Subtask&) = default;
};

// `command` on one line and no longer than kSubtaskCommandMax: control characters as \n or \x1b,
// and "..." where it is cut.
std::string one_line(std::string_view command);

// "subtask 0 pid 4711 at 1700000000000000 host node1 command orted --daemonize" with its end, of
// one that has started; `command` may be anything.
std::string subtask_line(const Subtask& subtask);
// "end 0 at 1700000000000001 code 3" or "... signal 9", with its end.
std::string subtask_end_line(std::uint32_t frame, const SubtaskEnd& end);

// What a launcher has told, by frame. Whatever is no such line, or more than
// kSubtasksToldMax, is left out.
class SubtaskBook {
 public:
  // One line without its end.
  void take(std::string_view line);
  const std::map<std::uint32_t, Subtask>& subtasks() const { return subtasks_; }

 private:
  std::map<std::uint32_t, Subtask> subtasks_;
};

}  // namespace leat::spool
