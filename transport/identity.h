#pragma once

// identity.h - who is at the other end, as its certificate says.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace leat::transport {

// An authenticated party. Which members mean something depends on the kind.
struct Peer {
  enum class Kind : std::uint8_t { kHead, kStore, kAgent, kUser };

  Kind kind = Kind::kUser;
  NodeRef node;           // kAgent only
  std::uint32_t uid = 0;  // kUser only

  friend bool operator==(const Peer&, const Peer&) = default;
};

// "head", "store", "agent:<node>:<epoch>", "user:<uid>"; numbers are decimal.
std::string common_name(const Peer& peer);

// Exactly what common_name() writes; anything else, however similar, is refused.
Result<Peer> parse_common_name(std::string_view text);

// The name a client demands of a server of this kind, never an address: "head.<cluster-id>",
// "store.<cluster-id>", "agent.<cluster-id>". The last says only "some agent of this cluster".
// Precondition: kind is not kUser (users serve nothing).
std::string server_name(Peer::Kind kind, std::string_view cluster_id);

// The same, but for one life of one node: "agent-<node>-<epoch>.<cluster-id>". Ask for this when
// the node is known, as a fetch from a known agent's data port does.
std::string agent_server_name(const NodeRef& node, std::string_view cluster_id);

}  // namespace leat::transport
