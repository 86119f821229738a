#pragma once

// store_retry.h - how leat-store is asked again when it did not answer, or could not.

#include <kj/exception.h>
#include <kj/time.h>

#include <string>

#include "base/result.h"

namespace leat::agent {

// Waits begin with this and double.
inline constexpr kj::Duration kStoreFirstWait = 250 * kj::MILLISECONDS;
// Where they stop growing, for whoever goes on until a deadline.
inline constexpr kj::Duration kStoreLastWait = 5 * kj::SECONDS;
// For whoever has no deadline: it may be starting anew, but is given up after so many.
inline constexpr int kStoreTries = 6;

// Whether another try may have another answer.
inline bool may_pass(const Refusal& refusal) {
  return refusal.reason == Reason::kDisconnected || refusal.reason == Reason::kOverloaded;
}

// A call that was not answered.
inline Refusal store_away(const kj::Exception& exception) {
  return {Reason::kDisconnected, std::string("leat-store: ") + exception.getDescription().cStr()};
}

}  // namespace leat::agent
