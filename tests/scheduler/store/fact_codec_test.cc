#include "scheduler/store/fact_codec.h"

#include <capnp/any.h>
#include <gtest/gtest.h>

#include "scheduler/store/message_bytes.h"
#include "schema/facts.capnp.h"
#include "tests/scheduler/store/samples.h"

namespace leat::store {
namespace {

constexpr Time kAt{Duration{123'456'789}};
constexpr HeadEpoch kEpoch{7};

// Whole tests of bytes nobody wrote: any answer will do, but there must be one.
void expect_an_answer(std::string_view bytes) {
  const auto turn = decode_turn(std::as_bytes(std::span(bytes.data(), bytes.size())));
  if (turn.ok()) {
    EXPECT_LE(turn.value().facts.size(), bytes.size());
  } else {
    EXPECT_FALSE(turn.refusal().message.empty());
  }
}

TEST(FactCodec, GivesBackEveryFact) {
  Random random(1);
  for (std::size_t kind = 0; kind < std::variant_size_v<core::Fact>; ++kind) {
    for (int n = 0; n < 200; ++n) {
      const core::Fact fact = random_fact(kind, random);
      ASSERT_EQ(fact.index(), kind);
      const Result<DecodedTurn> turn = decode_turn(bytes_of(encode_turn({fact}, kAt, kEpoch)));
      ASSERT_TRUE(turn.ok()) << turn.refusal().message;
      EXPECT_EQ(turn.value().at, kAt);
      EXPECT_EQ(turn.value().epoch, kEpoch);
      ASSERT_EQ(turn.value().facts.size(), 1u);
      EXPECT_TRUE(same(turn.value().facts[0], fact)) << "kind " << kind << " round " << n;
    }
  }
}

TEST(FactCodec, KeepsTheOrderOfATurn) {
  Random random(2);
  core::Facts facts;
  for (int n = 0; n < 3000; ++n)
    facts.push_back(random_fact(random.below(std::variant_size_v<core::Fact>), random));
  const Result<DecodedTurn> turn = decode_turn(bytes_of(encode_turn(facts, kAt, kEpoch)));
  ASSERT_TRUE(turn.ok()) << turn.refusal().message;
  ASSERT_EQ(turn.value().facts.size(), facts.size());
  for (std::size_t n = 0; n < facts.size(); ++n)
    ASSERT_TRUE(same(turn.value().facts[n], facts[n])) << n;
}

TEST(FactCodec, ReadsBytesThatBeginAnywhere) {
  const std::string bytes = encode_turn({core::JobForgotten{JobId{5}}}, kAt, kEpoch);
  const std::string shifted = "x" + bytes;
  const auto turn = decode_turn(bytes_of(shifted).subspan(1));
  ASSERT_TRUE(turn.ok());
  EXPECT_TRUE(same(turn.value().facts[0], core::JobForgotten{JobId{5}}));
}

TEST(FactCodec, SurvivesEveryTruncation) {
  Random random(3);
  for (std::size_t kind = 0; kind < std::variant_size_v<core::Fact>; ++kind) {
    const std::string bytes =
        encode_turn({random_fact(kind, random), random_fact(kind, random)}, kAt, kEpoch);
    for (std::size_t length = 0; length < bytes.size(); ++length)
      expect_an_answer(std::string_view(bytes).substr(0, length));
  }
}

TEST(FactCodec, SurvivesEveryFlippedBit) {
  Random random(4);
  for (std::size_t kind = 0; kind < std::variant_size_v<core::Fact>; ++kind) {
    std::string bytes = encode_turn({random_fact(kind, random)}, kAt, kEpoch);
    // Long ones have been seen by their first bytes: what follows are values.
    const std::size_t length = std::min<std::size_t>(bytes.size(), 600);
    for (std::size_t bit = 0; bit < length * 8; ++bit) {
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      expect_an_answer(bytes);
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    }
  }
}

TEST(FactCodec, SurvivesNoise) {
  Random random(5);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = encode_turn(
        {random_fact(random.below(std::variant_size_v<core::Fact>), random)}, kAt, kEpoch);
    for (int n = 0; n < 8; ++n)
      bytes[random.below(bytes.size())] = static_cast<char>(random.next() & 0xff);
    expect_an_answer(bytes);
  }
}

std::string refused(const std::string& bytes) {
  const auto turn = decode_turn(bytes_of(bytes));
  return turn.ok() ? "" : turn.refusal().message;
}

TEST(FactCodec, RefusesWhatANewerVersionWrote) {
  const std::string later = to_bytes<schema::Turn>([](schema::Turn::Builder turn) {
    schema::Fact::Builder fact = turn.initFacts(1)[0];
    fact.initPoolDeleting();
    // The number of the kind is the only byte of the struct that is not zero.
    for (kj::byte& byte : capnp::toAny(fact).getDataSection())
      if (byte != 0) byte = 250;
  });
  EXPECT_NE(refused(later).find("fact of kind 250, which this version of the format (" +
                                std::to_string(kFormatVersion) + ") does not"),
            std::string::npos)
      << refused(later);

  const std::string state = to_bytes<schema::Turn>([](schema::Turn::Builder turn) {
    turn.initFacts(1)[0].initTasksSetAside().setState(
        static_cast<schema::TaskState>(core::kTaskStateCount));
  });
  EXPECT_NE(refused(state).find("a task state this version does not know"), std::string::npos);

  const std::string job = to_bytes<schema::Turn>([](schema::Turn::Builder turn) {
    turn.initFacts(1)[0].initJobEnded().setState(core::kJobStateCount);
  });
  EXPECT_NE(refused(job).find("a job state this version does not know"), std::string::npos);
}

TEST(FactCodec, KeepsOutcomesItDoesNotKnow) {
  core::RunsEnded ended{{{JobId{1}, 0}, 1, IndexList(Stride{0, 2, 1})}, {}, {}, {}, {}};
  ended.columns.outcome = Column<Outcome>(static_cast<Outcome>(999));
  const auto turn = decode_turn(bytes_of(encode_turn({ended}, kAt, kEpoch)));
  ASSERT_TRUE(turn.ok());
  EXPECT_TRUE(same(turn.value().facts[0], ended));
}

TEST(FactCodec, RefusesColumnsThatDoNotFitTheirRuns) {
  const std::string bytes = to_bytes<schema::Turn>([](schema::Turn::Builder turn) {
    auto ended = turn.initFacts(1)[0].initRunsEnded();
    ended.initRuns().initIndices(1)[0].setCount(5);
    ended.initColumns().initCode(4);
  });
  EXPECT_NE(refused(bytes).find("a column does not fit its runs"), std::string::npos);
}

TEST(FactCodec, SpendsFewBytesOnAFoldedBatch) {
  core::RunsEnded ended{{{JobId{1}, 0}, 1, IndexList(Stride{0, 4096, 1})}, {}, {}, {}, {}};
  const std::size_t empty = encode_turn({}, kAt, kEpoch).size();
  EXPECT_LT(encode_turn({ended}, kAt, kEpoch).size() - empty, 250u);
}

}  // namespace
}  // namespace leat::store
