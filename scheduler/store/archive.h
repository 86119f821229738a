#pragma once

// archive.h - what the store keeps for people to look at: past turns, and history.

#include <kj/async.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "scheduler/core/spec.h"

namespace leat::store {

// Turns as they were written, each a schema Turn.
struct StoredTurns {
  struct Turn {
    std::uint64_t sequence = 0;
    std::string facts;
  };
  std::uint64_t oldest = 0;  // of all that are kept; 0 if there is none
  std::vector<Turn> turns;   // ascending, without gaps
};

// Deletes history of what ended before an instant.
struct Prune {
  std::int64_t before_us = 0;  // wall clock, since 1970
  std::int64_t now_us = 0;
  core::Principal actor;
};

// How many rows that were.
struct Pruned {
  std::uint64_t jobs = 0;
  std::uint64_t runs = 0;
  std::uint64_t others = 0;  // of nodes and of what people did

  friend bool operator==(const Pruned&, const Pruned&) = default;
};

// Long work is done in steps between which turns are written, so that no turn waits for more than
// one step. find_turns() rejects when the file is damaged, or with OVERLOADED.
//
// Thread: the engine loop's.
class Archive {
 public:
  // One find_turns() stops when it has so much.
  static constexpr std::size_t kTurnsMax = 64;
  static constexpr std::size_t kTurnBytesMax = 256u << 10;
  // Copies and prunings at once.
  static constexpr std::size_t kLongWorkMax = 2;

  virtual ~Archive() = default;

  // Turns from `from` on, if that is kept, else from the oldest on: at least one, if there is one.
  virtual kj::Promise<StoredTurns> find_turns(std::uint64_t from) = 0;

  // Makes `path` (0600; it must not exist), a database with the tables of history as they are
  // about now. Refused if it cannot be written; then it is gone again. Like the next, kOverloaded
  // when kLongWorkMax are under way.
  virtual kj::Promise<Result<Done>> copy_history(std::string path) = 0;

  // Jobs that have ended, with their runs, and events of nodes and people.
  virtual kj::Promise<Result<Pruned>> prune_history(Prune prune) = 0;
};

}  // namespace leat::store
