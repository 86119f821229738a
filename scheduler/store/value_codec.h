#pragma once

// value_codec.h - small words of the protocol and of the core, into each other.
//
// The readers take messages from outside and from disk: what is out of bounds is a Refusal. A
// message that is broken as such makes Cap'n Proto throw kj::Exception; whoever owns the message
// catches it (fact_codec, the RPC system).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/result.h"
#include "base/run_columns.h"
#include "base/time.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/spec.h"
#include "schema/types.capnp.h"

namespace leat::store {

using StrideReader = capnp::List<schema::Stride, capnp::Kind::STRUCT>::Reader;
using StrideBuilder = capnp::List<schema::Stride, capnp::Kind::STRUCT>::Builder;
using TextReader = capnp::List<capnp::Text, capnp::Kind::BLOB>::Reader;
using TextBuilder = capnp::List<capnp::Text, capnp::Kind::BLOB>::Builder;

std::string read_text(capnp::Text::Reader text);
kj::StringPtr text_of(const std::string& text);       // borrows; valid as long as `text`
capnp::Data::Reader data_of(std::string_view bytes);  // borrows, too

inline Time time_of(std::int64_t us) {
  return Time{Duration{us}};
}

NodeRef read_node_ref(schema::NodeRef::Reader from);
void write_node_ref(NodeRef node, schema::NodeRef::Builder to);

// Refused unless sorted, disjoint and within the limits of IndexList.
Result<IndexList> read_index_list(StrideReader from);
// Precondition: `to` has exactly one element per stride (init…(list.strides().size())).
void write_index_list(const IndexList& list, StrideBuilder to);

// Refused if `member` is not the first: gangs are not in this version.
Result<core::RunSet> read_run_set(schema::RunSet::Reader from);
void write_run_set(const core::RunSet& runs, schema::RunSet::Builder to);

// Refused if a column has neither none, one, nor `count` values.
Result<RunColumns> read_columns(schema::RunColumns::Reader from, std::uint64_t count);
void write_columns(const RunColumns& columns, schema::RunColumns::Builder to);

core::Principal read_principal(schema::Principal::Reader from);
void write_principal(const core::Principal& principal, schema::Principal::Builder to);

// What was written by write_resources(), or has passed check_resources_message().
core::Resources read_resources(schema::Resources::Reader from);
void write_resources(const core::Resources& resources, schema::Resources::Builder to);

// Nothing for an empty hash; refused if there is one that is no SHA-256.
Result<std::optional<core::Blob>> read_blob(schema::BlobRef::Reader from);
void write_blob(const std::optional<core::Blob>& blob, schema::BlobRef::Builder to);

// 32 bytes, or refused; `what` names it.
Result<core::Hash> read_hash(capnp::Data::Reader from, const char* what);
capnp::Data::Reader hash_bytes(const core::Hash& hash);  // borrows

std::vector<std::string> read_texts(TextReader from);
void write_texts(const std::vector<std::string>& texts, TextBuilder to);

}  // namespace leat::store
