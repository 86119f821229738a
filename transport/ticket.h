#pragma once

// ticket.h - the head's word, signed, that one party may read or write some data.
//
// Agents and the store serve bytes against a ticket without asking the head. The signing key
// (Ed25519) is the head's and apart from its TLS key.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/result.h"
#include "transport/authority.h"
#include "transport/token.h"

namespace leat::transport {

inline constexpr std::size_t kTicketBytesMax = 64 * 1024;
inline constexpr std::size_t kTicketStridesMax = 2500;
inline constexpr std::size_t kTicketReaderMax = 256;

struct Ticket {
  enum class Right : std::uint8_t { kRead = 1, kWrite = 2 };

  Right right = Right::kRead;
  JobId job;
  StageId stage = 0;
  std::vector<Stride> indices;  // which tasks; empty: the whole stage
  Hash blob_hash{};             // which blob; all zero: none
  std::string reader;           // common_name() of the party that may show it
  WallSeconds expires_wall_s = 0;

  // Whether task `index` is within `indices`.
  bool covers(Index index) const;

  friend bool operator==(const Ticket&, const Ticket&) = default;
};

using PublicKey = std::array<std::byte, 32>;

// Owns the key in memory. Thread: any one.
class TicketSigner {
 public:
  // Reads "ticket.key" (0600) in `dir`, made now if there is none. Refused if it is damaged, not
  // ours or open to others.
  static Result<TicketSigner> open(const std::string& dir);

  TicketSigner(TicketSigner&&) noexcept;
  TicketSigner& operator=(TicketSigner&&) noexcept;
  ~TicketSigner();

  // Refused if it has more than kTicketStridesMax strides: split it, or ask for the whole stage.
  Result<std::string> sign(const Ticket& ticket) const;

  PublicKey public_key() const;

 private:
  struct Parts;
  explicit TicketSigner(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

// Thread: any one.
class TicketVerifier {
 public:
  explicit TicketVerifier(const PublicKey& public_key) : public_key_(public_key) {}

  // The ticket, if this head signed these very bytes, for `reader_common_name` (as the TLS
  // session says), and `now` is before its expiry.
  Result<Ticket> verify(std::string_view bytes, std::string_view reader_common_name,
                        WallSeconds now) const;

 private:
  PublicKey public_key_;
};

}  // namespace leat::transport
