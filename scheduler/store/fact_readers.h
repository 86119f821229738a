#pragma once

// fact_readers.h - one stored fact into the core's words.

#include "base/result.h"
#include "scheduler/core/messages.h"
#include "schema/facts.capnp.h"

namespace leat::store {

// Refused: a kind this version does not know, a value out of bounds. May throw kj::Exception on a
// broken message.
Result<core::Fact> read_fact(schema::Fact::Reader from);

// The kinds about pools and what becomes of nodes.
Result<core::Fact> read_pool_fact(schema::Fact::Reader from);

// For a kind that nobody here knows.
Refusal unknown_fact(schema::Fact::Reader from);

}  // namespace leat::store
