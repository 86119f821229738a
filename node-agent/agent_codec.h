#pragma once

// agent_codec.h - agent messages between schema/agent.capnp and plain values.
//
// Reading checks everything that the core takes for granted: index lists are sound, columns fit
// their sets, no string that becomes an argument or a variable holds a NUL.

#include <kj/array.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "node-agent/messages.h"
#include "schema/agent.capnp.h"

namespace leat::agent {

Result<StartBatch> read_start_batch(schema::StartBatch::Reader in);
Result<StartSet> read_start_set(schema::StartSet::Reader in);
Result<std::vector<EndOrder>> read_end_orders(capnp::List<schema::EndOrder>::Reader in);
Result<ReportBatch> read_report(schema::ReportBatch::Reader in);
Result<RunSet> read_run_set(schema::RunSet::Reader in);

void write_start_batch(const StartBatch& batch, schema::StartBatch::Builder out);
void write_start_set(const StartSet& set, schema::StartSet::Builder out);
void write_end_orders(const std::vector<EndOrder>& orders,
                      capnp::List<schema::EndOrder>::Builder out);
void write_report(const ReportBatch& batch, schema::ReportBatch::Builder out);
void write_run_set(const RunSet& set, schema::RunSet::Builder out);

RunId read_run_id(schema::RunId::Reader in);
void write_run_id(const RunId& run, schema::RunId::Builder out);
void write_node(const NodeRef& node, schema::NodeRef::Builder out);
Result<BlobRef> read_blob(schema::BlobRef::Reader in);
void write_blob(const BlobRef& blob, schema::BlobRef::Builder out);

// A stage as the run log keeps it: a StartSet message without runs and inputs.
std::string stage_to_bytes(const StartSet& set);
Result<StartSet> stage_from_bytes(std::string_view bytes);

}  // namespace leat::agent
