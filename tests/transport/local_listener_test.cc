#include <gtest/gtest.h>
#include <kj/io.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "tests/transport/support.h"
#include "transport/listener.h"

namespace leat::transport {
namespace {

struct LocalListenerTest : testing::Test {
  ~LocalListenerTest() noexcept override {}

  Result<kj::Own<LocalListener>> open(const std::string& path) {
    return LocalListener::open(loop.network(), loop.timer(), path,
                               [this](Peer peer, kj::Own<kj::AsyncIoStream> stream) {
                                 peers.push_back(peer);
                                 streams.push_back(kj::mv(stream));
                                 if (arrived.get() != nullptr) arrived->fulfill();
                               });
  }
  kj::Promise<void> next_arrival() {
    auto pair = kj::newPromiseAndFulfiller<void>();
    arrived = kj::mv(pair.fulfiller);
    return kj::mv(pair.promise);
  }

  Loop loop;
  PrivateDirectory dir;
  std::vector<Peer> peers;
  std::vector<kj::Own<kj::AsyncIoStream>> streams;
  kj::Own<kj::PromiseFulfiller<void>> arrived;
};

TEST_F(LocalListenerTest, LetsOurOwnUserIn) {
  const auto listener = open(dir / "head.sock");
  ASSERT_TRUE(listener.ok());
  struct stat status {};
  ASSERT_EQ(::stat((dir / "head.sock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  auto arrival = next_arrival();
  auto client = loop.within(connect_local(loop.network(), dir / "head.sock"));
  loop.within(kj::mv(arrival));
  EXPECT_EQ(peers, std::vector<Peer>{user_peer(::geteuid())});
  loop.within(streams[0]->write("!", 1));
  char byte = 0;
  loop.within(client->read(&byte, 1));
  EXPECT_EQ(byte, '!');
}

// Connects as another user, which only root can pretend to be.
kj::AutoCloseFd connect_as(::uid_t uid, const std::string& path) {
  kj::AutoCloseFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  EXPECT_EQ(::seteuid(uid), 0);
  EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::seteuid(0), 0);
  return fd;
}

TEST_F(LocalListenerTest, ClosesOnAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can act as another user";
  const auto listener = open(dir / "head.sock");
  ASSERT_TRUE(listener.ok());
  // Past the directory's and the socket's modes, so that only the uid is left to refuse.
  ::chmod(dir.path().c_str(), 0755);
  ::chmod((dir / "head.sock").c_str(), 0777);
  auto stranger = loop.io.lowLevelProvider->wrapSocketFd(connect_as(65534, dir / "head.sock"));
  EXPECT_TRUE(loop.within(loop.closed_silently(*stranger)));
  EXPECT_TRUE(peers.empty());
  EXPECT_EQ(listener.value()->counts().refused, 1u);
  auto arrival = next_arrival();
  const kj::AutoCloseFd friendly = connect_as(0, dir / "head.sock");
  loop.within(kj::mv(arrival));
  EXPECT_EQ(peers.size(), 1u);
}

TEST_F(LocalListenerTest, ReplacesAStaleSocketButNotALiveOne) {
  {
    const auto first = open(dir / "head.sock");
    ASSERT_TRUE(first.ok());
    const auto second = open(dir / "head.sock");
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.refusal().reason, Reason::kConflict);
  }
  ASSERT_TRUE(std::filesystem::exists(dir / "head.sock"));
  peers.clear();
  const auto third = open(dir / "head.sock");
  ASSERT_TRUE(third.ok());
  auto arrival = next_arrival();
  auto client = loop.within(connect_local(loop.network(), dir / "head.sock"));
  loop.within(kj::mv(arrival));
}

TEST_F(LocalListenerTest, LeavesAloneWhatIsNotASocket) {
  spill(dir / "head.sock", "precious");
  EXPECT_FALSE(open(dir / "head.sock").ok());
  EXPECT_EQ(slurp(dir / "head.sock"), "precious");
  ASSERT_EQ(::symlink("elsewhere", (dir / "link.sock").c_str()), 0);
  EXPECT_FALSE(open(dir / "link.sock").ok());
}

TEST_F(LocalListenerTest, RefusesAPathTooLongForASocket) {
  const std::string fits = dir / std::string(kSocketPathMax - dir.path().size() - 1, 's');
  ASSERT_EQ(fits.size(), kSocketPathMax);
  EXPECT_TRUE(open(fits).ok());
  const auto refused = open(fits + "s");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.refusal().message.find("too long for a socket: 108 bytes"), std::string::npos)
      << refused.refusal().message;
}

TEST_F(LocalListenerTest, RefusesADirectoryThatOthersCanEnter) {
  ::chmod(dir.path().c_str(), 0755);
  EXPECT_FALSE(open(dir / "head.sock").ok());
  EXPECT_FALSE(open("/tmp/leat-test.sock").ok());
  EXPECT_FALSE(open("head.sock").ok());
}

TEST_F(LocalListenerTest, ConnectingToNobodyFails) {
  EXPECT_ANY_THROW(loop.within(connect_local(loop.network(), dir / "none.sock")));
}

}  // namespace
}  // namespace leat::transport
