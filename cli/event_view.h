#pragma once

// event_view.h - one event as a line for people and as a document for programs.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/value.h"
#include "schema/scheduler.capnp.h"

namespace leat::cli {

// A place between two events, as people hand it on: "1234" or "1234.5".
struct EventCursor {
  std::uint64_t turn = 0;
  std::uint32_t fact = 0;

  friend bool operator==(const EventCursor&, const EventCursor&) = default;
};

Result<EventCursor> parse_cursor(const std::string& text);
std::string cursor_text(EventCursor cursor);
EventCursor read_cursor(schema::EventCursor::Reader cursor);

// What JSON shows: whatever the event is not about is left out.
Value::Object event_row(schema::Event::Reader event);
// "2026-11-22 08:00:00  1234.5  runs-ended  17.0-63 succeeded on node 2".
std::string event_line(schema::Event::Reader event);

// In the place of events that are no longer kept.
Value::Object gap_row(std::uint64_t lost_turns, EventCursor next);
std::string gap_line(std::uint64_t lost_turns);

}  // namespace leat::cli
