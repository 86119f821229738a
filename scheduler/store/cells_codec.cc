// cells_codec.cc - the cells of a stretch of tasks, as columns.

#include <algorithm>
#include <limits>
#include <vector>

#include "base/check.h"
#include "scheduler/store/message_bytes.h"
#include "scheduler/store/row_codec.h"
#include "schema/snapshot.capnp.h"

namespace leat::store {
namespace {

// Values of one field, and whether a single one says it all.
template <typename T, typename List>
void write_folded(const std::vector<T>& values, List init) {
  const bool equal = std::all_of(values.begin(), values.end(),
                                 [&values](const T& value) { return value == values.front(); });
  if (equal && values.front() == T{}) return;
  const auto count = static_cast<capnp::uint>(equal ? 1 : values.size());
  auto to = init(count);
  for (capnp::uint n = 0; n < count; ++n) to.set(n, values[n]);
}

template <typename List>
bool fits(List list, capnp::uint count) {
  return list.size() <= 1 || list.size() == count;
}

template <typename List>
auto value_at(List list, capnp::uint n) -> decltype(list[0]) {
  if (list.size() == 0) return 0;
  return list[list.size() == 1 ? 0 : n];
}

Result<Done> read_cells(schema::CellsRow::Reader from, core::Stage& stage) {
  const std::uint64_t first = from.getFirst();
  const std::uint64_t last = from.getLast();
  const auto starts = from.getStarts();
  if (first > last || last >= stage.cells.size() || starts.size() == 0 || starts[0] != 0)
    return invalid("cells: positions out of range");
  const auto states = from.getStates();
  const auto attempts = from.getAttempts();
  const auto failures = from.getFailures();
  const auto losses = from.getLosses();
  const auto nodes = from.getNodes();
  const auto epochs = from.getNodeEpochs();
  const auto dues = from.getDueUs();
  const capnp::uint count = starts.size();
  const bool fit = fits(states, count) && fits(attempts, count) && fits(failures, count) &&
                   fits(losses, count) && fits(nodes, count) && fits(epochs, count) &&
                   fits(dues, count);
  if (!fit) return invalid("cells: columns of different lengths");
  for (capnp::uint n = 0; n < count; ++n) {
    const std::uint64_t begin = first + starts[n];
    const std::uint64_t end = n + 1 < count ? first + starts[n + 1] : last + 1;
    if (begin >= end || end > last + 1) return invalid("cells: stretches out of order");
    if (value_at(states, n) >= core::kTaskStateCount) return invalid("cells: an unknown state");
    core::TaskCell cell;
    cell.state = static_cast<core::TaskState>(value_at(states, n));
    cell.attempt = value_at(attempts, n);
    cell.failures = value_at(failures, n);
    cell.losses = value_at(losses, n);
    cell.node = {NodeId{value_at(nodes, n)}, NodeEpoch{value_at(epochs, n)}};
    cell.due = Time{Duration{value_at(dues, n)}};
    stage.cells.assign({begin, end - 1}, cell);
  }
  return Done{};
}

}  // namespace

std::string encode_cells(const core::Stage& stage, Interval where) {
  std::vector<std::uint32_t> starts;
  std::vector<std::uint8_t> states;
  std::vector<std::uint32_t> attempts;
  std::vector<std::uint16_t> failures;
  std::vector<std::uint16_t> losses;
  std::vector<std::uint32_t> nodes;
  std::vector<std::uint64_t> epochs;
  std::vector<std::int64_t> dues;
  stage.cells.for_each(where, [&](Interval part, const core::TaskCell& cell) {
    LEAT_CHECK(part.first - where.first <= std::numeric_limits<std::uint32_t>::max());
    starts.push_back(static_cast<std::uint32_t>(part.first - where.first));
    states.push_back(static_cast<std::uint8_t>(cell.state));
    attempts.push_back(cell.attempt);
    failures.push_back(cell.failures);
    losses.push_back(cell.losses);
    nodes.push_back(cell.node.id.value);
    epochs.push_back(cell.node.epoch.value);
    dues.push_back(cell.due.us());
  });
  return to_bytes<schema::CellsRow>([&](schema::CellsRow::Builder to) {
    to.setFirst(where.first);
    to.setLast(where.last);
    auto list = to.initStarts(static_cast<capnp::uint>(starts.size()));
    for (capnp::uint n = 0; n < starts.size(); ++n) list.set(n, starts[n]);
    write_folded(states, [&to](capnp::uint n) { return to.initStates(n); });
    write_folded(attempts, [&to](capnp::uint n) { return to.initAttempts(n); });
    write_folded(failures, [&to](capnp::uint n) { return to.initFailures(n); });
    write_folded(losses, [&to](capnp::uint n) { return to.initLosses(n); });
    write_folded(nodes, [&to](capnp::uint n) { return to.initNodes(n); });
    write_folded(epochs, [&to](capnp::uint n) { return to.initNodeEpochs(n); });
    write_folded(dues, [&to](capnp::uint n) { return to.initDueUs(n); });
  });
}

Result<Done> decode_cells(std::span<const std::byte> bytes, core::Stage& stage) {
  return from_bytes<Done, schema::CellsRow>(
      bytes, "cells", [&stage](schema::CellsRow::Reader from) { return read_cells(from, stage); });
}

}  // namespace leat::store
