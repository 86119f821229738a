#include "transport/wire_refusal.h"

#include <capnp/message.h>
#include <gtest/gtest.h>

namespace leat::transport {
namespace {

TEST(WireRefusal, ComesAsItWent) {
  for (const Reason reason :
       {Reason::kNotFound, Reason::kConflict, Reason::kInvalid, Reason::kOverloaded,
        Reason::kDisconnected, Reason::kNotInThisVersion}) {
    capnp::MallocMessageBuilder message;
    auto refusal = message.initRoot<schema::Refusal>();
    // A name that somebody gave us may have a zero in it.
    const std::string what("what\0 to do", 11);
    write_refusal({reason, what}, refusal);
    const Refusal read = read_refusal(refusal.asReader());
    EXPECT_EQ(read.reason, reason);
    EXPECT_EQ(read.message, what);
  }
}

TEST(WireRefusal, OfALaterVersionIsNoReasonToAskAgain) {
  capnp::MallocMessageBuilder message;
  auto refusal = message.initRoot<schema::Refusal>();
  refusal.setReason(static_cast<schema::Refusal::Reason>(999));
  EXPECT_EQ(read_refusal(refusal.asReader()).reason, Reason::kConflict);
}

}  // namespace
}  // namespace leat::transport
