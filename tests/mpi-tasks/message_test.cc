#include "mpi-tasks/message.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace leat::mpi {
namespace {

Result<Message> decode_text(const std::string& bytes) {
  return decode(std::as_bytes(std::span(bytes)));
}

Message full() {
  Message message;
  message.type = Message::Type::kFound;
  message.node = 1;
  message.rank = 2;
  message.id = 1ull << 40;
  message.status = -53;
  message.signalled = true;
  message.stage = Stage::kFinalized;
  message.gathering = Gathering::kDisconnect;
  message.flag = true;
  message.ranks = {0, 65'535};
  message.text = "text";
  message.bytes = std::string("\0b\xff", 3);
  message.keys = {"k", ""};
  message.entries = {{"name", 3, std::string("\0v", 2)}};
  message.peer = 4;
  return message;
}

TEST(Message, ComesBackAsItWent) {
  EXPECT_EQ(decode_text(encode(full())).value(), full());
  EXPECT_EQ(decode_text(encode(Message())).value(), Message());
}

TEST(Message, CutShortIsRefused) {
  const std::string good = encode(full());
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(decode_text(good.substr(0, length)).ok()) << length;
}

TEST(Message, DamagedIsReadOrRefusedButDoesNoHarm) {
  const std::string good = encode(full());
  Random random(4);
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    for (std::uint64_t i = random.below(4) + 1; i-- > 0;)
      bad[random.below(bad.size())] = static_cast<char>(random.below(256));
    const Result<Message> message = decode_text(bad);
    if (message.ok()) continue;
    EXPECT_EQ(message.refusal().message.find('\n'), std::string::npos);
  }
}

TEST(Message, OfALaterVersionIsRefused) {
  Message message;
  message.type = static_cast<Message::Type>(static_cast<int>(Message::Type::kLost) + 1);
  EXPECT_FALSE(decode_text(encode(message)).ok());
}

}  // namespace
}  // namespace leat::mpi
