#pragma once

// wire_refusal.h - refusals between the protocol and us, enumerator by enumerator.

#include "base/result.h"
#include "schema/types.capnp.h"

namespace leat::transport {

// A reason of a later version counts as kConflict: what was asked is refused, not malformed.
Refusal read_refusal(schema::Refusal::Reader from);

void write_refusal(const Refusal& refusal, schema::Refusal::Builder to);

}  // namespace leat::transport
