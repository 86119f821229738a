#pragma once

// partial.h - what a reducer is, and a result that knows which elements it stands for.
//
// Owns:    a partial result owns its values and its reducer.
// Thread:  one partial result belongs to one thread at a time. A reducer is copied into each, and
//          its copies are used from several threads at once.
// Errors:  CoverageError where elements would be counted twice or are missing: the result that
//          refuses stays as it was. After an exception of `combine` it must not be used again.

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <leat/coverage.h>

namespace leat {

// What a reducer inherits from, to say what it is with as little as
//
//     struct Sum : leat::Reducer<double> {
//       double combine(double left, double right) const { return left + right; }
//     };
//
// `combine` must be associative. Three more things may be said:
//
//   static constexpr bool kCommutative = true;   the order does not matter: results combine as they
//                                                come, not only with their neighbours
//   static constexpr bool kOrdered = true;       combine along one fixed tree over the indices, so
//                                                that floating point gives the same bits however
//                                                the work was cut, and in whatever order it came
//   T identity() const                           what a reduction of nothing gives; without it,
//                                                that is refused
//
// With both constants, kOrdered counts. An ordered partial result of n elements holds up to
// 2 log2(n) values, one for each whole branch of the tree.
template <typename T>
struct Reducer {
  using Value = T;
  static constexpr bool kCommutative = false;
  static constexpr bool kOrdered = false;
};

template <typename R>
concept AReducer = std::copyable<typename R::Value> &&
    std::default_initializable<typename R::Value> && std::copy_constructible<R> &&
    requires(const R& reducer, typename R::Value left, typename R::Value right) {
  { R::kCommutative } -> std::convertible_to<bool>;
  { R::kOrdered } -> std::convertible_to<bool>;
  { reducer.combine(std::move(left), std::move(right)) } -> std::convertible_to<typename R::Value>;
};

template <typename R>
concept HasIdentity = AReducer<R> && requires(const R& reducer) {
  { reducer.identity() } -> std::convertible_to<typename R::Value>;
};

// The reduction of a set of elements, which grows by elements and by other partial results, in any
// order. Neighbours combine as soon as both are there; what has no neighbour yet waits.
template <AReducer R>
class Partial {
 public:
  using Value = typename R::Value;

  explicit Partial(R reducer = R{}, Origin origin = {})
      : reducer_(std::move(reducer)), pieces_{origin, {}, {}} {}

  // What a task or a reduce step wrote. Throws CoverageError if no such reducer can have made it.
  Partial(R reducer, Pieces<Value> pieces)
      : reducer_(std::move(reducer)), pieces_{pieces.origin, {}, {}} {
    detail::require_ascending(pieces.covered);
    const bool one_for_all = kInAnyOrder && pieces.values.size() == 1 && !pieces.covered.empty();
    if (!one_for_all && pieces.values.size() != pieces.covered.size())
      throw CoverageError(std::to_string(pieces.values.size()) + " values for " +
                          std::to_string(pieces.covered.size()) + " ranges");
    if constexpr (R::kOrdered)
      for (const IndexRange& range : pieces.covered)
        if (!detail::is_tree_node(range))
          throw CoverageError(text_of(std::span(&range, 1)) +
                              " is no branch of the tree of an ordered reducer");
    if (one_for_all) {
      pieces_.covered = detail::united(pieces.covered, {});
      pieces_.values = std::move(pieces.values);
      return;
    }
    for (std::size_t i = 0; i < pieces.covered.size(); ++i)
      append(pieces.covered[i], std::move(pieces.values[i]));
  }

  // Takes in one element. In ascending order it costs the same however many there are.
  void add(std::uint64_t index, Value value) {
    const IndexRange range{index, index};
    if (!pieces_.covered.empty() && index <= pieces_.covered.back().last) {
      merge(Partial(reducer_, Pieces<Value>{pieces_.origin, {range}, {std::move(value)}}));
      return;
    }
    detail::require_ascending(std::span(&range, 1));
    append(range, std::move(value));
  }

  // Takes in all of `other`, or, if an element would be counted twice, nothing.
  void merge(Partial other) {
    // One that was only just begun is a part of anything.
    const Origin origin = other.is_blank() ? pieces_.origin
                          : is_blank()
                              ? other.pieces_.origin
                              : detail::common_origin(pieces_.origin, other.pieces_.origin);
    detail::require_disjoint(pieces_.covered, other.pieces_.covered);
    if (empty()) {
      pieces_ = std::move(other.pieces_);
    } else if (other.empty()) {
      // Has nothing to add but, perhaps, how many elements there are.
    } else if (pieces_.covered.back().last < other.pieces_.covered.front().first) {
      append_all(std::move(other.pieces_));
    } else if (other.pieces_.covered.back().last < pieces_.covered.front().first) {
      std::swap(pieces_, other.pieces_);
      append_all(std::move(other.pieces_));
    } else {
      interleave(std::move(other.pieces_));
    }
    pieces_.origin = origin;
  }

  [[nodiscard]] bool empty() const { return pieces_.covered.empty(); }
  [[nodiscard]] const Pieces<Value>& pieces() const { return pieces_; }
  [[nodiscard]] const R& reducer() const { return reducer_; }
  [[nodiscard]] std::uint64_t elements() const { return detail::elements_of(pieces_.covered); }

  // The value of the whole. Throws CoverageError where elements are missing: by number if it is
  // known how many there are, else where the reducer is not commutative and there is a gap.
  [[nodiscard]] Value total() const {
    detail::require_whole(pieces_.origin, pieces_.covered, kInAnyOrder);
    if (!empty()) return total_of(pieces_.covered, pieces_.values);
    if constexpr (HasIdentity<R>) {
      return reducer_.identity();
    } else {
      throw CoverageError("nothing to reduce, and the reducer has no identity");
    }
  }

 private:
  static constexpr bool kInAnyOrder = R::kCommutative && !R::kOrdered;

  [[nodiscard]] bool is_blank() const { return empty() && pieces_.origin == Origin{}; }

  static bool combine_at_once(const IndexRange& left, const IndexRange& right) {
    if constexpr (R::kOrdered) {
      return detail::are_siblings(left, right);
    } else {
      return left.last + 1 == right.first;
    }
  }

  // REQUIRES: `range` is behind all that is covered.
  void append(const IndexRange& range, Value value) {
    std::vector<IndexRange>& covered = pieces_.covered;
    std::vector<Value>& values = pieces_.values;
    if constexpr (kInAnyOrder) {
      if (!covered.empty() && covered.back().last + 1 == range.first) {
        covered.back().last = range.last;
      } else {
        covered.push_back(range);
      }
      add_to_one(std::move(value));
      return;
    }
    covered.push_back(range);
    values.push_back(std::move(value));
    while (covered.size() > 1 && combine_at_once(covered[covered.size() - 2], covered.back())) {
      Value right = std::move(values.back());
      values.pop_back();
      values.back() = reducer_.combine(std::move(values.back()), std::move(right));
      covered[covered.size() - 2].last = covered.back().last;
      covered.pop_back();
    }
  }

  void append_all(Pieces<Value> behind) {
    if constexpr (kInAnyOrder) {
      pieces_.covered = detail::united(pieces_.covered, behind.covered);
      add_to_one(std::move(behind.values.front()));
    } else {
      for (std::size_t i = 0; i < behind.covered.size(); ++i)
        append(behind.covered[i], std::move(behind.values[i]));
    }
  }

  void interleave(Pieces<Value> others) {
    if constexpr (kInAnyOrder) {
      append_all(std::move(others));
      return;
    }
    Pieces<Value> mine = std::exchange(pieces_, Pieces<Value>{});
    std::size_t m = 0;
    std::size_t o = 0;
    while (m < mine.covered.size() || o < others.covered.size()) {
      const bool take_mine =
          o == others.covered.size() ||
          (m < mine.covered.size() && mine.covered[m].first < others.covered[o].first);
      Pieces<Value>& from = take_mine ? mine : others;
      std::size_t& at = take_mine ? m : o;
      append(from.covered[at], std::move(from.values[at]));
      ++at;
    }
  }

  void add_to_one(Value value) {
    std::vector<Value>& values = pieces_.values;
    if (values.empty()) {
      values.push_back(std::move(value));
    } else {
      values.front() = reducer_.combine(std::move(values.front()), std::move(value));
    }
  }

  // Along the tree where the reducer is ordered: its depth is at most the bits of an index.
  Value total_of(std::span<const IndexRange> covered, std::span<const Value> values) const {
    Value total = values.front();
    if constexpr (R::kOrdered) {
      if (values.size() == 1) return total;
      const std::size_t left = detail::left_of_fork(covered);
      return reducer_.combine(total_of(covered.first(left), values.first(left)),
                              total_of(covered.subspan(left), values.subspan(left)));
    } else {
      for (const Value& value : values.subspan(1))
        total = reducer_.combine(std::move(total), value);
      return total;
    }
  }

  R reducer_;
  Pieces<Value> pieces_;
};

}  // namespace leat
