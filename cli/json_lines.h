#pragma once

// json_lines.h - where each object begins in a file of JSON lines, and whether it is one.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace leat::cli {

// A line longer than this is a mistake.
inline constexpr std::size_t kJsonLineBytesMax = 16u << 20;

// Fed with a file from front to end, tells the offset of every object; blank lines do not count.
// Refusals name the line: not JSON, not an object, or without a field that stands in braces in the
// arguments and that other objects have. Pure.
class JsonLines {
 public:
  JsonLines(const std::vector<std::string>& argv, std::function<void(std::uint64_t)> on_offset);

  Result<Done> feed(std::string_view bytes);
  // Once, at the end: tells where the last object ends. Refused if there is none.
  Result<Done> finish();

  std::uint64_t objects() const { return objects_; }

 private:
  // Of a name in braces: the first line that has such a field, and the first that does not.
  struct Seen {
    std::uint64_t with = 0;
    std::uint64_t without = 0;
  };

  Result<Done> take_line();
  Result<Done> take_object(std::string_view line);
  std::string at(std::uint64_t line) const { return "line " + std::to_string(line) + ": "; }

  std::function<void(std::uint64_t)> on_offset_;
  std::map<std::string, Seen> names_;
  std::string line_;  // that has not ended yet
  std::uint64_t line_start_ = 0;
  std::uint64_t lines_ = 0;
  std::uint64_t objects_ = 0;
};

}  // namespace leat::cli
