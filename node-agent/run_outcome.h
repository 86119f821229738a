#pragma once

// run_outcome.h - from the warden's word about an exit to what the head is told.

#include <cstdint>

#include "node-agent/runner.h"
#include "node-agent/warden/records.h"

namespace leat::agent {

// `floor_kib`: peaks up to this are the warden's own, and told as "at most" (negative).
RunEnd to_run_end(const warden::Exited& exited, std::uint32_t floor_kib);

}  // namespace leat::agent
