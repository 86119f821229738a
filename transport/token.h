#pragma once

// token.h - the one-time token by which a node joins.
//
// It travels in a 0600 file (write_secret_file) or on standard input, never in an argument or the
// environment. It carries the authority's whole certificate, not only its fingerprint: kj-tls can
// trust a certificate but cannot compare a fingerprint, and so the first byte an agent sends is
// already to a server that this authority vouches for.

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "transport/authority.h"

namespace leat::transport {

using Secret = std::array<std::byte, 32>;
using Hash = std::array<std::byte, 32>;  // SHA-256

inline constexpr std::size_t kTokenTextMax = 8 * 1024;

struct JoinToken {
  Secret secret{};
  Bytes authority_der;
  std::string cluster_id;
  NodeRef node;               // whom the bearer becomes
  std::string enrol_address;  // "host:port"
  WallSeconds expires_wall_s = 0;
  // For people who start the agent by hand; empty in a token that a provider delivers.
  std::string agent_address;  // "host:port" where agents join
  std::string pool;

  friend bool operator==(const JoinToken&, const JoinToken&) = default;
};

// A secret from the system's random source.
Secret new_secret();

// "leat1." and base64url, one line without an end.
std::string encode_token(const JoinToken& token);

// Reads that form; white space around it is ignored. Refused: anything cut, altered, from another
// version, or naming things that cannot be. Expiry is the caller's to check: both ends do.
Result<JoinToken> decode_token(std::string_view text);

// What the head stores instead of the secret.
Hash token_hash(std::span<const std::byte> secret);

// Takes the same time wherever the difference is.
bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b);

}  // namespace leat::transport
