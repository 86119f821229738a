#pragma once

// granted_wishes.h - what was answered under which key, so that a repeated wish is answered again.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "scheduler/core/facts.h"

namespace leat::core {

// How long a key is remembered.
inline constexpr Duration kKeyLife = std::chrono::hours(24 * 7);
// Keys that are remembered at once; beyond that the oldest go. More than there are jobs in memory.
inline constexpr std::size_t kKeysKept = 131'072;
// What goes as one comes, at most, so that no wish pays for those of a week.
inline constexpr std::size_t kKeysDroppedPerWish = 2;

// One wish that was not refused.
struct Granted {
  WishKind kind = WishKind::kSubmit;
  std::string key;
  Time at;
  Answer answer;

  friend bool operator==(const Granted&, const Granted&) = default;
};

// The table behind law 1: wishes in the order in which they were granted, each with a number. A key
// is one caller's word for one wish of one kind: other kinds may use the same.
//
// Thread: one at a time. Invariants: never empty after the first add(); times never go back;
// by_key_ has the newest wish of every key and kind, and looks into granted_.
class GrantedWishes {
 public:
  // Numbers n * kPerPage to (n + 1) * kPerPage - 1 are page n: what snapshots are made of.
  static constexpr std::uint64_t kPerPage = 64;

  GrantedWishes() = default;
  GrantedWishes(const GrantedWishes&) = delete;
  GrantedWishes& operator=(const GrantedWishes&) = delete;

  // Nothing if there was none, or it is too long ago. O(log n).
  const Granted* find(WishKind kind, std::string_view key, Time now) const;

  // The newest. Drops kKeysDroppedPerWish of the oldest, at most: what is too old, or too many.
  void add(Granted wish);

  // From snapshot rows, in order. False if `number` does not follow.
  bool restore(std::uint64_t number, Granted wish);

  bool empty() const { return granted_.empty(); }
  std::size_t size() const { return granted_.size(); }
  // All numbers from first() on and below next() are there.
  std::uint64_t first() const { return first_; }
  std::uint64_t next() const { return first_ + granted_.size(); }
  const Granted& at(std::uint64_t number) const { return granted_[number - first_]; }

 private:
  using Name = std::pair<WishKind, std::string_view>;

  static Name name_of(const Granted& wish) { return {wish.kind, wish.key}; }
  void append(Granted wish);
  void drop_oldest();

  std::uint64_t first_ = 0;
  std::deque<Granted> granted_;
  std::map<Name, std::uint64_t> by_key_;  // to numbers; the text is granted_'s
};

}  // namespace leat::core
