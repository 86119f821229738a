#pragma once

// sorted_chunks.h - a sorted map from numbers to small values, kept in short arrays.
//
// A B+ tree of two levels: as fast as an array while it is small, and without the cache misses
// of a balanced tree of nodes when it holds a hundred thousand entries.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
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

  std::uint64_t key(Cursor c) const { return chunks_[c.chunk].keys[c.slot]; }
  V& value(Cursor c) { return chunks_[c.chunk].values[c.slot]; }
  const V& value(Cursor c) const { return chunks_[c.chunk].values[c.slot]; }
  // Precondition: the order holds.
  void set_key(Cursor c, std::uint64_t key) {
    chunks_[c.chunk].keys[c.slot] = key;
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
    const std::vector<std::uint64_t>& keys = chunks_[n].keys;
    const auto slot = std::upper_bound(keys.begin(), keys.end(), key);
    if (slot == keys.end()) return {n + 1, 0};
    return {n, static_cast<std::size_t>(slot - keys.begin())};
  }

  // Before `c`. Precondition: the order holds. Returns where the new entry stands.
  Cursor insert(Cursor c, std::uint64_t key, V value) {
    ++size_;
    if (chunks_.empty()) {
      chunks_.emplace_back();
      chunks_.back().insert(0, key, std::move(value));
      firsts_.push_back(key);
      return begin();
    }
    // At a border the chunk before is as good, and appending moves nothing.
    if (c.slot == 0 && c.chunk > 0) c = {c.chunk - 1, chunks_[c.chunk - 1].size()};
    Chunk& chunk = chunks_[c.chunk];
    chunk.insert(c.slot, key, std::move(value));
    firsts_[c.chunk] = chunk.keys.front();
    return chunk.size() > kChunkMax ? halve(c) : c;
  }

  // Returns where the entry after it stands.
  Cursor erase(Cursor c) {
    --size_;
    Chunk& chunk = chunks_[c.chunk];
    chunk.erase(c.slot);
    if (chunk.size() == 0) {
      chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(c.chunk));
      firsts_.erase(firsts_.begin() + static_cast<std::ptrdiff_t>(c.chunk));
      return {c.chunk, 0};
    }
    firsts_[c.chunk] = chunk.keys.front();
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
  // Keys apart from values: a search reads keys alone.
  struct Chunk {
    std::vector<std::uint64_t> keys;
    std::vector<V> values;

    std::size_t size() const { return keys.size(); }

    void insert(std::size_t slot, std::uint64_t key, V value) {
      const auto at = static_cast<std::ptrdiff_t>(slot);
      keys.insert(keys.begin() + at, key);
      values.insert(values.begin() + at, std::move(value));
    }

    void erase(std::size_t slot) {
      const auto at = static_cast<std::ptrdiff_t>(slot);
      keys.erase(keys.begin() + at);
      values.erase(values.begin() + at);
    }

    // Moves what stands at `slot` and behind into a chunk of its own.
    Chunk split(std::size_t slot) {
      const auto at = static_cast<std::ptrdiff_t>(slot);
      Chunk high{
          {keys.begin() + at, keys.end()},
          {std::make_move_iterator(values.begin() + at), std::make_move_iterator(values.end())}};
      keys.resize(slot);
      values.erase(values.begin() + at, values.end());
      return high;
    }
  };

  Cursor halve(Cursor c) {
    Chunk& low = chunks_[c.chunk];
    // What grows at its end is filled in order: leave it full, begin a new one.
    const std::size_t kept = c.slot + 1 == low.size() ? kChunkMax : low.size() / 2;
    Chunk high = low.split(kept);
    const auto place = static_cast<std::ptrdiff_t>(c.chunk) + 1;
    firsts_.insert(firsts_.begin() + place, high.keys.front());
    chunks_.insert(chunks_.begin() + place, std::move(high));
    return c.slot < kept ? c : Cursor{c.chunk + 1, c.slot - kept};
  }

  std::vector<Chunk> chunks_;
  std::vector<std::uint64_t> firsts_;  // keys of the chunks' first entries, close together
  std::size_t size_ = 0;
};

}  // namespace leat
