#pragma once

// events.h - facts, in words for people and programs that follow what happens.

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/index_list.h"
#include "scheduler/core/messages.h"
#include "schema/scheduler.capnp.h"

namespace leat::wire {

// A place between two facts of the store: before fact number `fact` (from 0) of turn `turn`.
struct EventPlace {
  std::uint64_t turn = 0;
  std::uint32_t fact = 0;

  friend constexpr auto operator<=>(const EventPlace&, const EventPlace&) = default;
};

// One fact. What it is not about is zero or empty.
struct EventView {
  const char* kind = "";  // stable: leat-events(1); empty: nothing that anybody could have seen
  JobId job;
  StageId stage = 0;
  const IndexList* indices = nullptr;  // borrowed from the fact
  std::optional<Index> index;          // the only one, instead of indices
  Attempt attempt = 0;
  NodeId node;
  PoolId pool;
  const char* state = "";
  const core::Principal* actor = nullptr;  // borrowed from the fact
  std::string text;
  Duration retry_in{0};  // of tasks that are tried again: 0, at once
};

// A fact kind without words here does not compile: every fact is an event, but for
// those that are about keys alone.
EventView view_of(const core::Fact& fact);

void write_event(const EventView& event, EventPlace next, std::int64_t at_us,
                 schema::Event::Builder to);

}  // namespace leat::wire
