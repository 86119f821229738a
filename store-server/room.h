#pragma once

// room.h - how much of the quota is taken.

#include <cstdint>
#include <functional>
#include <optional>

#include "base/result.h"

namespace leat::blobs {

// Counts bytes that are kept and bytes set aside for uploads under way. What may go is asked for
// before anything is refused. Thread: the loop's.
class Room {
 public:
  // Frees some bytes and says how many; nothing if nothing more may go.
  using Evict = std::function<std::optional<std::uint64_t>()>;
  // Asked for so often at most before a reservation is refused.
  static constexpr int kEvictionsMax = 256;

  explicit Room(std::uint64_t quota) : quota_(quota) {}

  void set_quota(std::uint64_t quota) { quota_ = quota; }
  void on_short(Evict evict) { evict_ = std::move(evict); }

  // Sets bytes aside. Refused with kOverloaded if they do not fit, whatever goes.
  Result<Done> reserve(std::uint64_t bytes);
  void release(std::uint64_t bytes);

  void add(std::uint64_t bytes) { kept_ += bytes; }
  void remove(std::uint64_t bytes);

  std::uint64_t quota() const { return quota_; }
  std::uint64_t reserved() const { return reserved_; }

 private:
  bool fits(std::uint64_t bytes) const;

  std::uint64_t quota_;
  std::uint64_t kept_ = 0;
  std::uint64_t reserved_ = 0;
  Evict evict_;
};

}  // namespace leat::blobs
