#include <gtest/gtest.h>
#include <kj/async-io.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>

#include "scheduler/store/recovery.h"
#include "scheduler/store/sqlite_store.h"
#include "tests/scheduler/store/driver.h"
#include "tests/scheduler/store/scratch.h"

// Real processes that die while they write.

namespace leat::store {
namespace {

// A turn that somebody was told of.
struct Acknowledged {
  std::uint64_t sequence = 0;
  std::uint64_t digest = 0;
};

constexpr SnapshotLimits kLimits{3000, 8000, 50};

// Recovers and appends turns for ever, writing each to `told` when it is on disk.
[[noreturn]] void live(const std::string& path, int told, std::uint64_t seed) {
  auto io = kj::setupAsyncIo();
  auto file = StoreFile::open(path);
  if (!file.ok()) ::_exit(3);
  auto recovered = recover(*file.value(), kLimits);
  if (!recovered.ok()) ::_exit(4);
  Driver driver(std::move(recovered).value(), seed);
  SqliteStore store(std::move(file).value(), io.unixEventPort);
  for (;;) {
    auto record = driver.random_turn();
    if (!record) continue;
    const Acknowledged turn{record->sequence, driver.state().digest()};
    store.append(std::move(*record)).wait(io.waitScope);
    if (::write(told, &turn, sizeof turn) != sizeof turn) ::_exit(0);
  }
}

struct Child {
  pid_t pid = -1;
  int told = -1;
  int errors = -1;
};

Child spawn(const std::function<void(int told)>& body) {
  std::array<int, 2> told{};
  std::array<int, 2> errors{};
  EXPECT_EQ(::pipe(told.data()), 0);
  EXPECT_EQ(::pipe(errors.data()), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(errors[1], STDERR_FILENO);
    ::close(told[0]);
    body(told[1]);
    ::_exit(0);
  }
  ::close(told[1]);
  ::close(errors[1]);
  return {pid, told[0], errors[0]};
}

// Reads at most `limit` acknowledgements, or until there are no more; the last one.
Acknowledged listen(int told, std::uint64_t limit, Acknowledged last) {
  Acknowledged turn;
  for (std::uint64_t n = 0; n < limit && ::read(told, &turn, sizeof turn) == sizeof turn; ++n)
    last = turn;
  return last;
}

int end(const Child& child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child.pid, &status, 0), child.pid);
  ::close(child.told);
  ::close(child.errors);
  return status;
}

void expect_kept(const std::string& path, Acknowledged last) {
  auto file = StoreFile::open(path);
  ASSERT_TRUE(file.ok()) << file.refusal().message;
  const auto recovered = recover(*file.value(), kLimits);
  ASSERT_TRUE(recovered.ok()) << recovered.refusal().message;
  const std::uint64_t newest = recovered.value().recorder.next_sequence() - 1;
  // One more may be on disk than anybody heard of.
  ASSERT_GE(newest, last.sequence);
  ASSERT_LE(newest, last.sequence + 1);
  if (newest == last.sequence) {
    ASSERT_EQ(recovered.value().state->digest(), last.digest);
  }
  recovered.value().state->check_invariants();
}

TEST(Crash, LosesNothingAcknowledgedInFiftyKills) {
  Scratch scratch;
  Random random(9);
  Acknowledged last;
  for (int kill = 0; kill < 50; ++kill) {
    const std::uint64_t seed = random.next();
    const Child child = spawn([&](int told) { live(scratch.path(), told, seed); });
    last = listen(child.told, 1 + random.below(60), last);
    ::kill(child.pid, SIGKILL);
    // What was acknowledged before the kill is still in the pipe.
    last = listen(child.told, 1u << 20, last);
    const int status = end(child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    expect_kept(scratch.path(), last);
    if (::testing::Test::HasFatalFailure()) FAIL() << "kill " << kill;
  }
  EXPECT_GT(last.sequence, 500u);
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 512> buffer{};
  for (ssize_t n = 0; (n = ::read(fd, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  return text;
}

TEST(Crash, EndsTheProcessWhenAWriteFails) {
  Scratch scratch;
  const Child child = spawn([&](int told) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{400'000, 400'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    live(scratch.path(), told, 4);
  });
  const Acknowledged last = listen(child.told, 1u << 20, {});
  const std::string said = read_all(child.errors);
  const int status = end(child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), kExitStoreFailed);
  EXPECT_NE(said.find("leat-scheduler: store " + scratch.path() + ": the disk failed"),
            std::string::npos)
      << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_GT(last.sequence, 5u);
  expect_kept(scratch.path(), last);
}

TEST(Crash, EndsTheProcessOnAFullDiskAndGoesOnWhenThereIsRoom) {
  Scratch scratch;
  const std::string disk = scratch.path("disk");
  ASSERT_EQ(::mkdir(disk.c_str(), 0700), 0);
  // A small disk of its own, seen by this child and its children only.
  const Child outer = spawn([&](int told) {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ::_exit(10);
    (void)::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("none", disk.c_str(), "tmpfs", 0, "size=1m") != 0) ::_exit(11);
    const Child head = spawn([&](int inner) { live(disk + "/store", inner, 5); });
    const Acknowledged last = listen(head.told, 1u << 20, {});
    const std::string said = read_all(head.errors);
    const int status = end(head);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != kExitStoreFailed) ::_exit(12);
    if (said.find("the disk is full; free some space and start the head again") ==
        std::string::npos)
      ::_exit(13);
    if (::mount("none", disk.c_str(), "tmpfs", MS_REMOUNT, "size=64m") != 0) ::_exit(14);
    expect_kept(disk + "/store", last);
    (void)!::write(told, &last, sizeof last);
    ::_exit(::testing::Test::HasFailure() ? 15 : 0);
  });
  const Acknowledged last = listen(outer.told, 1, {});
  const int status = end(outer);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_GT(last.sequence, 5u);
}

}  // namespace
}  // namespace leat::store
