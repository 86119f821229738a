#include "transport/ticket.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "tests/transport/support.h"

namespace leat::transport {
namespace {

constexpr WallSeconds kNow = 1'800'000'000;

Ticket sample() {
  Ticket ticket;
  ticket.right = Ticket::Right::kRead;
  ticket.job = {17};
  ticket.stage = 2;
  ticket.indices = {{0, 10, 1}, {100, 5, 3}};
  ticket.blob_hash[3] = std::byte{9};
  ticket.reader = "agent:3:9";
  ticket.expires_wall_s = kNow + 60;
  return ticket;
}

struct TicketTest : testing::Test {
  PrivateDirectory dir;
  TicketSigner signer = TicketSigner::open(dir.path()).value();
  TicketVerifier verifier{signer.public_key()};
};

TEST_F(TicketTest, IsBelievedByItsReaderUntilItExpires) {
  const std::string bytes = signer.sign(sample()).value();
  EXPECT_EQ(verifier.verify(bytes, "agent:3:9", kNow).value(), sample());
  EXPECT_EQ(verifier.verify(bytes, "agent:3:9", kNow + 59).value(), sample());
  EXPECT_FALSE(verifier.verify(bytes, "agent:3:9", kNow + 60).ok());
  for (const char* reader : {"agent:3:8", "agent:3:10", "agent:33:9", "head", "user:0", ""})
    EXPECT_FALSE(verifier.verify(bytes, reader, kNow).ok()) << reader;
}

TEST_F(TicketTest, IsRefusedWithAnyBitFlipped) {
  const std::string bytes = signer.sign(sample()).value();
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string forged = bytes;
    forged[bit / 8] = static_cast<char>(forged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(verifier.verify(forged, "agent:3:9", kNow).ok()) << "bit " << bit;
  }
}

TEST_F(TicketTest, IsRefusedWhenCutOrExtended) {
  const std::string bytes = signer.sign(sample()).value();
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(verifier.verify(bytes.substr(0, n), "agent:3:9", kNow).ok()) << n;
  EXPECT_FALSE(verifier.verify(bytes + '\0', "agent:3:9", kNow).ok());
  EXPECT_FALSE(verifier.verify('\0' + bytes, "agent:3:9", kNow).ok());
  EXPECT_FALSE(verifier.verify(bytes + bytes, "agent:3:9", kNow).ok());
}

TEST_F(TicketTest, IsRefusedWhenRandom) {
  Random random(4711);
  for (int i = 0; i < 500; ++i) {
    std::string bytes(random.below(400), '\0');
    for (char& c : bytes) c = static_cast<char>(random.next());
    EXPECT_FALSE(verifier.verify(bytes, "agent:3:9", kNow).ok());
  }
  EXPECT_FALSE(verifier.verify(std::string(kTicketBytesMax + 1, 'x'), "agent:3:9", kNow).ok());
}

TEST_F(TicketTest, IsRefusedWhenAnotherHeadSignedIt) {
  const PrivateDirectory elsewhere;
  const TicketSigner other = TicketSigner::open(elsewhere.path()).value();
  const std::string bytes = other.sign(sample()).value();
  EXPECT_TRUE(TicketVerifier(other.public_key()).verify(bytes, "agent:3:9", kNow).ok());
  EXPECT_FALSE(verifier.verify(bytes, "agent:3:9", kNow).ok());
  EXPECT_FALSE(TicketVerifier(PublicKey{}).verify(bytes, "agent:3:9", kNow).ok());
}

TEST_F(TicketTest, CannotHaveTheSignatureOfAnother) {
  Ticket wider = sample();
  wider.indices.clear();
  const std::string one = signer.sign(sample()).value();
  const std::string two = signer.sign(wider).value();
  const std::string mixed = two.substr(0, two.size() - 64) + one.substr(one.size() - 64);
  EXPECT_FALSE(verifier.verify(mixed, "agent:3:9", kNow).ok());
}

TEST_F(TicketTest, HasABoundedNumberOfRanges) {
  Ticket ticket = sample();
  ticket.reader = std::string(kTicketReaderMax, 'r');
  ticket.indices.clear();
  for (Index i = 0; i < kTicketStridesMax; ++i) ticket.indices.push_back({i * 4, 2, 1});
  const std::string bytes = signer.sign(ticket).value();
  EXPECT_EQ(verifier.verify(bytes, ticket.reader, kNow).value(), ticket);
  ticket.indices.push_back({1'000'000, 1, 1});
  EXPECT_FALSE(signer.sign(ticket).ok());
}

TEST_F(TicketTest, NamesOnlyPossibleRanges) {
  Ticket ticket = sample();
  ticket.indices = {{5, 0, 1}};
  EXPECT_FALSE(signer.sign(ticket).ok());
  ticket.indices = {{kIndexLimit, 1, 1}};
  EXPECT_FALSE(signer.sign(ticket).ok());
}

TEST_F(TicketTest, CoversItsIndicesAndNoOthers) {
  const Ticket ticket = sample();
  for (const Index in : {0u, 9u, 100u, 103u, 112u}) EXPECT_TRUE(ticket.covers(in)) << in;
  for (const Index out : {10u, 99u, 101u, 113u, 115u}) EXPECT_FALSE(ticket.covers(out)) << out;
  Ticket whole = ticket;
  whole.indices.clear();
  EXPECT_TRUE(whole.covers(10));
}

TEST_F(TicketTest, KeyIsTheSameAfterARestart) {
  const TicketSigner again = TicketSigner::open(dir.path()).value();
  EXPECT_EQ(again.public_key(), signer.public_key());
  const std::string bytes = again.sign(sample()).value();
  EXPECT_TRUE(verifier.verify(bytes, "agent:3:9", kNow).ok());
}

TEST_F(TicketTest, KeyIsRefusedWhenOpenToOthersOrDamaged) {
  const std::string path = dir / "ticket.key";
  ::chmod(path.c_str(), 0640);
  EXPECT_FALSE(TicketSigner::open(dir.path()).ok());
  ::chmod(path.c_str(), 0600);
  EXPECT_TRUE(TicketSigner::open(dir.path()).ok());
  const Cluster cluster;
  spill(path, cluster.issue(head_peer()).key_pem);
  EXPECT_FALSE(TicketSigner::open(dir.path()).ok()) << "a key of another kind";
  spill(path, "");
  EXPECT_FALSE(TicketSigner::open(dir.path()).ok());
}

}  // namespace
}  // namespace leat::transport
