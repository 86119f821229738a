#pragma once

// sorted_chunks.h - a sorted map from numbers to small values, kept in short arrays.
//
// A B+ tree of two levels: as fast as an array while it is small, and without the cache misses
// of a balanced tree of nodes when it holds a hundred thousand entries.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/check.h"

namespace leat {

// Keys are distinct. Cursors are valid until the next insert or erase, which give new ones.
//
// Invariants: no chunk is empty; all keys of a chunk are below those of the next.
template <typename V>
class SortedChunks {
 public:
  // A place in the order; end() stands behind the last entry.
  struct Cursor {
    std::size_t chunk = 0;
    std::size_t slot = 0;

    friend bool operator==(const Cursor&, const Cursor&) = default;
  };

  bool empty() const { return chunks_.empty(); }
  std::size_t size() const { return size_; }
  Cursor begin() const { return {0, 0}; }
  Cursor end() const { return {chunks_.size(), 0}; }

  std::uint64_t key(Cursor c) const { return chunks_[c.chunk][c.slot].key; }
  V& value(Cursor c) { return chunks_[c.chunk][c.slot].value; }
  const V& value(Cursor c) const { return chunks_[c.chunk][c.slot].value; }
  // Precondition: the order holds.
  void set_key(Cursor c, std::uint64_t key) {
    chunks_[c.chunk][c.slot].key = key;
    if (c.slot == 0) firsts_[c.chunk] = key;
  }

  // Precondition: not end().
  Cursor next(Cursor c) const {
    return c.slot + 1 < chunks_[c.chunk].size() ? Cursor{c.chunk, c.slot + 1}
                                                : Cursor{c.chunk + 1, 0};
  }
  // Precondition: not begin().
  Cursor previous(Cursor c) const {
    return c.slot > 0 ? Cursor{c.chunk, c.slot - 1}
                      : Cursor{c.chunk - 1, chunks_[c.chunk - 1].size() - 1};
  }

  // The first entry with a key above `key`.
  Cursor above(std::uint64_t key) const {
    // The last chunk that begins at or below the key holds the place, or the next begins there.
    const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), key);
    if (after == firsts_.begin()) return begin();
    const std::size_t n = static_cast<std::size_t>(after - firsts_.begin()) - 1;
    const Chunk& chunk = chunks_[n];
    const auto slot =
        std::upper_bound(chunk.begin(), chunk.end(), key,
                         [](std::uint64_t k, const Entry& entry) { return k < entry.key; });
    if (slot == chunk.end()) return {n + 1, 0};
    return {n, static_cast<std::size_t>(slot - chunk.begin())};
  }

  // Before `c`. Precondition: the order holds. Returns where the new entry stands.
  Cursor insert(Cursor c, std::uint64_t key, V value) {
    ++size_;
    if (chunks_.empty()) {
      chunks_.push_back(Chunk{Entry{key, std::move(value)}});
      firsts_.push_back(key);
      return begin();
    }
    // At a border the chunk before is as good, and appending moves nothing.
    if (c.slot == 0 && c.chunk > 0) c = {c.chunk - 1, chunks_[c.chunk - 1].size()};
    Chunk& chunk = chunks_[c.chunk];
    chunk.insert(chunk.begin() + static_cast<std::ptrdiff_t>(c.slot), Entry{key, std::move(value)});
    firsts_[c.chunk] = chunk.front().key;
    return chunk.size() > kChunkMax ? halve(c) : c;
  }

  // Returns where the entry after it stands.
  Cursor erase(Cursor c) {
    --size_;
    Chunk& chunk = chunks_[c.chunk];
    chunk.erase(chunk.begin() + static_cast<std::ptrdiff_t>(c.slot));
    if (chunk.empty()) {
      chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(c.chunk));
      firsts_.erase(firsts_.begin() + static_cast<std::ptrdiff_t>(c.chunk));
      return {c.chunk, 0};
    }
    firsts_[c.chunk] = chunk.front().key;
    return c.slot < chunk.size() ? c : Cursor{c.chunk + 1, 0};
  }

  void clear() {
    chunks_.clear();
    firsts_.clear();
    size_ = 0;
  }

  friend bool operator==(const SortedChunks& a, const SortedChunks& b) {
    if (a.size_ != b.size_) return false;
    for (Cursor i = a.begin(), j = b.begin(); i != a.end(); i = a.next(i), j = b.next(j))
      if (a.key(i) != b.key(j) || !(a.value(i) == b.value(j))) return false;
    return true;
  }

 private:
  static constexpr std::size_t kChunkMax = 64;
  struct Entry {
    std::uint64_t key = 0;
    V value{};
  };
  using Chunk = std::vector<Entry>;

  Cursor halve(Cursor c) {
    Chunk& low = chunks_[c.chunk];
    // What grows at its end is filled in order: leave it full, begin a new one.
    const std::size_t kept = c.slot + 1 == low.size() ? kChunkMax : low.size() / 2;
    const auto middle = low.begin() + static_cast<std::ptrdiff_t>(kept);
    Chunk high(std::make_move_iterator(middle), std::make_move_iterator(low.end()));
    low.erase(middle, low.end());
    const auto place = static_cast<std::ptrdiff_t>(c.chunk) + 1;
    firsts_.insert(firsts_.begin() + place, high.front().key);
    chunks_.insert(chunks_.begin() + place, std::move(high));
    return c.slot < kept ? c : Cursor{c.chunk + 1, c.slot - kept};
  }

  std::vector<Chunk> chunks_;
  std::vector<std::uint64_t> firsts_;  // keys of the chunks' first entries, close together
  std::size_t size_ = 0;
};

}  // namespace leat
