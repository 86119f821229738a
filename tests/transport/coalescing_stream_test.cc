#include "transport/coalescing_stream.h"

#include <gtest/gtest.h>
#include <kj/debug.h>

#include <string>
#include <vector>

namespace leat::transport {
namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// An inner stream whose every step the test sees and gives.
class ScriptedStream final : public kj::AsyncIoStream {
 public:
  struct Write {
    std::string bytes;
    kj::Own<kj::PromiseFulfiller<void>> done;
  };
  struct Read {
    char* buffer;
    std::size_t min_bytes;
    std::size_t max_bytes;
    kj::Own<kj::PromiseFulfiller<std::size_t>> done;
  };
  struct Script {
    std::vector<Write> writes;
    std::vector<Read> reads;
    int shutdowns = 0;
  };

  explicit ScriptedStream(Script& script) : script_(script) {}

  kj::Promise<std::size_t> tryRead(void* buffer, std::size_t min_bytes,
                                   std::size_t max_bytes) override {
    auto pair = kj::newPromiseAndFulfiller<std::size_t>();
    script_.reads.push_back(
        {static_cast<char*>(buffer), min_bytes, max_bytes, kj::mv(pair.fulfiller)});
    return kj::mv(pair.promise);
  }
  kj::Promise<void> write(const void* buffer, std::size_t size) override {
    auto pair = kj::newPromiseAndFulfiller<void>();
    script_.writes.push_back(
        {std::string(static_cast<const char*>(buffer), size), kj::mv(pair.fulfiller)});
    return kj::mv(pair.promise);
  }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>>) override {
    return KJ_EXCEPTION(UNIMPLEMENTED, "writes in pieces");
  }
  kj::Promise<void> whenWriteDisconnected() override { return kj::NEVER_DONE; }
  void shutdownWrite() override { ++script_.shutdowns; }

 private:
  Script& script_;
};

#pragma GCC diagnostic pop

struct CoalescingTest : testing::Test {
  ~CoalescingTest() noexcept override {}

  kj::Promise<void> write(const std::string& text) {
    return stream->write(text.data(), text.size());
  }
  void turn() { scope.poll(); }
  // Answers the one pending inner read with `bytes`.
  void deliver(const std::string& bytes) {
    ASSERT_FALSE(script.reads.empty());
    ScriptedStream::Read& read = script.reads.back();
    ASSERT_LE(bytes.size(), read.max_bytes);
    bytes.copy(read.buffer, bytes.size());
    auto done = kj::mv(read.done);
    done->fulfill(bytes.size());
  }
  static kj::Exception::Type type_of(kj::Promise<void> promise, kj::WaitScope& scope) {
    try {
      promise.wait(scope);
    } catch (const kj::Exception& exception) {
      return exception.getType();
    }
    ADD_FAILURE() << "did not fail";
    return kj::Exception::Type::UNIMPLEMENTED;
  }

  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  ScriptedStream::Script script;
  kj::Own<CoalescingStream> stream = kj::heap<CoalescingStream>(kj::heap<ScriptedStream>(script));
};

constexpr auto kLost = kj::Exception::Type::DISCONNECTED;

TEST_F(CoalescingTest, WritesOncePerTurn) {
  std::string all;
  std::vector<kj::Promise<void>> accepted;
  for (int i = 0; i < 100; ++i) {
    all += std::to_string(i);
    accepted.push_back(write(std::to_string(i)));
  }
  EXPECT_TRUE(script.writes.empty()) << "the turn is not over";
  turn();
  ASSERT_EQ(script.writes.size(), 1u);
  EXPECT_EQ(script.writes[0].bytes, all);
  EXPECT_EQ(stream->bytes_out(), all.size());
}

TEST_F(CoalescingTest, ReadsNoFurtherWhileItsAnswersAreNotTaken) {
  stream = kj::heap<CoalescingStream>(kj::heap<ScriptedStream>(script), true);
  char buffer[8];
  const std::string answer(CoalescingStream::kBufferedMax + 1, 'x');
  kj::Promise<void> written = write(answer);
  turn();
  EXPECT_FALSE(stream->when_writable().poll(scope));
  kj::Promise<std::size_t> read = stream->tryRead(buffer, 1, sizeof buffer);
  EXPECT_FALSE(read.poll(scope));
  EXPECT_TRUE(script.reads.empty());
  script.writes[0].done->fulfill();
  turn();
  written.wait(scope);
  EXPECT_TRUE(stream->when_writable().poll(scope));
  ASSERT_EQ(script.reads.size(), 1u);
  deliver("abc");
  EXPECT_EQ(read.wait(scope), 3u);
}

TEST_F(CoalescingTest, StopsWaitingToReadWhenTheStreamIsLost) {
  stream = kj::heap<CoalescingStream>(kj::heap<ScriptedStream>(script), true);
  char buffer[8];
  kj::Promise<void> written = write(std::string(CoalescingStream::kBufferedMax + 1, 'x'));
  turn();
  kj::Promise<std::size_t> read = stream->tryRead(buffer, 1, sizeof buffer);
  EXPECT_FALSE(read.poll(scope));
  script.writes[0].done->reject(KJ_EXCEPTION(FAILED, "reset"));
  turn();
  EXPECT_EQ(type_of(read.ignoreResult(), scope), kLost);
  EXPECT_EQ(type_of(kj::mv(written), scope), kLost);
}

TEST_F(CoalescingTest, GathersWhileAWriteIsUnderWay) {
  std::vector<kj::Promise<void>> accepted;
  for (int i = 0; i < 100; ++i) accepted.push_back(write("ab"));
  turn();
  ASSERT_EQ(script.writes.size(), 1u);
  EXPECT_EQ(script.writes[0].bytes.size(), 200u);
  for (int i = 0; i < 50; ++i) accepted.push_back(write("cd"));
  turn();
  EXPECT_EQ(script.writes.size(), 1u);
  script.writes[0].done->fulfill();
  turn();
  ASSERT_EQ(script.writes.size(), 2u);
  EXPECT_EQ(script.writes[1].bytes.size(), 100u);
  for (auto& promise : accepted) EXPECT_TRUE(promise.poll(scope));
}

TEST_F(CoalescingTest, GathersTheTurnInWhichAWriteEnds) {
  write("first").wait(scope);
  turn();
  ASSERT_EQ(script.writes.size(), 1u);
  write("x").wait(scope);
  script.writes[0].done->fulfill();
  kj::Promise<void> later = kj::evalLater([this] { return write("y"); }).eagerlyEvaluate(nullptr);
  turn();
  ASSERT_EQ(script.writes.size(), 2u);
  EXPECT_EQ(script.writes[1].bytes, "xy");
}

TEST_F(CoalescingTest, WritesPiecesInOrder) {
  const std::string a = "alpha";
  const std::string b = "beta";
  const kj::ArrayPtr<const kj::byte> pieces[] = {kj::StringPtr(a.c_str()).asBytes(), nullptr,
                                                 kj::StringPtr(b.c_str()).asBytes()};
  stream->write(kj::arrayPtr(pieces, 3)).wait(scope);
  turn();
  ASSERT_EQ(script.writes.size(), 1u);
  EXPECT_EQ(script.writes[0].bytes, "alphabeta");
}

TEST_F(CoalescingTest, MakesAWriterWaitWhileTooMuchIsUnderWay) {
  EXPECT_TRUE(write(std::string(CoalescingStream::kBufferedMax, 'x')).poll(scope));
  turn();
  kj::Promise<void> waiting = write("y");
  kj::Promise<void> waiting_too = write("z");
  turn();
  EXPECT_FALSE(waiting.poll(scope));
  ASSERT_EQ(script.writes.size(), 1u);
  script.writes[0].done->fulfill();
  EXPECT_TRUE(waiting.poll(scope));
  EXPECT_TRUE(waiting_too.poll(scope));
  turn();
  ASSERT_EQ(script.writes.size(), 2u);
  EXPECT_EQ(script.writes[1].bytes, "yz");
}

TEST_F(CoalescingTest, ReadsAhead) {
  char buffer[4] = {};
  kj::Promise<std::size_t> first = stream->tryRead(buffer, 2, 2);
  EXPECT_FALSE(first.poll(scope));
  ASSERT_EQ(script.reads.size(), 1u);
  EXPECT_EQ(script.reads[0].min_bytes, 2u);
  EXPECT_EQ(script.reads[0].max_bytes, CoalescingStream::kReadAhead);
  deliver("abcdefg");
  EXPECT_EQ(first.wait(scope), 2u);
  EXPECT_EQ(std::string(buffer, 2), "ab");
  EXPECT_EQ(stream->tryRead(buffer, 1, 4).wait(scope), 4u);
  EXPECT_EQ(std::string(buffer, 4), "cdef");
  EXPECT_EQ(script.reads.size(), 1u);
  // One byte is left and three are wanted: exactly two more must come.
  kj::Promise<std::size_t> rest = stream->tryRead(buffer, 3, 3);
  ASSERT_EQ(script.reads.size(), 2u);
  EXPECT_EQ(script.reads[1].min_bytes, 2u);
  deliver("hi");
  EXPECT_EQ(rest.wait(scope), 3u);
  EXPECT_EQ(std::string(buffer, 3), "ghi");
  EXPECT_EQ(stream->bytes_in(), 9u);
}

TEST_F(CoalescingTest, ReadsBigThingsStraightToTheirPlace) {
  std::string big(CoalescingStream::kReadAhead, '\0');
  kj::Promise<std::size_t> read = stream->tryRead(big.data(), big.size(), big.size());
  ASSERT_EQ(script.reads.size(), 1u);
  EXPECT_EQ(script.reads[0].buffer, big.data());
  deliver(std::string(big.size(), 'q'));
  EXPECT_EQ(read.wait(scope), big.size());
  EXPECT_EQ(big, std::string(big.size(), 'q'));
}

TEST_F(CoalescingTest, EndsCleanlyBetweenMessages) {
  char buffer[4];
  kj::Promise<std::size_t> read = stream->tryRead(buffer, 1, 4);
  kj::Promise<void> lost = stream->on_lost();
  EXPECT_FALSE(lost.poll(scope));
  deliver("");
  EXPECT_EQ(read.wait(scope), 0u);
  EXPECT_TRUE(lost.poll(scope));
  EXPECT_EQ(type_of(write("x"), scope), kLost);
}

TEST_F(CoalescingTest, IsLostWhenItEndsWithinAMessage) {
  char buffer[4];
  kj::Promise<std::size_t> read = stream->tryRead(buffer, 4, 4);
  deliver("ab");
  EXPECT_EQ(type_of(read.ignoreResult(), scope), kLost);
  EXPECT_TRUE(stream->on_lost().poll(scope));
}

TEST_F(CoalescingTest, IsLostWhenAReadFailsWhateverTheError) {
  char buffer[4];
  kj::Promise<std::size_t> read = stream->tryRead(buffer, 4, 4);
  script.reads[0].done->reject(KJ_EXCEPTION(FAILED, "TLS protocol error"));
  EXPECT_EQ(type_of(read.ignoreResult(), scope), kLost);
  EXPECT_TRUE(stream->on_lost().poll(scope));
  EXPECT_EQ(type_of(write("x"), scope), kLost);
  EXPECT_EQ(type_of(stream->tryRead(buffer, 1, 1).ignoreResult(), scope), kLost);
}

TEST_F(CoalescingTest, TellsReaderAndWritersWhenAWriteFails) {
  char buffer[4];
  kj::Promise<std::size_t> read = stream->tryRead(buffer, 4, 4);
  kj::Promise<void> waiting = write(std::string(CoalescingStream::kBufferedMax + 1, 'x'));
  turn();
  ASSERT_EQ(script.writes.size(), 1u);
  EXPECT_FALSE(waiting.poll(scope));
  script.writes[0].done->reject(KJ_EXCEPTION(FAILED, "broken pipe"));
  EXPECT_EQ(type_of(kj::mv(waiting), scope), kLost);
  EXPECT_EQ(type_of(read.ignoreResult(), scope), kLost);
  EXPECT_EQ(type_of(write("x"), scope), kLost);
  EXPECT_TRUE(stream->on_lost().poll(scope));
}

TEST_F(CoalescingTest, ShutsDownAfterWhatWasWritten) {
  write("last words").wait(scope);
  stream->shutdownWrite();
  turn();
  ASSERT_EQ(script.writes.size(), 1u);
  EXPECT_EQ(script.shutdowns, 0);
  script.writes[0].done->fulfill();
  turn();
  EXPECT_EQ(script.shutdowns, 1);
}

TEST_F(CoalescingTest, GoesAwayWithReadsAndWritesPending) {
  char buffer[4];
  {
    kj::Promise<std::size_t> read = stream->tryRead(buffer, 4, 4);
    EXPECT_TRUE(write("x").poll(scope));
    turn();
  }
  stream = nullptr;
  turn();
}

}  // namespace
}  // namespace leat::transport
