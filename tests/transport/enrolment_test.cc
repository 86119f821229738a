#include "transport/enrolment.h"

#include <gtest/gtest.h>
#include <kj/debug.h>

#include <deque>

#include "tests/transport/support.h"
#include "transport/byte_codec.h"
#include "transport/openssl_handles.h"

namespace leat::transport {
namespace {

// A head's enrolment port that certifies the bearer of one secret. Its deadlines run by hand.
struct EnrolmentTest : testing::Test {
  EnrolmentTest() {
    token.secret = new_secret();
    token.authority_der = cluster.authority.certificate_der();
    token.cluster_id = cluster.id;
    token.node = {{7}, {12}};
    token.expires_wall_s = wall_now() + 900;
    Result<kj::Own<EnrolServer>> opened = EnrolServer::open(
        loop.network(), deadlines, "127.0.0.1:0", *context,
        [this](std::span<const std::byte> secret, std::span<const std::byte> request) {
          ++calls;
          if (silent) return kj::Promise<Result<std::string>>(kj::NEVER_DONE);
          if (!equal_in_constant_time(secret, token.secret))
            return kj::Promise<Result<std::string>>(Result<std::string>(invalid("no")));
          return kj::Promise<Result<std::string>>(
              cluster.authority.sign_request(request, certify_as, wall_now()));
        },
        [this](std::string_view line) {
          complaints.emplace_back(line);
          complained.fulfiller->fulfill();
        });
    server = std::move(opened).value();
    token.enrol_address = local(server->port());
  }
  ~EnrolmentTest() noexcept override {}

  Result<Credentials> enrol_with(const JoinToken& with) {
    return loop.within(enrol(loop.network(), loop.timer(), with, make_key_and_request()));
  }
  // A TLS connection to the port; what is sent there is the test's affair.
  kj::Own<kj::AsyncIoStream> connect() {
    return loop.within(connect_tls(loop.network(), loop.timer(), token.enrol_address,
                                   *client_context, cluster.head_name()));
  }
  // Whether the server hangs up on `frame` without an answer.
  bool hangs_up_on(const std::string& frame) {
    auto stream = connect();
    auto ended = loop.closed_silently(*stream);
    loop.within(stream->write(frame.data(), frame.size()).catch_([](kj::Exception&&) {}));
    return loop.within(kj::mv(ended));
  }
  static std::string frame(std::string_view magic, std::uint32_t length, std::size_t body) {
    ByteWriter writer;
    writer.raw(magic);
    writer.number(length);
    writer.raw(std::string(body, 'x'));
    return writer.bytes();
  }

  Loop loop;
  kj::TimerImpl deadlines{kj::origin<kj::TimePoint>()};
  Cluster cluster;
  JoinToken token;
  Peer certify_as = agent_peer(7, 12);
  bool silent = false;
  int calls = 0;
  std::vector<std::string> complaints;
  kj::PromiseFulfillerPair<void> complained = kj::newPromiseAndFulfiller<void>();
  kj::Own<kj::TlsContext> context =
      make_enrol_server_context(cluster.issue(head_peer()), deadlines);
  kj::Own<kj::TlsContext> client_context =
      make_enrol_client_context(cluster.authority.certificate_der(), loop.timer());
  kj::Own<EnrolServer> server;
};

TEST_F(EnrolmentTest, TurnsATokenIntoCredentials) {
  const JoinToken carried = decode_token(encode_token(token)).value();
  const Result<Credentials> mine = enrol_with(carried);
  ASSERT_TRUE(mine.ok()) << mine.refusal().message;
  EXPECT_TRUE(check_credentials(mine.value()).ok());
  EXPECT_EQ(cluster_id_of(mine.value()).value(), cluster.id);
  const CertificateHandle certificate = certificate_from_pem(mine.value().certificate_pem);
  EXPECT_EQ(subject_common_name(*certificate), "agent:7:12");
  EXPECT_EQ(mine.value().authority_pem, cluster.authority.certificate_pem());
}

TEST_F(EnrolmentTest, PassesOnTheHeadsRefusal) {
  JoinToken wrong = token;
  wrong.secret = new_secret();
  const Result<Credentials> none = enrol_with(wrong);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.refusal().reason, Reason::kConflict);
  EXPECT_EQ(none.refusal().message, "the head refused to enrol this node: no");
  loop.within(kj::mv(complained.promise));
  EXPECT_EQ(server->counts().refused, 1u);
  EXPECT_TRUE(enrol_with(token).ok());
}

TEST_F(EnrolmentTest, KeepsTheSecretFromAServerOfAnotherAuthority) {
  const Cluster impostor(cluster.id);
  JoinToken elsewhere = token;
  elsewhere.authority_der = impostor.authority.certificate_der();
  const Result<Credentials> none = enrol_with(elsewhere);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.refusal().reason, Reason::kInvalid);
  EXPECT_EQ(none.refusal().message, local(server->port()) +
                                        ": this is not the head that made the token: it shows "
                                        "another certificate, so the token was kept from it");
  EXPECT_EQ(calls, 0);
}

TEST_F(EnrolmentTest, KeepsTheSecretFromAServerThatIsNotTheHead) {
  server = nullptr;
  context = make_enrol_server_context(cluster.issue(agent_peer(7, 12)), deadlines);
  server = EnrolServer::open(
               loop.network(), deadlines, "127.0.0.1:0", *context,
               [this](std::span<const std::byte>, std::span<const std::byte>) {
                 ++calls;
                 return kj::Promise<Result<std::string>>(Result<std::string>(invalid("mine now")));
               })
               .value();
  token.enrol_address = local(server->port());
  const Result<Credentials> none = enrol_with(token);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.refusal().reason, Reason::kInvalid);
  EXPECT_EQ(none.refusal().message, local(server->port()) +
                                        ": this is not the head that made the token: it shows "
                                        "another certificate, so the token was kept from it");
  EXPECT_EQ(calls, 0);
}

TEST_F(EnrolmentTest, RefusesACertificateForSomebodyElse) {
  certify_as = agent_peer(8, 1);
  const Result<Credentials> none = enrol_with(token);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.refusal().reason, Reason::kInvalid);
}

TEST_F(EnrolmentTest, SaysWhenNobodyAnswers) {
  server = nullptr;
  const Result<Credentials> none = enrol_with(token);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.refusal().reason, Reason::kDisconnected);
}

TEST_F(EnrolmentTest, HangsUpOnFramesThatAreNotRequests) {
  EXPECT_TRUE(hangs_up_on(frame("LEATENR2", 100, 100)));
  EXPECT_TRUE(hangs_up_on(frame("GET / HT", 100, 100)));
  EXPECT_TRUE(hangs_up_on(frame("LEATENR1", 0, 0)));
  EXPECT_TRUE(hangs_up_on(frame("LEATENR1", 32, 32))) << "no request behind the secret";
  EXPECT_TRUE(hangs_up_on(frame("LEATENR1", kEnrolFrameMax - 11, 20000))) << "one byte too long";
  EXPECT_TRUE(hangs_up_on(frame("LEATENR1", 0xffffffffu, 100)));
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(server->counts().refused, 6u);
  EXPECT_EQ(complaints.size(), 1u) << "one line a second, and no second has passed";
  EXPECT_TRUE(enrol_with(token).ok());
  EXPECT_EQ(calls, 1);
}

TEST_F(EnrolmentTest, TakesTheLongestFrame) {
  EXPECT_FALSE(hangs_up_on(frame("LEATENR1", kEnrolFrameMax - 12, kEnrolFrameMax - 12)));
  EXPECT_EQ(calls, 1);
}

TEST_F(EnrolmentTest, HangsUpOnGarbageInPlaceOfTls) {
  auto stream = loop.dial(server->port());
  const std::string garbage = frame("LEATENR1", 100, 100);
  loop.within(stream->write(garbage.data(), garbage.size()));
  char answer[256];
  auto rest = stream->tryRead(answer, sizeof answer, sizeof answer)
                  .catch_([](kj::Exception&&) -> std::size_t { return 0; });
  EXPECT_LT(loop.within(kj::mv(rest)), sizeof answer);
  EXPECT_EQ(server->counts().refused, 1u);
}

TEST_F(EnrolmentTest, HangsUpOnTheSlow) {
  auto stalled = connect();
  const std::string half = frame("LEATENR1", 500, 250);
  auto ended = loop.closed_silently(*stalled);
  loop.within(stalled->write(half.data(), half.size()));
  deadlines.advanceTo(deadlines.now() + kEnrolDeadline - 1 * kj::MILLISECONDS);
  EXPECT_FALSE(ended.poll(loop.io.waitScope));
  deadlines.advanceTo(deadlines.now() + 1 * kj::MILLISECONDS);
  EXPECT_TRUE(loop.within(kj::mv(ended)));
  EXPECT_EQ(server->counts().refused, 1u);
  EXPECT_EQ(calls, 0);
}

TEST_F(EnrolmentTest, HangsUpWhenTheHeadIsSlow) {
  silent = true;
  auto stream = connect();
  auto ended = loop.closed_silently(*stream);
  const std::string request = frame("LEATENR1", 100, 100);
  loop.within(stream->write(request.data(), request.size()));
  EXPECT_FALSE(ended.poll(loop.io.waitScope));
  deadlines.advanceTo(deadlines.now() + kEnrolDeadline);
  EXPECT_TRUE(loop.within(kj::mv(ended)));
}

TEST_F(EnrolmentTest, BoundsSilentConnections) {
  std::deque<kj::Own<kj::AsyncIoStream>> strangers;
  for (std::size_t i = 0; i < kUnauthenticatedMax + 3; ++i)
    strangers.push_back(loop.dial(server->port()));
  for (std::size_t i = kUnauthenticatedMax; i < strangers.size(); ++i)
    EXPECT_TRUE(loop.within(loop.closed_silently(*strangers[i])));
  EXPECT_EQ(server->counts().overflow, 3u);
  deadlines.advanceTo(deadlines.now() + kEnrolDeadline);
  EXPECT_TRUE(loop.within(loop.closed_silently(*strangers.front())));
  EXPECT_TRUE(enrol_with(token).ok());
}

}  // namespace
}  // namespace leat::transport
