#include "store-server/room.h"

#include <string>

#include "base/check.h"

namespace leat::blobs {

bool Room::fits(std::uint64_t bytes) const {
  const std::uint64_t taken = kept_ + reserved_;
  return taken <= quota_ && bytes <= quota_ - taken;
}

Result<Done> Room::reserve(std::uint64_t bytes) {
  // What could not fit beside nothing at all is not worth what would go for it.
  const bool hopeless = bytes > quota_;
  for (int i = 0; i < kEvictionsMax && !hopeless && !fits(bytes) && evict_; ++i) {
    const std::optional<std::uint64_t> freed = evict_();
    if (!freed) break;
    remove(*freed);
  }
  if (!fits(bytes))
    return Refusal{Reason::kOverloaded,
                   "leat-store has no room for " + std::to_string(bytes) + " bytes more: " +
                       std::to_string(kept_ + reserved_) + " of " + std::to_string(quota_) +
                       " are taken; raise its quota: leat up --store-quota SIZE"};
  reserved_ += bytes;
  return Done{};
}

void Room::release(std::uint64_t bytes) {
  LEAT_CHECK(bytes <= reserved_);
  reserved_ -= bytes;
}

void Room::remove(std::uint64_t bytes) {
  LEAT_CHECK(bytes <= kept_);
  kept_ -= bytes;
}

}  // namespace leat::blobs
