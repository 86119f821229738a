#include <gtest/gtest.h>
#include <kj/debug.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <deque>
#include <vector>

#include "tests/transport/support.h"
#include "transport/listener.h"
#include "transport/openssl_handles.h"

namespace leat::transport {
namespace {

// A head's port that greets everybody it lets in with '!'. Its deadlines run by hand.
struct TlsListenerTest : testing::Test {
  TlsListenerTest() { open(cluster.issue(head_peer())); }
  ~TlsListenerTest() noexcept override {}

  void open(const Credentials& credentials) {
    listener = nullptr;
    server_context = make_context(credentials, deadlines);
    Result<kj::Own<TlsListener>> opened = TlsListener::open(
        loop.network(), deadlines, "127.0.0.1:0", *server_context,
        [this](Peer peer, kj::Own<kj::AsyncIoStream> stream) {
          peers.push_back(peer);
          kj::AsyncIoStream& inside = *stream;
          greetings = greetings.then([&inside] { return inside.write("!", 1); })
                          .catch_([](kj::Exception&&) {})
                          .eagerlyEvaluate(nullptr);
          streams.push_back(kj::mv(stream));
        },
        [this](std::string_view line) {
          complaints.emplace_back(line);
          if (complained.get() != nullptr) complained->fulfill();
        });
    ASSERT_TRUE(opened.ok());
    listener = std::move(opened).value();
  }

  // Connects as `credentials` say; true if greeted.
  bool gets_in(const Credentials& credentials, const std::string& name) {
    return gets_in(make_context(credentials, loop.timer()), name);
  }
  bool gets_in(const Credentials& credentials) { return gets_in(credentials, cluster.head_name()); }
  bool gets_in(kj::Own<kj::TlsContext> context, const std::string& name) {
    try {
      auto stream = loop.within(
          connect_tls(loop.network(), loop.timer(), local(listener->port()), *context, name));
      char byte = 0;
      return loop.within(stream->tryRead(&byte, 1, 1)) == 1 && byte == '!';
    } catch (const kj::Exception& exception) {
      last_error = exception.getDescription().cStr();
      return false;
    }
  }
  // Resolves at the listener's next complaint; they come at most once a second.
  kj::Promise<void> next_complaint() {
    deadlines.advanceTo(deadlines.now() + 1 * kj::SECONDS);
    auto pair = kj::newPromiseAndFulfiller<void>();
    complained = kj::mv(pair.fulfiller);
    return kj::mv(pair.promise);
  }

  Loop loop;
  kj::TimerImpl deadlines{kj::origin<kj::TimePoint>()};
  Cluster cluster;
  kj::Own<kj::TlsContext> server_context;
  std::vector<Peer> peers;
  std::vector<std::string> complaints;
  kj::Own<kj::PromiseFulfiller<void>> complained;
  std::string last_error;
  std::vector<kj::Own<kj::AsyncIoStream>> streams;
  kj::Promise<void> greetings = kj::READY_NOW;
  kj::Own<TlsListener> listener;
};

TEST_F(TlsListenerTest, LetsTheClusterInAndSaysWhoItIs) {
  EXPECT_TRUE(gets_in(cluster.issue(agent_peer(3, 9)))) << last_error;
  EXPECT_TRUE(gets_in(cluster.issue(user_peer(1000)))) << last_error;
  // A user's certificate where an agent is expected: visible, so that the caller can refuse.
  EXPECT_EQ(peers, (std::vector<Peer>{agent_peer(3, 9), user_peer(1000)}));
  EXPECT_EQ(listener->counts().accepted, 2u);
  EXPECT_EQ(listener->counts().refused, 0u);
}

TEST_F(TlsListenerTest, RefusesAClientWithoutACertificate) {
  auto bare = make_enrol_client_context(cluster.authority.certificate_der(), loop.timer());
  kj::Promise<void> complaint = next_complaint();
  EXPECT_FALSE(gets_in(kj::mv(bare), cluster.head_name()));
  loop.within(kj::mv(complaint));
  EXPECT_EQ(listener->counts().refused, 1u);
  EXPECT_EQ(complaints.size(), 1u);
  EXPECT_TRUE(peers.empty());
}

TEST_F(TlsListenerTest, RefusesAnotherClustersCertificate) {
  const Cluster other(cluster.id);
  Credentials foreign = other.issue(agent_peer(3, 9));
  foreign.authority_pem = cluster.authority.certificate_pem();
  EXPECT_FALSE(gets_in(foreign));
  EXPECT_TRUE(peers.empty());
}

TEST_F(TlsListenerTest, RefusesASelfSignedCertificate) {
  const Cluster self(cluster.id);
  const std::string pem = slurp(self.directory / "authority.pem");
  EXPECT_FALSE(gets_in({self.authority.certificate_pem(), pem.substr(0, pem.find("-----BEGIN C")),
                        cluster.authority.certificate_pem()}));
  EXPECT_TRUE(peers.empty());
}

TEST_F(TlsListenerTest, RefusesExpiredAndFutureCertificates) {
  const WallSeconds day = 86400;
  EXPECT_FALSE(gets_in(cluster.authority.issue(agent_peer(3, 9), wall_now() - 366 * day)));
  EXPECT_FALSE(gets_in(cluster.authority.issue(agent_peer(3, 9), wall_now() + day)));
  EXPECT_TRUE(peers.empty());
  EXPECT_TRUE(gets_in(cluster.authority.issue(agent_peer(3, 9), wall_now() - 364 * day)))
      << last_error;
}

// What an agent could make with its own key: a certificate that says "head".
Credentials forged_by(const Credentials& agent) {
  const CertificateHandle issuer = certificate_from_pem(agent.certificate_pem);
  const KeyHandle issuer_key = key_from_pem(agent.key_pem);
  const KeyHandle key = new_p256_key();
  const CertificateHandle made(X509_new());
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 77);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("head"), -1, -1, 0);
  X509_set_issuer_name(made.get(), X509_get_subject_name(issuer.get()));
  X509_set_pubkey(made.get(), key.get());
  X509_sign(made.get(), issuer_key.get(), EVP_sha256());
  return {to_pem(*made) + agent.certificate_pem, to_pem(*key), agent.authority_pem};
}

TEST_F(TlsListenerTest, RefusesACertificateThatAnAgentMadeItself) {
  const Credentials agent = cluster.issue(agent_peer(3, 9));
  EXPECT_FALSE(gets_in(forged_by(agent)));
  EXPECT_TRUE(peers.empty());
  EXPECT_TRUE(gets_in(agent)) << last_error;
}

TEST_F(TlsListenerTest, IsTrustedUnderItsOwnNameOnly) {
  const Credentials agent = cluster.issue(agent_peer(3, 9));
  for (const std::string& name :
       {server_name(Peer::Kind::kStore, cluster.id), server_name(Peer::Kind::kAgent, cluster.id),
        server_name(Peer::Kind::kHead, new_cluster_id()), std::string("127.0.0.1"),
        std::string("localhost"), std::string("head")}) {
    EXPECT_FALSE(gets_in(agent, name)) << name;
  }
  EXPECT_TRUE(gets_in(agent)) << last_error;
}

TEST_F(TlsListenerTest, AgentIsTrustedAsThatLifeOfThatNode) {
  open(cluster.issue(agent_peer(5, 6)));
  const Credentials reader = cluster.issue(agent_peer(3, 9));
  EXPECT_TRUE(gets_in(reader, agent_server_name({{5}, {6}}, cluster.id))) << last_error;
  EXPECT_TRUE(gets_in(reader, server_name(Peer::Kind::kAgent, cluster.id))) << last_error;
  EXPECT_FALSE(gets_in(reader, agent_server_name({{5}, {7}}, cluster.id)));
  EXPECT_FALSE(gets_in(reader, agent_server_name({{6}, {6}}, cluster.id)));
  EXPECT_FALSE(gets_in(reader, cluster.head_name()));
}

TEST_F(TlsListenerTest, UserCannotServe) {
  open(cluster.issue(user_peer(1000)));
  const Credentials agent = cluster.issue(agent_peer(3, 9));
  EXPECT_FALSE(gets_in(agent));
  EXPECT_FALSE(gets_in(agent, "user:1000"));
}

TEST_F(TlsListenerTest, ClosesOnGarbage) {
  const std::string hello_then_junk("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  for (const std::string& garbage :
       {std::string("GET / HTTP/1.0\r\n\r\n"), std::string(4, '\xff') + std::string(60, '\0'),
        std::string(100000, '\xff'), hello_then_junk + std::string(600, '\x41')}) {
    auto stream = loop.dial(listener->port());
    // The listener may close before it has taken all of it.
    loop.within(stream->write(garbage.data(), garbage.size()).catch_([](kj::Exception&&) {}));
    char answer[256];
    auto rest = stream->tryRead(answer, sizeof answer, sizeof answer)
                    .catch_([](kj::Exception&&) -> std::size_t { return 0; });
    EXPECT_LT(loop.within(kj::mv(rest)), sizeof answer) << "an alert at most, then the end";
  }
  EXPECT_EQ(listener->counts().refused, 4u);
  EXPECT_TRUE(peers.empty());
  EXPECT_EQ(complaints.size(), 1u) << "one line a second, and no second has passed";
  EXPECT_TRUE(gets_in(cluster.issue(agent_peer(3, 9)))) << last_error;
}

TEST_F(TlsListenerTest, BoundsSilentConnectionsInNumberAndTime) {
  std::deque<kj::Own<kj::AsyncIoStream>> silent;
  for (std::size_t i = 0; i < kUnauthenticatedMax + 6; ++i)
    silent.push_back(loop.dial(listener->port()));
  for (std::size_t i = kUnauthenticatedMax; i < silent.size(); ++i)
    EXPECT_TRUE(loop.within(loop.closed_silently(*silent[i]))) << i;
  EXPECT_EQ(listener->counts().overflow, 6u);
  EXPECT_FALSE(gets_in(cluster.issue(agent_peer(3, 9)))) << "full";

  // One leaves: one may come.
  kj::Promise<void> complaint = next_complaint();
  silent.pop_front();
  loop.within(kj::mv(complaint));
  EXPECT_TRUE(gets_in(cluster.issue(agent_peer(3, 9)))) << last_error;

  deadlines.advanceTo(kj::origin<kj::TimePoint>() + kHandshakeDeadline - 1 * kj::MILLISECONDS);
  kj::Promise<bool> oldest = loop.closed_silently(*silent.front());
  EXPECT_FALSE(oldest.poll(loop.io.waitScope));
  deadlines.advanceTo(kj::origin<kj::TimePoint>() + kHandshakeDeadline);
  EXPECT_TRUE(loop.within(kj::mv(oldest)));
  EXPECT_EQ(listener->counts().refused, kUnauthenticatedMax);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(gets_in(cluster.issue(agent_peer(3, 9)))) << last_error;
}

TEST_F(TlsListenerTest, WatchesItsSockets) {
  auto context = make_context(cluster.issue(agent_peer(3, 9)), loop.timer());
  auto client = loop.within(connect_tls(loop.network(), loop.timer(), local(listener->port()),
                                        *context, cluster.head_name()));
  char byte = 0;
  loop.within(client->read(&byte, 1));
  for (kj::AsyncIoStream* stream : {client.get(), streams.at(0).get()}) {
    const auto option = [stream](int level, int name) {
      int value = 0;
      kj::uint size = sizeof value;
      stream->getsockopt(level, name, &value, &size);
      return value;
    };
    EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 2);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 1);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 3);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
  }
}

// A TLS client that does what kj-tls would not: old versions, and handshakes that break off.
class RawClient {
 public:
  RawClient(int version, const Credentials& credentials)
      : context_(SSL_CTX_new(TLS_client_method())) {
    const OpensslScope scope;
    SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    const CertificateHandle certificate = certificate_from_pem(credentials.certificate_pem);
    const KeyHandle key = key_from_pem(credentials.key_pem);
    SSL_CTX_use_certificate(context_.get(), certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), key.get());
    ssl_.reset(SSL_new(context_.get()));
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), in_, out_);
  }

  // True if the handshake completes. Of the second flight only `cut` bytes are sent, then the end.
  bool handshake(Loop& loop, std::uint16_t port, std::size_t cut = ~std::size_t{0}) {
    auto stream = loop.dial(port);
    int flights = 0;
    for (int round = 0; round < 20; ++round) {
      const int done = SSL_connect(ssl_.get());
      const int error = SSL_get_error(ssl_.get(), done);
      ERR_clear_error();
      const std::string flight = take_flight();
      if (!flight.empty() && ++flights == 2) {
        second_flight_size = flight.size();
        if (cut < flight.size()) {
          if (cut > 0) loop.within(stream->write(flight.data(), cut));
          stream->shutdownWrite();
          std::vector<char> rest(4096);
          loop.within(stream->tryRead(rest.data(), rest.size(), rest.size())
                          .then([](std::size_t) {}, [](kj::Exception&&) {}));
          return false;
        }
      }
      if (!flight.empty()) loop.within(stream->write(flight.data(), flight.size()));
      if (done == 1) return true;
      if (error != SSL_ERROR_WANT_READ) return false;
      char buffer[4096];
      const std::size_t n = loop.within(
          stream->tryRead(buffer, 1, sizeof buffer).catch_([](kj::Exception&&) -> std::size_t {
            return 0;
          }));
      if (n == 0) return false;
      BIO_write(in_, buffer, static_cast<int>(n));
    }
    return false;
  }

  std::size_t second_flight_size = 0;

 private:
  std::string take_flight() {
    char* data = nullptr;
    const long size = BIO_get_mem_data(out_, &data);
    std::string flight(data, static_cast<std::size_t>(size));
    (void)BIO_reset(out_);
    return flight;
  }

  std::unique_ptr<SSL_CTX, OpensslFree<SSL_CTX_free>> context_;
  std::unique_ptr<SSL, OpensslFree<SSL_free>> ssl_;
  BIO* in_ = nullptr;   // owned by ssl_
  BIO* out_ = nullptr;  // owned by ssl_
};

TEST_F(TlsListenerTest, RefusesOldTls) {
  const Credentials agent = cluster.issue(agent_peer(3, 9));
  const std::uint16_t port = listener->port();
  EXPECT_FALSE(RawClient(TLS1_1_VERSION, agent).handshake(loop, port));
  EXPECT_FALSE(RawClient(TLS1_VERSION, agent).handshake(loop, port));
  EXPECT_TRUE(RawClient(TLS1_2_VERSION, agent).handshake(loop, port));
  EXPECT_TRUE(RawClient(TLS1_3_VERSION, agent).handshake(loop, port));
}

// Certificates are no secret: who shows one and leaves before proving that the key is there too
// must not pass for its owner.
TEST_F(TlsListenerTest, BelievesNoHandshakeThatBreaksOff) {
  const Credentials agent = cluster.issue(agent_peer(3, 9));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    RawClient whole(version, agent);
    ASSERT_TRUE(whole.handshake(loop, listener->port()));
    ASSERT_GT(whole.second_flight_size, 500u);
    const std::uint64_t refused_before = listener->counts().refused;
    std::uint64_t tried = 0;
    for (std::size_t cut = 0; cut < whole.second_flight_size - 8; cut += 13, ++tried)
      EXPECT_FALSE(RawClient(version, agent).handshake(loop, listener->port(), cut));
    EXPECT_EQ(listener->counts().refused, refused_before + tried);
  }
  EXPECT_LE(peers.size(), 2u) << "only the two whole ones";
}

TEST_F(TlsListenerTest, ListensOnNumericAddressesThatItCanBind) {
  const auto listens = [this](const std::string& address) {
    return TlsListener::open(loop.network(), deadlines, address, *server_context,
                             [](Peer, kj::Own<kj::AsyncIoStream>) {})
        .ok();
  };
  EXPECT_TRUE(listens("127.0.0.1:0"));
  EXPECT_FALSE(listens(local(listener->port()))) << "taken";
  for (const char* address : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                              "localhost:0", ":0", "*:0", "[::1:0", "::1", "1.2.3.4:0"})
    EXPECT_FALSE(listens(address)) << address;
}

TEST_F(TlsListenerTest, ConnectingToNobodyFails) {
  const std::uint16_t port = listener->port();
  listener = nullptr;
  auto context = make_context(cluster.issue(agent_peer(3, 9)), loop.timer());
  EXPECT_ANY_THROW(loop.within(
      connect_tls(loop.network(), loop.timer(), local(port), *context, cluster.head_name())));
}

}  // namespace
}  // namespace leat::transport
