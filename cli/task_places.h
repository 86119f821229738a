#pragma once

// task_places.h - where the newest run of a task is or was, and what the nodes there say of it.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/member_output.h"
#include "spool/rank_places.h"

namespace leat::cli {

// Of a launcher's words, so much is read for what it says of its ranks.
inline constexpr std::uint64_t kPlacesWithin = 1u << 20;
// The same where it has told of subtasks: their ends stand wherever they have come to.
inline constexpr std::uint64_t kSubtasksWithin = 16u << 20;

// One node of a gang; or the only one, of a task that is no gang.
struct MemberPlace {
  enum class Output : std::uint8_t {
    kOnNode,
    kStored,  // in leat-store: the node is gone
    kLost,
    kNoAnswer,  // where it is, nobody answers
  };

  std::uint32_t node = 0;
  Output output = Output::kOnNode;
  std::string address;  // of who has the output
  std::string lost;     // how the output was lost, if it was
  bool finished = false;
  std::vector<spool::RankPlace> ranks;  // as far as the launcher has told of them
  std::vector<spool::Subtask> subtasks;
  bool read_whole = true;  // nothing was told beyond what was read
};

struct TaskPlaces {
  std::uint32_t attempt = 0;  // 0: no run is known, it has yet to be placed
  bool gang = false;
  std::vector<MemberPlace> members;
};

// Asks the head, and each node for the beginning of what was written there, one after the other.
// Throws Failure: kUsage for a task that does not exist, kRefused for one that is started again
// all the time.
TaskPlaces find_task(Shell& shell, Head& head, OutputWanted wanted);

}  // namespace leat::cli
