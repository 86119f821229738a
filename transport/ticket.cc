#include "transport/ticket.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "transport/byte_codec.h"
#include "transport/openssl_handles.h"
#include "transport/secret_file.h"

namespace leat::transport {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kSignatureBytes = 64;
// Keeps a ticket's signature from ever meaning anything else signed by the same key.
constexpr std::string_view kDomain = "leat ticket 1\n";

std::string encode(const Ticket& ticket) {
  ByteWriter body;
  body.number(kVersion);
  body.number(static_cast<std::uint8_t>(ticket.right));
  body.number(ticket.job.value);
  body.number(ticket.stage);
  body.number(static_cast<std::uint32_t>(ticket.indices.size()));
  for (const Stride& stride : ticket.indices) {
    body.number(stride.first);
    body.number(stride.count);
    body.number(stride.step);
  }
  body.raw(ticket.blob_hash);
  body.number(static_cast<std::uint16_t>(ticket.reader.size()));
  body.raw(ticket.reader);
  body.number(ticket.expires_wall_s);
  return body.bytes();
}

Result<Ticket> decode(std::string_view body) {
  const Refusal damaged = invalid("the ticket cannot be read");
  ByteReader reader(body);
  if (reader.number<std::uint8_t>() != kVersion) return damaged;
  Ticket ticket;
  const auto right = reader.number<std::uint8_t>();
  if (right != static_cast<std::uint8_t>(Ticket::Right::kRead) &&
      right != static_cast<std::uint8_t>(Ticket::Right::kWrite))
    return damaged;
  ticket.right = static_cast<Ticket::Right>(right);
  ticket.job.value = reader.number<std::uint64_t>();
  ticket.stage = reader.number<StageId>();
  const auto strides = reader.number<std::uint32_t>();
  if (strides > kTicketStridesMax) return damaged;
  for (std::uint32_t i = 0; i < strides; ++i) {
    Stride stride;
    stride.first = reader.number<Index>();
    stride.count = reader.number<std::uint64_t>();
    stride.step = reader.number<std::uint64_t>();
    ticket.indices.push_back(stride);
  }
  reader.raw_into(ticket.blob_hash);
  ticket.reader = reader.raw(reader.number<std::uint16_t>());
  ticket.expires_wall_s = reader.number<WallSeconds>();
  if (!reader.finished() || ticket.reader.size() > kTicketReaderMax) return damaged;
  if (!IndexList::from_strides(ticket.indices).ok()) return damaged;
  return ticket;
}

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

bool signature_holds(EVP_PKEY& key, std::string_view body, std::string_view signature) {
  const OpensslScope scope;
  const DigestHandle digest(EVP_MD_CTX_new());
  LEAT_CHECK(digest != nullptr &&
             EVP_DigestVerifyInit(digest.get(), nullptr, nullptr, nullptr, &key) == 1);
  const std::string message = std::string(kDomain) + std::string(body);
  return EVP_DigestVerify(digest.get(), raw(signature), signature.size(), raw(message),
                          message.size()) == 1;
}

}  // namespace

bool Ticket::covers(Index index) const {
  if (indices.empty()) return true;
  return std::any_of(indices.begin(), indices.end(), [index](const Stride& stride) {
    return index >= stride.first && index <= stride.last() &&
           (index - stride.first) % stride.step == 0;
  });
}

struct TicketSigner::Parts {
  KeyHandle key;
};

TicketSigner::TicketSigner(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
TicketSigner::TicketSigner(TicketSigner&&) noexcept = default;
TicketSigner& TicketSigner::operator=(TicketSigner&&) noexcept = default;
TicketSigner::~TicketSigner() = default;

Result<TicketSigner> TicketSigner::open(const std::string& dir) {
  const OpensslScope scope;
  const std::string path = dir + "/ticket.key";
  auto parts = std::make_unique<Parts>();
  const Result<std::string> content = read_secret_file(path);
  if (content.ok()) {
    parts->key = key_from_pem(content.value());
    if (parts->key == nullptr || EVP_PKEY_is_a(parts->key.get(), "ED25519") != 1)
      return invalid(path + ": damaged: holds no Ed25519 key");
    return TicketSigner(std::move(parts));
  }
  if (content.refusal().reason != Reason::kNotFound) return content.refusal();

  const Result<Done> private_dir = ensure_private_directory(dir);
  if (!private_dir.ok()) return private_dir.refusal();
  parts->key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  LEAT_CHECK(parts->key != nullptr);
  const Result<Done> written = write_secret_file(path, to_pem(*parts->key));
  if (!written.ok()) return written.refusal();
  return TicketSigner(std::move(parts));
}

Result<std::string> TicketSigner::sign(const Ticket& ticket) const {
  LEAT_CHECK(!ticket.reader.empty() && ticket.reader.size() <= kTicketReaderMax);
  if (ticket.indices.size() > kTicketStridesMax)
    return invalid("a ticket names at most " + std::to_string(kTicketStridesMax) + " ranges");
  const Result<IndexList> sound = IndexList::from_strides(ticket.indices);
  if (!sound.ok()) return sound.refusal();

  const OpensslScope scope;
  std::string bytes = encode(ticket);
  const std::string message = std::string(kDomain) + bytes;
  std::string signature(kSignatureBytes, '\0');
  std::size_t size = signature.size();
  const DigestHandle digest(EVP_MD_CTX_new());
  LEAT_CHECK(digest != nullptr &&
             EVP_DigestSignInit(digest.get(), nullptr, nullptr, nullptr, parts_->key.get()) == 1 &&
             EVP_DigestSign(digest.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                            raw(message), message.size()) == 1 &&
             size == kSignatureBytes);
  bytes += signature;
  LEAT_CHECK(bytes.size() <= kTicketBytesMax);
  return bytes;
}

PublicKey TicketSigner::public_key() const {
  PublicKey key{};
  std::size_t size = key.size();
  LEAT_CHECK(EVP_PKEY_get_raw_public_key(
                 parts_->key.get(), reinterpret_cast<unsigned char*>(key.data()), &size) == 1 &&
             size == key.size());
  return key;
}

Result<Ticket> TicketVerifier::verify(std::string_view bytes, std::string_view reader_common_name,
                                      WallSeconds now) const {
  const OpensslScope scope;
  const Refusal forged = invalid("the ticket was not signed by this cluster's head");
  if (bytes.size() > kTicketBytesMax || bytes.size() <= kSignatureBytes) return forged;
  const KeyHandle key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                                  raw(as_text(public_key_)), public_key_.size()));
  if (key == nullptr) return forged;
  const std::string_view body = bytes.substr(0, bytes.size() - kSignatureBytes);
  // Signature before content: nothing is parsed that the head has not written.
  if (!signature_holds(*key, body, bytes.substr(body.size()))) return forged;

  Result<Ticket> ticket = decode(body);
  if (!ticket.ok()) return ticket;
  if (ticket.value().reader != reader_common_name)
    return invalid("the ticket is for another reader");
  if (now >= ticket.value().expires_wall_s)
    return Refusal{Reason::kConflict, "the ticket has expired: ask the head for a new one"};
  return ticket;
}

}  // namespace leat::transport
