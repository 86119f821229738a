#pragma once

// clock_text.h - instants and spans as people read them. Reads no clock.

#include <cstdint>
#include <string>

#include "base/time.h"

namespace leat::core {

// "2026-11-22 04:10:00 UTC" of microseconds since 1970; "an unknown time" for 0 and below.
std::string clock_text(std::int64_t wall_us);

// "250ms", "12s", "3m12s", "1h30m", "2d5h": two units, rounded down. Spans below zero are 0.
std::string span_text(Duration span);

}  // namespace leat::core
