#pragma once

// keys_codec.h - what was answered under which key, in facts and in rows of the snapshot.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "scheduler/core/granted_wishes.h"
#include "schema/facts.capnp.h"

namespace leat::store {

void write_answer(const core::Answer& answer, schema::GivenAnswer::Builder to);

// Refused: kinds this version does not know, and answers that one of its kind does not get.
Result<core::WishKind> read_wish_kind(std::uint16_t from);
Result<core::Answer> read_answer(core::WishKind kind, schema::GivenAnswer::Reader from);

// A page of the table, which must have something of it.
std::string encode_keys(const core::GrantedWishes& granted, std::uint64_t page);

struct KeysPage {
  std::uint64_t first = 0;
  std::vector<core::Granted> wishes;  // first, first + 1, …
};
// Total: any bytes give a value or a refusal.
Result<KeysPage> decode_keys(std::span<const std::byte> bytes);

}  // namespace leat::store
