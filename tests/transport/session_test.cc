#include "transport/session.h"

#include <gtest/gtest.h>
#include <kj/debug.h>

#include <deque>
#include <string>

#include "tests/transport/echo.capnp.h"
#include "tests/transport/support.h"
#include "transport/listener.h"

namespace leat::transport {
namespace {

using test::Echo;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class EchoServer final : public Echo::Server {
 public:
  struct Held {
    std::uint32_t calls = 0;
    std::deque<kj::Own<kj::PromiseFulfiller<void>>> answers;
  };

  explicit EchoServer(Held& held) : held_(held) {}

 private:
  kj::Promise<void> echo(EchoContext context) override {
    context.getResults().setData(context.getParams().getData());
    return kj::READY_NOW;
  }
  kj::Promise<void> hold(HoldContext) override {
    ++held_.calls;
    auto pair = kj::newPromiseAndFulfiller<void>();
    held_.answers.push_back(kj::mv(pair.fulfiller));
    return kj::mv(pair.promise);
  }
  kj::Promise<void> count(CountContext context) override {
    context.getResults().setCalls(held_.calls);
    return kj::READY_NOW;
  }

  Held& held_;
};

#pragma GCC diagnostic pop

// Two sessions on the ends of a pipe; the accepted one serves Echo.
struct SessionTest : testing::Test {
  ~SessionTest() noexcept override {}

  void start(const SessionLimits& server_limits, const SessionLimits& client_limits) {
    kj::TwoWayPipe pipe = kj::newTwoWayPipe();
    server = kj::heap<Session>(kj::mv(pipe.ends[0]), Session::Side::kAccepted,
                               kj::heap<EchoServer>(held), server_limits);
    client =
        kj::heap<Session>(kj::mv(pipe.ends[1]), Session::Side::kConnected, nullptr, client_limits);
  }
  std::size_t echoed(Echo::Client echo, kj::uint size) {
    auto request = echo.echoRequest();
    request.initData(size);
    return loop.within(request.send().then([](auto&& answer) { return answer.getData().size(); }));
  }
  kj::Promise<void> hold(Echo::Client echo, kj::uint size = 0) {
    auto request = echo.holdRequest();
    request.initData(size);
    return request.send().ignoreResult();
  }
  kj::Exception::Type failure_of(kj::Promise<void> promise) {
    try {
      loop.within(kj::mv(promise));
    } catch (const kj::Exception& exception) {
      return exception.getType();
    }
    ADD_FAILURE() << "did not fail";
    return kj::Exception::Type::UNIMPLEMENTED;
  }

  Loop loop;
  EchoServer::Held held;
  kj::Own<Session> server;
  kj::Own<Session> client;
};

constexpr auto kLost = kj::Exception::Type::DISCONNECTED;

TEST_F(SessionTest, CarriesCallsAndCountsTheirBytes) {
  start(kHeadLimits, kAgentLimits);
  EXPECT_EQ(echoed(client->peer().castAs<Echo>(), 100'000), 100'000u);
  EXPECT_GT(client->bytes_out(), 100'000u);
  EXPECT_LT(client->bytes_out(), 101'000u);
  loop.io.waitScope.poll();
  EXPECT_EQ(client->bytes_out(), server->bytes_in());
  EXPECT_EQ(client->bytes_in(), server->bytes_out());
}

TEST_F(SessionTest, ServesBothWays) {
  kj::TwoWayPipe pipe = kj::newTwoWayPipe();
  server = kj::heap<Session>(kj::mv(pipe.ends[0]), Session::Side::kAccepted, nullptr, kHeadLimits);
  client = kj::heap<Session>(kj::mv(pipe.ends[1]), Session::Side::kConnected,
                             kj::heap<EchoServer>(held), kAgentLimits);
  EXPECT_EQ(echoed(server->peer().castAs<Echo>(), 10), 10u);
  EXPECT_ANY_THROW(echoed(client->peer().castAs<Echo>(), 10)) << "nothing is offered that way";
  EXPECT_EQ(echoed(server->peer().castAs<Echo>(), 10), 10u) << "and that breaks nothing";
}

TEST_F(SessionTest, TellsWhenThePeerLeaves) {
  start(kHeadLimits, kAgentLimits);
  Echo::Client echo = client->peer().castAs<Echo>();
  EXPECT_EQ(echoed(echo, 1), 1u);
  kj::Promise<void> held_call = hold(echo);
  kj::Promise<void> disconnected = client->on_disconnect();
  EXPECT_FALSE(disconnected.poll(loop.io.waitScope));
  server = nullptr;
  loop.within(kj::mv(disconnected));
  EXPECT_EQ(failure_of(kj::mv(held_call)), kLost);
  EXPECT_EQ(failure_of(hold(echo)), kLost);
  loop.within(client->on_disconnect());
}

TEST_F(SessionTest, CanGoAwayInTheMiddleOfCalls) {
  start(kHeadLimits, kAgentLimits);
  Echo::Client echo = client->peer().castAs<Echo>();
  kj::Promise<void> held_call = hold(echo);
  EXPECT_EQ(echoed(echo, 1), 1u);
  ASSERT_EQ(held.calls, 1u);
  client = nullptr;
  EXPECT_EQ(failure_of(kj::mv(held_call)), kLost);
  EXPECT_EQ(failure_of(hold(echo)), kLost);
  loop.within(server->on_disconnect());
  held.answers.front()->fulfill();
  server = nullptr;
}

TEST_F(SessionTest, IsLostWhenThePeerSendsTooMuchAtOnce) {
  const SessionLimits tiny{1024, 1024};
  start(tiny, kAgentLimits);
  Echo::Client echo = client->peer().castAs<Echo>();
  EXPECT_EQ(echoed(echo, 4000), 4000u);
  kj::Promise<void> server_lost = server->on_disconnect();
  kj::Promise<void> refused = hold(echo, 8 * 1024);
  loop.within(kj::mv(server_lost));
  EXPECT_EQ(held.calls, 0u);
  server = nullptr;
  EXPECT_EQ(failure_of(kj::mv(refused)), kLost);
}

TEST_F(SessionTest, StopsReadingWhenTooMuchIsUnanswered) {
  start({kMebi, 10'000}, kAgentLimits);
  Echo::Client echo = client->peer().castAs<Echo>();
  std::vector<kj::Promise<void>> calls;
  for (int i = 0; i < 40; ++i) calls.push_back(hold(echo, 8 * 1000));
  auto sum = kj::heapArrayBuilder<kj::Promise<void>>(calls.size());
  for (auto& call : calls) sum.add(kj::mv(call));
  kj::Promise<void> all = kj::joinPromises(sum.finish()).eagerlyEvaluate(nullptr);
  EXPECT_FALSE(all.poll(loop.io.waitScope));
  EXPECT_GE(held.calls, 1u);
  EXPECT_LE(held.calls, 11u) << "1000 words each, 10 000 in all";
  while (!all.poll(loop.io.waitScope)) {
    ASSERT_FALSE(held.answers.empty());
    held.answers.front()->fulfill();
    held.answers.pop_front();
  }
  EXPECT_EQ(held.calls, 40u);
}

// While it does not read, only a write can tell that the peer has gone.
TEST_F(SessionTest, IsLostByAFailedWriteWhileItDoesNotRead) {
  start({kMebi, 1000}, kAgentLimits);
  Echo::Client echo = client->peer().castAs<Echo>();
  std::vector<kj::Promise<void>> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(hold(echo, 8 * 1000).eagerlyEvaluate(nullptr));
  loop.io.waitScope.poll();
  ASSERT_LT(held.calls, 5u) << "reads on";
  client = nullptr;
  kj::Promise<void> lost = server->on_disconnect();
  EXPECT_FALSE(lost.poll(loop.io.waitScope));
  Echo::Client gone = server->peer().castAs<Echo>();
  loop.within(kj::mv(lost));
}

TEST_F(SessionTest, IsLostOnGarbageInPlaceOfMessages) {
  for (const std::string& garbage :
       {std::string(64, '\xff'), std::string("\xff\xff\xff\xff\0\0\0\0", 8) + std::string(64, '\0'),
        std::string("\0\0\0\0\xff\xff\xff\x7f", 8) + std::string(64, '\0'),
        std::string("\0\0\0\0\x01\0\0\0", 8) + std::string(8, '\xaa')}) {
    kj::TwoWayPipe pipe = kj::newTwoWayPipe();
    server = kj::heap<Session>(kj::mv(pipe.ends[0]), Session::Side::kAccepted,
                               kj::heap<EchoServer>(held), kHeadLimits);
    auto lost = server->on_disconnect();
    auto sent =
        pipe.ends[1]->write(garbage.data(), garbage.size()).eagerlyEvaluate([](kj::Exception&&) {});
    std::vector<char> answer(4096);
    auto answered = pipe.ends[1]
                        ->tryRead(answer.data(), answer.size(), answer.size())
                        .catch_([](kj::Exception&&) -> std::size_t { return 0; })
                        .eagerlyEvaluate(nullptr);
    loop.within(kj::mv(lost));
    server = nullptr;
  }
  EXPECT_EQ(held.calls, 0u);
}

TEST_F(SessionTest, RunsOverTls) {
  const Cluster cluster;
  auto context = make_context(cluster.issue(head_peer()), loop.timer());
  auto listener =
      TlsListener::open(loop.network(), loop.timer(), "127.0.0.1:0", *context,
                        [this](Peer, kj::Own<kj::AsyncIoStream> stream) {
                          server = kj::heap<Session>(kj::mv(stream), Session::Side::kAccepted,
                                                     kj::heap<EchoServer>(held), kHeadLimits);
                        })
          .value();
  auto mine = make_context(cluster.issue(agent_peer(1, 1)), loop.timer());
  client = kj::heap<Session>(
      loop.within(connect_tls(loop.network(), loop.timer(), local(listener->port()), *mine,
                              cluster.head_name())),
      Session::Side::kConnected, nullptr, kAgentLimits);
  Echo::Client echo = client->peer().castAs<Echo>();
  EXPECT_EQ(echoed(echo, 3'000'000), 3'000'000u);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(echoed(echo, 10), 10u);
  EXPECT_GT(server->bytes_in(), 3'000'000u);
  kj::Promise<void> held_call = hold(echo);
  EXPECT_EQ(echoed(echo, 1), 1u);
  server = nullptr;
  EXPECT_EQ(failure_of(kj::mv(held_call)), kLost);
  loop.within(client->on_disconnect());
}

TEST_F(SessionTest, RefusesAnUnauthenticatedClientBeforeAnyMessage) {
  const Cluster cluster;
  auto context = make_context(cluster.issue(head_peer()), loop.timer());
  int sessions = 0;
  auto listener = TlsListener::open(loop.network(), loop.timer(), "127.0.0.1:0", *context,
                                    [&](Peer, kj::Own<kj::AsyncIoStream>) { ++sessions; })
                      .value();
  auto bare = make_enrol_client_context(cluster.authority.certificate_der(), loop.timer());
  client = kj::heap<Session>(
      loop.within(connect_tls(loop.network(), loop.timer(), local(listener->port()), *bare,
                              cluster.head_name())),
      Session::Side::kConnected, nullptr, kAgentLimits);
  EXPECT_EQ(failure_of(hold(client->peer().castAs<Echo>())), kLost);
  EXPECT_EQ(sessions, 0);
}

}  // namespace
}  // namespace leat::transport
