#pragma once

// stage_codec.h - what an agent needs of a stage, between schema/types.capnp and plain values.

#include "base/index_list.h"
#include "base/result.h"
#include "node-agent/messages.h"
#include "schema/types.capnp.h"

namespace leat::agent {

Result<IndexList> read_indices(capnp::List<schema::Stride>::Reader in);
void write_indices(const IndexList& indices, capnp::List<schema::Stride>::Builder out);

// Refused: counters that make no sense.
Result<Resources> read_resources(schema::Resources::Reader in);
void write_resources(const Resources& resources, schema::Resources::Builder out);

// Refused: no program, no tasks, a NUL in what becomes an argument, a variable or a path.
Result<StageSpec> read_stage_spec(schema::StageSpec::Reader in);
void write_stage_spec(const StageSpec& spec, schema::StageSpec::Builder out);

}  // namespace leat::agent
