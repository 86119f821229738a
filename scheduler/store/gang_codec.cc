// gang_codec.cc - the runs of gangs as snapshot rows, and back.

#include <utility>

#include "scheduler/store/message_bytes.h"
#include "scheduler/store/row_codec.h"
#include "scheduler/store/value_codec.h"
#include "schema/snapshot.capnp.h"

namespace leat::store {

std::string encode_gang(const core::Gang& gang) {
  return to_bytes<schema::GangRow>([&gang](schema::GangRow::Builder to) {
    to.setAttempt(gang.attempt);
    to.setPlacedUs(gang.placed.us());
    auto nodes = to.initNodes(static_cast<capnp::uint>(gang.nodes.size()));
    for (capnp::uint n = 0; n < nodes.size(); ++n) write_node_ref(gang.nodes[n], nodes[n]);
    auto live = to.initLive(static_cast<capnp::uint>(gang.live.interval_count()));
    capnp::uint at = 0;
    gang.live.for_each([&live, &at](Interval interval) {
      auto out = live[at++];
      out.setFirst(interval.first);
      out.setLast(interval.last);
    });
    write_columns(to_columns({gang.sum}), to.initSum());
    to.setBroken(gang.broken);
    to.setCulprit(gang.culprit);
    if (gang.result) write_blob(gang.result, to.initResult());
  });
}

Result<core::Gang> decode_gang(std::span<const std::byte> bytes) {
  return from_bytes<core::Gang, schema::GangRow>(
      bytes, "gang", [](schema::GangRow::Reader from) -> Result<core::Gang> {
        core::Gang gang;
        gang.attempt = from.getAttempt();
        gang.placed = Time{Duration{from.getPlacedUs()}};
        const auto nodes = from.getNodes();
        if (nodes.size() == 0 || nodes.size() > core::kGangNodesMax)
          return invalid("gang: a number of nodes out of range");
        for (const auto node : nodes) gang.nodes.push_back(read_node_ref(node));
        for (const auto live : from.getLive()) {
          if (live.getFirst() > live.getLast() || live.getLast() >= nodes.size())
            return invalid("gang: members out of range");
          gang.live.insert({live.getFirst(), live.getLast()});
        }
        const Result<RunColumns> sum = read_columns(from.getSum(), 1);
        if (!sum.ok()) return sum.refusal();
        gang.sum = row_of(sum.value(), 0);
        gang.broken = from.getBroken();
        gang.culprit = from.getCulprit();
        if (gang.culprit >= nodes.size()) return invalid("gang: members out of range");
        Result<std::optional<core::Blob>> result = read_blob(from.getResult());
        if (!result.ok()) return result.refusal();
        gang.result = std::move(result).value();
        return gang;
      });
}

}  // namespace leat::store
