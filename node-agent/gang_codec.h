#pragma once

// gang_codec.h - what an agent is told of gangs, between the schema and plain values.

#include <kj/common.h>

#include <cstddef>

#include "base/result.h"
#include "node-agent/messages.h"
#include "schema/agent.capnp.h"
#include "schema/types.capnp.h"

namespace leat::agent {

// Of a list in a message.
inline kj::uint count_of(std::size_t size) {
  return static_cast<kj::uint>(size);
}

// Refused: a kind of launch or of binding not known here, a NUL in an argument.
Result<GangSpec> read_gang_spec(schema::GangSpec::Reader in);
void write_gang_spec(const GangSpec& spec, schema::GangSpec::Builder out);

// Refused: no nodes, a member that is none of them.
Result<GangStart> read_gang_start(schema::GangStart::Reader in);
void write_gang_start(const GangStart& start, schema::GangStart::Builder out);

GangHub read_hub(schema::GangHub::Reader in);
void write_hub(const GangHub& hub, schema::GangHub::Builder out);

}  // namespace leat::agent
