#include "transport/identity.h"

#include <charconv>

#include "base/check.h"

namespace leat::transport {
namespace {

// Takes a decimal number off the front of `text`.
template <typename T>
bool take_number(std::string_view& text, T& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return true;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool parse_into(std::string_view text, Peer& peer) {
  if (text == "head" || text == "store") {
    peer.kind = text == "head" ? Peer::Kind::kHead : Peer::Kind::kStore;
    return true;
  }
  if (take_prefix(text, "user:")) {
    peer.kind = Peer::Kind::kUser;
    return take_number(text, peer.uid);
  }
  peer.kind = Peer::Kind::kAgent;
  return take_prefix(text, "agent:") && take_number(text, peer.node.id.value) &&
         take_prefix(text, ":") && take_number(text, peer.node.epoch.value) && peer.node.id &&
         peer.node.epoch;
}

}  // namespace

std::string common_name(const Peer& peer) {
  switch (peer.kind) {
    case Peer::Kind::kHead:
      return "head";
    case Peer::Kind::kStore:
      return "store";
    case Peer::Kind::kAgent:
      return "agent:" + std::to_string(peer.node.id.value) + ":" +
             std::to_string(peer.node.epoch.value);
    case Peer::Kind::kUser:
      break;
  }
  return "user:" + std::to_string(peer.uid);
}

Result<Peer> parse_common_name(std::string_view text) {
  Peer peer;
  // Writing it again settles everything the parts above let pass: leading zeros, trailing bytes.
  if (parse_into(text, peer) && common_name(peer) == text) return peer;
  return invalid("the certificate's name is not one that this cluster gives out");
}

std::string server_name(Peer::Kind kind, std::string_view cluster_id) {
  LEAT_CHECK(kind != Peer::Kind::kUser);
  const char* host = kind == Peer::Kind::kHead    ? "head."
                     : kind == Peer::Kind::kStore ? "store."
                                                  : "agent.";
  return host + std::string(cluster_id);
}

std::string agent_server_name(const NodeRef& node, std::string_view cluster_id) {
  return "agent-" + std::to_string(node.id.value) + "-" + std::to_string(node.epoch.value) + "." +
         std::string(cluster_id);
}

}  // namespace leat::transport
