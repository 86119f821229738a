#pragma once

// cluster_view.h - head, nodes and pools as rows.

#include "cli/value.h"
#include "schema/scheduler.capnp.h"

namespace leat::cli {

// As JSON shows them and tables pick from them.
Value::Object node_row(schema::NodeSummary::Reader node);
Value::Object pool_row(schema::PoolSummary::Reader pool);
Value::Object status_row(schema::Status::Reader status, std::int64_t now_us);

// Pages for people.
std::string node_table(const Value::List& rows);
std::string pool_table(const Value::List& rows);
std::string pool_page(const Value::Object& row);
std::string status_page(const Value::Object& row);

}  // namespace leat::cli
