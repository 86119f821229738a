#include "transport/authority.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <set>

#include "tests/transport/support.h"
#include "transport/openssl_handles.h"
#include "transport/secret_file.h"

namespace leat::transport {
namespace {

// As `openssl x509 -text` shows it.
std::string text_of(const std::string& certificate_pem) {
  const CertificateHandle certificate = certificate_from_pem(certificate_pem);
  EXPECT_NE(certificate, nullptr);
  const BioHandle bio(BIO_new(BIO_s_mem()));
  X509_print(bio.get(), certificate.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Bytes request_der_with(KeyHandle key, const char* name) {
  const RequestHandle request(X509_REQ_new());
  X509_REQ_set_pubkey(request.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_REQ_sign(request.get(), key.get(), EVP_sha256());
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  const auto* first = reinterpret_cast<const std::byte*>(der);
  Bytes bytes(first, first + size);
  OPENSSL_free(der);
  return bytes;
}

TEST(Authority, IsTheSameAfterARestart) {
  const Cluster cluster;
  const ClusterAuthority again = ClusterAuthority::load(cluster.directory.path()).value();
  EXPECT_EQ(again.cluster_id(), cluster.id);
  EXPECT_EQ(again.fingerprint(), cluster.authority.fingerprint());
  EXPECT_EQ(again.certificate_pem(), cluster.authority.certificate_pem());
}

TEST(Authority, IsMadeOnlyOncePerDirectory) {
  const Cluster cluster;
  const auto again =
      ClusterAuthority::create(cluster.directory.path(), new_cluster_id(), wall_now());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.refusal().reason, Reason::kConflict);
  EXPECT_EQ(ClusterAuthority::load(cluster.directory.path()).value().cluster_id(), cluster.id);
}

TEST(Authority, SaysWhenThereIsNone) {
  const PrivateDirectory dir;
  const auto none = ClusterAuthority::load(dir.path());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.refusal().reason, Reason::kNotFound);
}

TEST(Authority, RefusesAKeyFileThatOthersCanRead) {
  const Cluster cluster;
  ::chmod((cluster.directory / "authority.pem").c_str(), 0644);
  const auto open = ClusterAuthority::load(cluster.directory.path());
  ASSERT_FALSE(open.ok());
  EXPECT_EQ(open.refusal().reason, Reason::kInvalid);
  EXPECT_NE(open.refusal().message.find("0644"), std::string::npos) << open.refusal().message;
}

TEST(Authority, RefusesADamagedFile) {
  const Cluster cluster;
  const std::string path = cluster.directory / "authority.pem";
  const std::string whole = slurp(path);
  for (const std::string& damaged :
       {std::string(), std::string("x"), whole.substr(0, whole.size() / 2),
        whole.substr(whole.find("-----BEGIN CERT")), std::string(1000, '\0')}) {
    spill(path, damaged);
    const auto read = ClusterAuthority::load(cluster.directory.path());
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.refusal().reason, Reason::kInvalid);
  }
  const Cluster other;
  const std::string foreign = slurp(other.directory / "authority.pem");
  spill(path, whole.substr(0, whole.find("-----BEGIN CERT")) +
                  foreign.substr(foreign.find("-----BEGIN CERT")));
  EXPECT_FALSE(ClusterAuthority::load(cluster.directory.path()).ok()) << "key of another";
  spill(path, whole);
  EXPECT_TRUE(ClusterAuthority::load(cluster.directory.path()).ok());
}

TEST(Authority, IssuesWhatEachKindMayBe) {
  const Cluster cluster;
  const std::string head = text_of(cluster.issue(head_peer()).certificate_pem);
  EXPECT_NE(head.find("DNS:head." + cluster.id), std::string::npos) << head;
  EXPECT_NE(head.find("TLS Web Server Authentication, TLS Web Client"), std::string::npos) << head;
  EXPECT_NE(head.find("CA:FALSE"), std::string::npos) << head;
  const std::string agent = text_of(cluster.issue(agent_peer(3, 9)).certificate_pem);
  EXPECT_NE(agent.find("DNS:agent." + cluster.id + ", DNS:agent-3-9." + cluster.id),
            std::string::npos)
      << agent;
  const std::string user = text_of(cluster.issue(user_peer(1000)).certificate_pem);
  EXPECT_EQ(user.find("DNS:"), std::string::npos) << user;
  EXPECT_EQ(user.find("TLS Web Server"), std::string::npos) << user;
}

TEST(Authority, GivesEveryCertificateItsOwnSerial) {
  const Cluster cluster;
  std::set<std::string> serials;
  for (int i = 0; i < 20; ++i) {
    const std::string text = text_of(cluster.issue(head_peer()).certificate_pem);
    const std::size_t at = text.find("Serial Number:");
    serials.insert(text.substr(at, text.find("Signature Algorithm", at) - at));
  }
  EXPECT_EQ(serials.size(), 20u);
}

TEST(Authority, TakesNothingButTheKeyFromARequest) {
  const Cluster cluster;
  const Bytes request = request_der_with(new_p256_key(), "head");
  const auto signed_pem = cluster.authority.sign_request(request, agent_peer(5, 6), wall_now());
  ASSERT_TRUE(signed_pem.ok());
  const CertificateHandle certificate = certificate_from_pem(signed_pem.value());
  EXPECT_EQ(subject_common_name(*certificate), "agent:5:6");
}

TEST(Authority, RefusesRequestsThatAreNotWhatTheyShouldBe) {
  const Cluster cluster;
  const auto sign = [&](const Bytes& der) {
    return cluster.authority.sign_request(der, agent_peer(1, 1), wall_now()).ok();
  };
  const KeyAndRequest good = make_key_and_request();
  EXPECT_TRUE(sign(good.request_der));
  EXPECT_FALSE(sign({}));
  EXPECT_FALSE(sign(Bytes(300, std::byte{0x30})));
  Bytes longer = good.request_der;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(sign(longer)) << "trailing byte";
  EXPECT_FALSE(sign(request_der_with(KeyHandle(EVP_RSA_gen(2048)), "x"))) << "not P-256";
  EXPECT_FALSE(sign(request_der_with(KeyHandle(EVP_EC_gen("P-384")), "x"))) << "not P-256";
  // Every single flipped byte breaks the structure or the proof that the key is theirs.
  for (std::size_t i = 0; i < good.request_der.size(); ++i) {
    Bytes flipped = good.request_der;
    flipped[i] ^= std::byte{0x01};
    EXPECT_FALSE(sign(flipped)) << "byte " << i;
  }
  EXPECT_EQ(ERR_peek_error(), 0u) << "an error left here would break kj-tls's next call";
}

TEST(Credentials, SurviveBeingSaved) {
  const Cluster cluster;
  const PrivateDirectory dir;
  const auto none = load_credentials(dir.path());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.refusal().reason, Reason::kNotFound);
  const Credentials mine = cluster.issue(agent_peer(1, 2));
  ASSERT_TRUE(save_credentials(dir.path(), mine).ok());
  const Credentials read = load_credentials(dir.path()).value();
  EXPECT_EQ(read.key_pem, mine.key_pem);
  EXPECT_EQ(read.certificate_pem, mine.certificate_pem);
  EXPECT_EQ(read.authority_pem, mine.authority_pem);
  EXPECT_EQ(cluster_id_of(read).value(), cluster.id);
}

TEST(Credentials, AreRefusedWhenTheirPartsDoNotBelongTogether) {
  const Cluster cluster;
  const Cluster other;
  const Credentials one = cluster.issue(agent_peer(1, 2));
  const Credentials two = cluster.issue(agent_peer(3, 4));
  EXPECT_TRUE(check_credentials(one).ok());
  EXPECT_FALSE(check_credentials({one.certificate_pem, two.key_pem, one.authority_pem}).ok());
  EXPECT_FALSE(
      check_credentials({one.certificate_pem, one.key_pem, other.authority.certificate_pem()})
          .ok());
  EXPECT_FALSE(check_credentials({"", one.key_pem, one.authority_pem}).ok());
  EXPECT_FALSE(check_credentials({one.certificate_pem, "", one.authority_pem}).ok());
  EXPECT_FALSE(check_credentials({one.certificate_pem, one.key_pem, ""}).ok());
  const PrivateDirectory dir;
  spill(dir / "credentials.pem", one.key_pem + one.certificate_pem);
  EXPECT_FALSE(load_credentials(dir.path()).ok());
}

TEST(ClusterId, IsSixteenBase32CharactersAndNeverTheSame) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) ids.insert(new_cluster_id());
  EXPECT_EQ(ids.size(), 100u);
  for (const std::string& id : ids) EXPECT_TRUE(is_cluster_id(id)) << id;
  for (const char* text : {"", "abc", "aaaaaaaaaaaaaaa1", "AAAAAAAAAAAAAAAA", "aaaaaaaaaaaaaaaaa"})
    EXPECT_FALSE(is_cluster_id(text)) << text;
}

}  // namespace
}  // namespace leat::transport
