#pragma once

// row_codec.h - pieces of the state as snapshot rows (schema/snapshot.capnp), and back.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/interval_set.h"
#include "base/result.h"
#include "scheduler/core/state.h"

namespace leat::store {

std::string encode_meta(const core::Meta& meta);
std::string encode_pool(const core::Pool& pool);
std::string encode_node(const core::Node& node);
// All but spec and cells.
std::string encode_job(const core::Job& job);
std::string encode_gang(const core::Gang& gang);
// The cells at positions `where`, which must lie in the stage.
std::string encode_cells(const core::Stage& stage, Interval where);

// Total: any bytes give a value or a refusal.
Result<core::Meta> decode_meta(std::span<const std::byte> bytes);
Result<core::Pool> decode_pool(std::span<const std::byte> bytes);
Result<core::Node> decode_node(std::span<const std::byte> bytes);

// Whether an ended job's tasks and specification, which may have megabytes, are read too.
enum class Past : std::uint8_t { kRead, kSkip };

// Of an active job, `stages` have their sums only; an ended one has none.
Result<core::Job> decode_job(std::span<const std::byte> bytes, Past past = Past::kRead);
Result<core::Gang> decode_gang(std::span<const std::byte> bytes);
// Into a stage that make_stages() has made.
Result<Done> decode_cells(std::span<const std::byte> bytes, core::Stage& stage);

}  // namespace leat::store
