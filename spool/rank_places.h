#pragma once

// rank_places.h - which process each rank of a node is, and where it may run, as its launcher tells
// it in records of kAboutRanks.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spool/rank_frames.h"
#include "spool/subtasks.h"

namespace leat::spool {

struct RankPlace {
  std::uint32_t rank = 0;
  std::uint32_t pid = 0;
  std::vector<std::uint16_t> cpus{};  // those it is bound to, ascending; none: it is not bound
  std::string host{};

  friend bool operator==(const RankPlace&, const RankPlace&) = default;
};

// "rank 3 pid 4711 cpus 0,1 host node1" with its end; "cpus -" if it is not bound. Later versions
// may have more words at its end.
std::string rank_place_line(const RankPlace& place);
// The same back, without its end. Nothing if it is no such line.
std::optional<RankPlace> parse_rank_place(std::string_view line);

// Appends `lines`, as records of kAboutRanks none of which ends within a line. A line that no
// record can hold is left out.
void append_about_ranks(std::string& out, std::string_view lines);

// Takes the places out of a launcher's standard error stream. They stand together and near its
// beginning: only what coordination has written, or a rank at once, comes before them. And what it
// tells of subtasks, which is wherever they start and end.
class RankPlaceReader {
 public:
  RankPlaceReader();
  RankPlaceReader(const RankPlaceReader&) = delete;
  RankPlaceReader& operator=(const RankPlaceReader&) = delete;

  // The next bytes of the stream, cut anywhere.
  void feed(std::string_view bytes) { frames_.feed(bytes); }

  // What follows has no more of them, nor of subtasks: a gang that has ranks starts those before.
  bool is_complete() const { return complete_; }
  const std::vector<RankPlace>& places() const { return places_; }
  const std::map<std::uint32_t, Subtask>& subtasks() const { return subtasks_.subtasks(); }

 private:
  void take(std::uint32_t rank, std::string_view content);

  std::vector<RankPlace> places_;
  SubtaskBook subtasks_;
  bool complete_ = false;
  RankFrameReader frames_;
};

}  // namespace leat::spool
