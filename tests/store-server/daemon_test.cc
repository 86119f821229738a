// daemon_test.cc - the real leat-store: starts, refuses, is killed, and keeps its word.

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/store-server/support.h"

namespace leat::blobs {
namespace {

const Peer kUser{Peer::Kind::kUser, {}, 1000};

// One life of the program.
class Daemon {
 public:
  // Returns once it is ready or has given up.
  explicit Daemon(std::vector<std::string> arguments) {
    int ready[2];
    int errors[2];
    EXPECT_EQ(::pipe2(ready, O_CLOEXEC) | ::pipe2(errors, O_CLOEXEC), 0);
    arguments.insert(arguments.begin(), LEAT_STORE);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(errors[1], 2);
      ::dup2(ready[1], 99);
      std::vector<char*> argv;
      for (std::string& a : arguments) argv.push_back(a.data());
      argv.push_back(nullptr);
      ::execv(LEAT_STORE, argv.data());
      ::_exit(127);
    }
    ::close(ready[1]);
    ::close(errors[1]);
    ready_ = kj::AutoCloseFd(ready[0]);
    errors_ = kj::AutoCloseFd(errors[0]);
    ready_line_ = read_line(ready_.get());
  }
  ~Daemon() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& ready_line() const { return ready_line_; }
  std::string error_line() const { return read_line(errors_.get()); }

  // The exit code, or 128 + signal.
  int end(int signal) {
    if (signal != 0) ::kill(pid_, signal);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  static std::string read_line(int fd) {
    std::string line;
    for (char c = 0; c != '\n';) {
      struct pollfd poll {};
      poll.fd = fd;
      poll.events = POLLIN;
      if (::poll(&poll, 1, 20'000) != 1 || ::read(fd, &c, 1) != 1) break;
      if (c != '\n') line += c;
    }
    return line;
  }

  pid_t pid_ = 0;
  kj::AutoCloseFd ready_;
  kj::AutoCloseFd errors_;
  std::string ready_line_;
};

class DaemonTest : public ::testing::Test {
 protected:
  std::vector<std::string> arguments() const {
    return {"--home", home_.home.path(), "--ready-fd", "99"};
  }

  std::string address() const {
    const std::string json = slurp(home_.home / "store.json");
    const std::string key = "\"address\":\"";
    const std::size_t at = json.find(key) + key.size();
    return json.substr(at, json.find('"', at) - at);
  }

  void TearDown() override { loop_ = nullptr; }

  StoreHome home_;
  std::unique_ptr<Loop> loop_ = std::make_unique<Loop>();
};

TEST_F(DaemonTest, SaysThatItIsReadyAndWhereItIs) {
  Daemon daemon(arguments());
  EXPECT_EQ(daemon.ready_line(), "ready");
  EXPECT_EQ(::getsid(daemon.pid()), daemon.pid());
  EXPECT_EQ(slurp(home_.home / "store.pid").rfind(std::to_string(daemon.pid()) + " ", 0), 0u);
  {
    StoreClient user(*loop_, home_, address(), kUser);
    const std::string write = home_.ticket(Ticket::Right::kWrite, kUser);
    const std::string bytes = some_bytes(3'000'000, 1);
    const Result<Blob> stored =
        loop_->within(put_blob(user.store(), write, bytes.size(), memory_source(bytes)));
    ASSERT_TRUE(stored.ok()) << stored.refusal().message;
    EXPECT_EQ(slurp(home_.blob_path(stored.value().hash)), bytes);
    EXPECT_EQ(loop_->within(user.store().usageRequest().send()).getBlobs(), 1u);
  }
  EXPECT_EQ(daemon.end(SIGTERM), 0);
  EXPECT_FALSE(std::filesystem::exists(home_.home / "store.pid"));
}

TEST_F(DaemonTest, ComesBackOnTheSamePort) {
  std::string before;
  {
    Daemon daemon(arguments());
    before = address();
    EXPECT_EQ(daemon.end(SIGKILL), 128 + SIGKILL);
  }
  Daemon daemon(arguments());
  EXPECT_EQ(daemon.ready_line(), "ready");
  EXPECT_EQ(address(), before);
}

TEST_F(DaemonTest, IsTheOnlyOneForItsHome) {
  Daemon first(arguments());
  EXPECT_EQ(first.ready_line(), "ready");
  const std::string before = slurp(home_.home / "store.json");
  Daemon second(arguments());
  EXPECT_EQ(second.ready_line(), "leat-store: another leat-store serves " + home_.home.path());
  EXPECT_EQ(second.end(0), 4);
  EXPECT_EQ(slurp(home_.home / "store.json"), before);
  EXPECT_EQ(first.end(SIGTERM), 0);
}

TEST_F(DaemonTest, RefusesBadArgumentsInOneLine) {
  const std::vector<std::vector<std::string>> bad = {
      {},
      {"--home"},
      {"--nonsense"},
      {"--home", home_.home.path(), "extra"},
      {"--home", home_.home.path(), "--quota", "12x"},
      {"--home", home_.home.path(), "--ready-fd", "2"},
      {"--home", home_.home.path(), "--bind", "nowhere:0"},
      {"--home", home_.home / "no/such"}};
  for (const std::vector<std::string>& arguments : bad) {
    Daemon daemon(arguments);
    EXPECT_EQ(daemon.error_line().rfind("leat-store: ", 0), 0u);
    EXPECT_EQ(daemon.error_line(), "") << "more than one line";
    EXPECT_EQ(daemon.end(0), 2) << ::testing::PrintToString(arguments);
  }
}

TEST_F(DaemonTest, RefusesAHomeThatIsNotInOrder) {
  ASSERT_EQ(::chmod((home_.home / "tls/ticket.pub").c_str(), 0644), 0);
  {
    Daemon daemon(arguments());
    EXPECT_NE(daemon.ready_line().find("0644"), std::string::npos) << daemon.ready_line();
    EXPECT_EQ(daemon.end(0), 2);
  }
  std::filesystem::remove(home_.home / "tls/ticket.pub");
  spill(home_.home / "tls/ticket.pub", "too short");
  {
    Daemon daemon(arguments());
    EXPECT_NE(daemon.ready_line().find("32 bytes"), std::string::npos) << daemon.ready_line();
    EXPECT_EQ(daemon.end(0), 2);
  }
  ASSERT_EQ(::chmod(home_.home.path().c_str(), 0755), 0);
  Daemon daemon(arguments());
  EXPECT_NE(daemon.ready_line().find("0755"), std::string::npos) << daemon.ready_line();
  EXPECT_EQ(daemon.end(0), 2);
}

TEST_F(DaemonTest, EndsInGoodOrderWhileUploadsRun) {
  Daemon daemon(arguments());
  ASSERT_EQ(daemon.ready_line(), "ready");
  const std::string write = home_.ticket(Ticket::Right::kWrite, kUser);
  StoreClient user(*loop_, home_, address(), kUser);
  kj::Vector<kj::Promise<void>> uploads;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::string bytes = some_bytes(100'000, i);
    uploads.add(
        put_blob(user.store(), write, bytes.size(), memory_source(bytes)).then([&](Result<Blob>) {
          ::kill(daemon.pid(), SIGTERM);
        }));
  }
  loop_->within(kj::joinPromises(uploads.releaseAsArray()));
  EXPECT_EQ(daemon.end(0), 0);
}

// Uploads many blobs at once and kills the store in the middle. What was acknowledged is whole;
// what was not is whole or absent.
TEST_F(DaemonTest, KeepsWhatItAcknowledgedThroughKills) {
  constexpr int kLives = 8;
  constexpr int kBlobs = 24;
  const std::string write = home_.ticket(Ticket::Right::kWrite, kUser);
  std::vector<Blob> acknowledged;
  for (int life = 0; life < kLives; ++life) {
    Daemon daemon(arguments());
    ASSERT_EQ(daemon.ready_line(), "ready");
    EXPECT_EQ(files_in(home_.home / "blobs/incoming"), 0u);
    StoreClient user(*loop_, home_, address(), kUser);
    int answered = 0;
    kj::Vector<kj::Promise<void>> uploads;
    for (int i = 0; i < kBlobs; ++i) {
      const std::uint64_t seed = static_cast<std::uint64_t>(life * kBlobs + i);
      const std::string bytes = some_bytes(100'000 + 40'000 * static_cast<std::size_t>(i), seed);
      uploads.add(put_blob(user.store(), write, bytes.size(), memory_source(bytes))
                      .then([&](Result<Blob> stored) {
                        if (stored.ok()) acknowledged.push_back(stored.value());
                        if (++answered == 3 * life) ::kill(daemon.pid(), SIGKILL);
                      }));
    }
    if (life == 0) ::kill(daemon.pid(), SIGKILL);
    loop_->within(kj::joinPromises(uploads.releaseAsArray()));
    EXPECT_EQ(daemon.end(SIGKILL), 128 + SIGKILL);
  }
  Daemon daemon(arguments());
  ASSERT_EQ(daemon.ready_line(), "ready");
  EXPECT_EQ(files_in(home_.home / "blobs/incoming"), 0u);
  EXPECT_GE(acknowledged.size(), 21u);
  for (const Blob& blob : acknowledged)
    EXPECT_EQ(hash_of(slurp(home_.blob_path(blob.hash))), blob.hash);
  std::size_t blobs = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home_.home / "blobs")) {
    const std::string folder = entry.path().parent_path().filename();
    if (!entry.is_regular_file() || folder == "inputs" || folder == "results") continue;
    ++blobs;
    const std::string name =
        entry.path().parent_path().filename().string() + entry.path().filename().string();
    EXPECT_EQ(hash_text(hash_of(slurp(entry.path()))), name);
  }
  EXPECT_GE(blobs, acknowledged.size());
}

TEST_F(DaemonTest, TakesItsQuotaFromTheHomeAsItIsNow) {
  EXPECT_TRUE(replace_secret_file(home_.home / "store.quota", "1000\n").ok());
  Daemon daemon(arguments());
  ASSERT_EQ(daemon.ready_line(), "ready");
  StoreClient user(*loop_, home_, address(), kUser);
  const std::string write = home_.ticket(Ticket::Right::kWrite, kUser);
  const auto put = [&](std::size_t size, std::uint64_t seed) {
    return loop_->within(
        put_blob(user.store(), write, size, memory_source(some_bytes(size, seed))));
  };
  EXPECT_TRUE(put(900, 1).ok());
  const Result<Blob> refused = put(200, 2);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.refusal().reason, Reason::kOverloaded);
  EXPECT_EQ(refused.refusal().message,
            "leat-store has no room for 200 bytes more: 900 of 1000 are taken; raise its quota: "
            "leat up --store-quota SIZE");
  EXPECT_TRUE(replace_secret_file(home_.home / "store.quota", "2000").ok());
  EXPECT_TRUE(put(200, 2).ok());
  // What makes no sense changes nothing.
  EXPECT_TRUE(replace_secret_file(home_.home / "store.quota", "much").ok());
  EXPECT_TRUE(put(200, 3).ok());
  EXPECT_FALSE(put(1000, 4).ok());
}

// A node's files come one by one; the store is killed after each. What it had said it had is there
// again, and the spool is whole only after the last word.
TEST_F(DaemonTest, GoesOnWithAnEvacuationThroughKills) {
  const Peer agent{Peer::Kind::kAgent, {NodeId{3}, NodeEpoch{7}}, 0};
  const std::string ticket = home_.job_ticket(JobId{}, Ticket::Right::kWrite, agent);
  const std::vector<std::string> names = {"slot-0.0.out", "slot-0.0.err", "slot-1.0.out",
                                          "index.log"};
  for (std::size_t life = 0; life <= names.size(); ++life) {
    Daemon daemon(arguments());
    ASSERT_EQ(daemon.ready_line(), "ready");
    StoreClient client(*loop_, home_, address(), agent);
    auto asked = client.store().outputsRequest();
    asked.setTicket({reinterpret_cast<const kj::byte*>(ticket.data()), ticket.size()});
    EXPECT_EQ(loop_->within(asked.send()).getFiles().size(), life);
    EXPECT_FALSE(std::filesystem::exists(home_.home / "outputs/3-7"));
    if (life == names.size()) break;
    const std::string bytes = some_bytes(50'000, life);
    EXPECT_TRUE(loop_
                    ->within(put_output(client.store(), ticket, names[life], bytes.size(),
                                        memory_source(bytes)))
                    .ok());
    // One more is on its way when the store dies.
    auto half = put_output(
        client.store(), ticket, "slot-9.9.out", 1'000'000,
        [](kj::ArrayPtr<kj::byte>) -> kj::Promise<std::size_t> { return kj::NEVER_DONE; });
    EXPECT_EQ(daemon.end(SIGKILL), 128 + SIGKILL);
    EXPECT_EQ(loop_->within(kj::mv(half)).refusal().reason, Reason::kDisconnected);
  }
  EXPECT_EQ(slurp(home_.home / "outputs/3-7.part/slot-1.0.out"), some_bytes(50'000, 2));
}

}  // namespace
}  // namespace leat::blobs
