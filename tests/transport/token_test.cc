#include "transport/token.h"

#include <gtest/gtest.h>

#include "tests/transport/support.h"

namespace leat::transport {
namespace {

JoinToken token_of(const Cluster& cluster) {
  JoinToken token;
  token.secret = new_secret();
  token.authority_der = cluster.authority.certificate_der();
  token.cluster_id = cluster.id;
  token.node = {{7}, {12}};
  token.enrol_address = "127.0.0.1:4711";
  token.expires_wall_s = 1'900'000'000;
  return token;
}

TEST(JoinToken, SurvivesItsTextForm) {
  const Cluster cluster;
  const JoinToken token = token_of(cluster);
  const std::string text = encode_token(token);
  EXPECT_EQ(text.substr(0, 6), "leat1.");
  EXPECT_EQ(text.find_first_of(" \n+/="), std::string::npos);
  EXPECT_EQ(decode_token(text).value(), token);
  EXPECT_EQ(decode_token("  " + text + "\r\n").value(), token);
}

TEST(JoinToken, MayNameThePoolAndWhereAgentsJoin) {
  const Cluster cluster;
  JoinToken token = token_of(cluster);
  const std::string before = encode_token(token);
  token.pool = "lab";
  token.agent_address = "10.0.0.7:4712";
  const std::string text = encode_token(token);
  EXPECT_EQ(decode_token(text).value(), token);
  EXPECT_NE(text, before);
  for (std::size_t i = 0; i < text.size(); ++i)
    EXPECT_FALSE(decode_token(text.substr(0, i)).ok()) << "cut at " << i;
}

TEST(JoinToken, IsRefusedWithAnyCharacterChangedOrCut) {
  const Cluster cluster;
  const std::string text = encode_token(token_of(cluster));
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(decode_token(changed).ok()) << "character " << i;
    EXPECT_FALSE(decode_token(text.substr(0, i)).ok()) << "cut at " << i;
  }
  EXPECT_TRUE(decode_token(text).ok());
}

TEST(JoinToken, IsRefusedWhenItIsGarbage) {
  for (const std::string& text :
       {std::string(), std::string("leat1."), std::string("leat1.AAAA"), std::string("leat2.AAAA"),
        std::string("leat1.AA=="), std::string("hello"), std::string("\0\0\0\0", 4),
        "leat1." + std::string(kTokenTextMax, 'A'), "leat1." + std::string(500, 'A')})
    EXPECT_FALSE(decode_token(text).ok()) << text.substr(0, 20);
}

TEST(JoinToken, CarriesTheAuthorityOfItsOwnClusterOnly) {
  const Cluster cluster;
  const Cluster other;
  JoinToken token = token_of(cluster);
  token.authority_der = other.authority.certificate_der();
  EXPECT_DEATH((void)encode_token(token), "is_sensible");
}

TEST(TokenSecret, IsNeverTheSameAndIsKeptAsItsHash) {
  const Secret a = new_secret();
  const Secret b = new_secret();
  EXPECT_NE(a, b);
  EXPECT_TRUE(equal_in_constant_time(token_hash(a), token_hash(a)));
  EXPECT_FALSE(equal_in_constant_time(token_hash(a), token_hash(b)));
  EXPECT_FALSE(equal_in_constant_time(a, std::span(a).first(31)));
  // SHA-256 of nothing, as every other program computes it.
  EXPECT_EQ(token_hash({})[0], std::byte{0xe3});
  EXPECT_EQ(token_hash({})[31], std::byte{0x55});
}

}  // namespace
}  // namespace leat::transport
