#include "transport/token.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "transport/byte_codec.h"
#include "transport/openssl_handles.h"

namespace leat::transport {
namespace {

constexpr std::string_view kPrefix = "leat1.";
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kAddressMax = 300;
constexpr std::size_t kPoolMax = 256;
// Not for security (the secret is): tells a mistyped token from a refused one.
constexpr std::size_t kChecksumBytes = 4;

std::string to_base64url(std::string_view bytes) {
  std::string text;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) text += kAlphabet[bits >> (held - 6) & 63];
  }
  if (held > 0) text += kAlphabet[bits << (6 - held) & 63];
  return text;
}

// One text for every value: refuses padding, strange characters and stray bits at the end.
bool from_base64url(std::string_view text, std::string& bytes) {
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return false;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes += static_cast<char>(bits >> held & 0xff);
    }
  }
  return held < 6 && (bits & ((1u << held) - 1)) == 0;
}

std::string checksum(std::string_view body) {
  const Hash hash = sha256(as_byte_span(body));
  return std::string(as_text(hash).substr(0, kChecksumBytes));
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool is_sensible(const JoinToken& token) {
  const bool plain = std::all_of(token.enrol_address.begin(), token.enrol_address.end(),
                                 [](char c) { return c > 32 && c < 127; });
  if (!plain || token.enrol_address.empty() || token.enrol_address.size() > kAddressMax)
    return false;
  if (token.agent_address.size() > kAddressMax || token.pool.size() > kPoolMax) return false;
  if (!token.node.id || !token.node.epoch || !is_cluster_id(token.cluster_id)) return false;
  const CertificateHandle authority = certificate_from_der(token.authority_der);
  if (authority == nullptr) return false;
  const Result<std::string> named = cluster_id_of({"", "", to_pem(*authority)});
  return named.ok() && named.value() == token.cluster_id;
}

}  // namespace

Secret new_secret() {
  Secret secret;
  fill_random(secret);
  return secret;
}

std::string encode_token(const JoinToken& token) {
  LEAT_CHECK(is_sensible(token));
  ByteWriter body;
  body.raw(token.secret);
  body.raw(token.cluster_id);
  body.number(token.node.id.value);
  body.number(token.node.epoch.value);
  body.number(token.expires_wall_s);
  body.number(static_cast<std::uint16_t>(token.enrol_address.size()));
  body.raw(token.enrol_address);
  body.number(static_cast<std::uint16_t>(token.authority_der.size()));
  body.raw(token.authority_der);
  // Agents of earlier versions read tokens without these two.
  if (!token.agent_address.empty() || !token.pool.empty()) {
    body.number(static_cast<std::uint16_t>(token.agent_address.size()));
    body.raw(token.agent_address);
    body.number(static_cast<std::uint16_t>(token.pool.size()));
    body.raw(token.pool);
  }
  std::string text(kPrefix);
  text += to_base64url(body.bytes() + checksum(body.bytes()));
  LEAT_CHECK(text.size() <= kTokenTextMax);
  return text;
}

Result<JoinToken> decode_token(std::string_view text) {
  const Refusal damaged = invalid("the join token is damaged: copy it again, whole");
  if (text.size() > kTokenTextMax) return damaged;
  text = trim(text);
  if (!text.starts_with(kPrefix)) return invalid("not a join token of this version (leat1.…)");
  text.remove_prefix(kPrefix.size());

  std::string bytes;
  if (!from_base64url(text, bytes) || bytes.size() < kChecksumBytes) return damaged;
  const std::string_view body(bytes.data(), bytes.size() - kChecksumBytes);
  if (std::string_view(bytes).substr(body.size()) != checksum(body)) return damaged;

  ByteReader reader(body);
  JoinToken token;
  reader.raw_into(token.secret);
  token.cluster_id = reader.raw(kClusterIdLength);
  token.node.id.value = reader.number<std::uint32_t>();
  token.node.epoch.value = reader.number<std::uint64_t>();
  token.expires_wall_s = reader.number<std::int64_t>();
  token.enrol_address = reader.raw(reader.number<std::uint16_t>());
  const auto der = as_byte_span(reader.raw(reader.number<std::uint16_t>()));
  token.authority_der.assign(der.begin(), der.end());
  if (reader.remaining() > 0) {
    token.agent_address = reader.raw(reader.number<std::uint16_t>());
    token.pool = reader.raw(reader.number<std::uint16_t>());
  }
  if (!reader.finished() || !is_sensible(token)) return damaged;
  return token;
}

Hash token_hash(std::span<const std::byte> secret) {
  return sha256(secret);
}

bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace leat::transport
