#pragma once

// result.h - a value, or the reason there is none.

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace leat {

// Why a request was turned down. A new entry needs a caller that would act differently on it; a
// reason that only a human reads belongs in `Refusal::message`.
enum class Reason : std::uint8_t {
  kNotFound,          // names a task, job, node or pool that does not exist
  kConflict,          // the thing exists, but its state forbids this
  kInvalid,           // the request can never be right
  kOverloaded,        // come back later
  kDisconnected,      // the other side is gone; the outcome is unknown
  kNotInThisVersion,  // a door that later versions open
};

struct Refusal {
  Reason reason = Reason::kInvalid;
  std::string message;  // one line for a person: what, where, what to do next
};

template <typename T>
class [[nodiscard]] Result {  // NOLINT(bugprone-exception-escape): moving a T may throw
 public:
  Result(T value) : state_(std::move(value)) {}            // NOLINT(google-explicit-constructor)
  Result(Refusal refusal) : state_(std::move(refusal)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }

  const T& value() const& {
    LEAT_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    LEAT_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }

  const Refusal& refusal() const {
    LEAT_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Refusal> state_;
};

// For requests whose only answer is "done".
struct Done {
  friend bool operator==(Done, Done) = default;
};

inline Refusal invalid(std::string message) {
  return {Reason::kInvalid, std::move(message)};
}

}  // namespace leat
