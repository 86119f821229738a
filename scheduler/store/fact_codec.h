#pragma once

// fact_codec.h - the facts of a turn, as bytes that every later version can read.

#include <cstddef>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "scheduler/core/messages.h"

namespace leat::store {

// The format's version, also the store's (docs/store.md).
inline constexpr std::uint32_t kFormatVersion = 3;

// One schema Turn, unpacked.
std::string encode_turn(const core::Facts& facts, Time at, HeadEpoch epoch);

struct DecodedTurn {
  Time at;
  HeadEpoch epoch;
  core::Facts facts;
};

// Total: any bytes give a turn or a refusal, in time and memory bounded by their number. A fact of
// a kind that this version does not know refuses the whole turn.
Result<DecodedTurn> decode_turn(std::span<const std::byte> bytes);

}  // namespace leat::store
