// pool_fact_readers.cc - stored facts about pools and the coming and going of nodes, read back.

#include <utility>

#include "scheduler/core/pool_rules.h"
#include "scheduler/store/fact_readers.h"
#include "scheduler/store/value_codec.h"

namespace leat::store {
namespace {

using core::Fact;

template <typename Reader>
std::vector<NodeRef> read_nodes(Reader from) {
  std::vector<NodeRef> nodes;
  nodes.reserve(from.size());
  for (const auto node : from) nodes.push_back(read_node_ref(node));
  return nodes;
}

Result<Fact> read(schema::NodesRequested::Reader from) {
  core::NodesRequested fact;
  fact.first = read_node_ref(from.getFirst());
  fact.pool = PoolId{from.getPool()};
  for (const auto bytes : from.getTokenHashes()) {
    const Result<core::Hash> hash = read_hash(bytes, "token");
    if (!hash.ok()) return hash.refusal();
    fact.tokens.push_back(hash.value());
  }
  fact.token_expires = time_of(from.getTokenExpiresUs());
  return Fact(std::move(fact));
}

Result<Fact> read(schema::DutyChanged::Reader from) {
  if (from.getStep() > static_cast<unsigned>(core::DutyStep::kLeave))
    return invalid("fact: a step of a node's duty this version does not know");
  return Fact(core::DutyChanged{read_nodes(from.getNodes()),
                                static_cast<core::DutyStep>(from.getStep()),
                                read_text(from.getReason()), time_of(from.getRecallAtUs()),
                                read_principal(from.getActor()), read_text(from.getKey())});
}

Result<Fact> read(schema::NodesDeleting::Reader from) {
  if (from.getCause() >= core::kDeleteCauseCount)
    return invalid("fact: a cause of deletion this version does not know");
  return Fact(core::NodesDeleting{
      read_nodes(from.getNodes()), static_cast<core::DeleteCause>(from.getCause()),
      read_text(from.getReason()), read_principal(from.getActor()), read_text(from.getKey())});
}

Fact read(schema::PoolPaused::Reader from) {
  return core::PoolPaused{PoolId{from.getPool()}, read_text(from.getReason()),
                          time_of(from.getProbeAtUs()), read_principal(from.getActor()),
                          read_text(from.getKey())};
}

Fact read(schema::PoolReopened::Reader from) {
  return core::PoolReopened{PoolId{from.getPool()}, read_principal(from.getActor()),
                            read_text(from.getKey())};
}

Fact read(schema::PoolDeleting::Reader from) {
  return core::PoolDeleting{PoolId{from.getPool()}, read_text(from.getReason()),
                            time_of(from.getRecallAtUs()), read_principal(from.getActor()),
                            read_text(from.getKey())};
}

}  // namespace

Result<Fact> read_pool_fact(schema::Fact::Reader from) {
  switch (from.which()) {
    case schema::Fact::POOL_REMOVED:
      return Fact(core::PoolRemoved{PoolId{from.getPoolRemoved()}});
    case schema::Fact::NODES_REQUESTED:
      return read(from.getNodesRequested());
    case schema::Fact::DUTY_CHANGED:
      return read(from.getDutyChanged());
    case schema::Fact::RUNS_RECALLED:
      return Fact(core::RunsRecalled{read_node_ref(from.getRunsRecalled())});
    case schema::Fact::NODES_DELETING:
      return read(from.getNodesDeleting());
    case schema::Fact::POOL_PAUSED:
      return read(from.getPoolPaused());
    case schema::Fact::POOL_REOPENED:
      return read(from.getPoolReopened());
    case schema::Fact::POOL_DELETING:
      return read(from.getPoolDeleting());
    default:
      return unknown_fact(from);
  }
}

}  // namespace leat::store
