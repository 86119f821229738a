// Groups as this machine really makes them, in every combination of hierarchies it has.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "node-agent/warden/cgroups.h"
#include "node-agent/warden/small_file.h"
#include "tests/node-agent/warden_world.h"

namespace leat::warden {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// One way to keep limits, by leaving out hierarchies.
struct Way {
  const char* name;
  CgroupPlaces places;
};

std::vector<Way> all_ways() {
  const CgroupPlaces own = own_places();
  return {{"all there is", own},
          {"version 1 with its freezer", {"", own.memory, own.freezer}},
          {"version 1 with memory alone", {"", own.memory, ""}}};
}

// Those that work here; says which, so that a run shows what it has proved.
std::vector<Way> ways(const std::string& token) {
  std::vector<Way> found;
  for (const Way& way : all_ways()) {
    const Cgroups groups(way.places, token);
    std::printf("cgroups: %s: %s\n", way.name, enforcement_name(groups.enforcement()));
    if (groups.enforcement() != Enforcement::kPlain) found.push_back(way);
  }
  if (found.empty()) std::printf("cgroups: nothing but plain can be tried here\n");
  return found;
}

std::string token() {
  return WardenWorld::node_token();
}

// A child that has entered the group and waits to be killed. It is ours to reap. Like a task it is
// another program by then: what closes on exec, the lock of the groups among it, it does not have.
pid_t child_in(const GroupDoors& doors) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    if (doors.unified) write_small_file("cgroup.procs", "0", doors.unified.get());
    for (const Fd& door : doors.procs)
      if (door && write(door.get(), "0", 1) != 1) _exit(3);
    execl("/bin/sleep", "sleep", "1000", nullptr);
    _exit(4);
  }
  close(ends[1]);
  char nothing = 0;
  EXPECT_EQ(read(ends[0], &nothing, 1), 0);
  close(ends[0]);
  return pid;
}

bool has_signal_end(pid_t pid, int signal_number) {
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
         WTERMSIG(status) == signal_number;
}

void wait_filled(const Cgroups& groups, std::uint16_t slot) {
  for (int i = 0; i < 3000 && groups.is_empty(slot); ++i) poll(nullptr, 0, 10);
  ASSERT_FALSE(groups.is_empty(slot));
}

void wait_empty(const Cgroups& groups, std::uint16_t slot) {
  for (int i = 0; i < 3000 && !groups.is_empty(slot); ++i) poll(nullptr, 0, 10);
  ASSERT_TRUE(groups.is_empty(slot));
}

TEST(Cgroups, KillAllThatIsInThem) {
  for (const Way& way : ways(token())) {
    SCOPED_TRACE(way.name);
    Cgroups groups(way.places, token());
    GroupDoors doors;
    ASSERT_EQ(groups.prepare(3, 64 * kMiB, doors), 0);
    EXPECT_TRUE(groups.is_empty(3));
    const pid_t first = child_in(doors);
    const pid_t second = child_in(doors);
    wait_filled(groups, 3);
    // A stopped process must go as well.
    kill(second, SIGSTOP);
    groups.kill_all(3);
    EXPECT_TRUE(has_signal_end(first, SIGKILL));
    EXPECT_TRUE(has_signal_end(second, SIGKILL));
    wait_empty(groups, 3);
  }
}

TEST(Cgroups, AreUsedAgainWithAnotherLimitAndAFreshPeak) {
  for (const Way& way : ways(token())) {
    SCOPED_TRACE(way.name);
    Cgroups groups(way.places, token());
    std::vector<std::uint64_t> peaks;
    for (const std::size_t mebibytes : {40u, 2u}) {
      GroupDoors doors;
      ASSERT_EQ(groups.prepare(0, (mebibytes + 24) * kMiB, doors), 0);
      const pid_t pid = fork();
      if (pid == 0) {
        if (doors.unified) write_small_file("cgroup.procs", "0", doors.unified.get());
        for (const Fd& door : doors.procs)
          if (door && write(door.get(), "0", 1) != 1) _exit(3);
        std::vector<char> bytes(mebibytes * kMiB, 'x');
        _exit(bytes[mebibytes] == 'x' ? 0 : 1);
      }
      int status = 0;
      ASSERT_EQ(waitpid(pid, &status, 0), pid);
      EXPECT_EQ(status, 0);
      peaks.push_back(groups.use(0).peak_bytes);
      EXPECT_FALSE(groups.use(0).out_of_memory);
    }
    EXPECT_GE(peaks[0], 40 * kMiB);
    EXPECT_LT(peaks[1], 30 * kMiB);
  }
}

TEST(Cgroups, OfADeadWardenAreEmptiedByTheNextOfItsNode) {
  for (const Way& way : ways(token())) {
    SCOPED_TRACE(way.name);
    const std::string mark = token();  // of this process, also in its children
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    // The first warden dies without a word and leaves a process behind.
    const pid_t warden = fork();
    if (warden == 0) {
      Cgroups groups(way.places, mark);
      GroupDoors doors;
      if (groups.prepare(0, 64 * kMiB, doors) != 0) _exit(3);
      const pid_t left = child_in(doors);
      while (groups.is_empty(0)) poll(nullptr, 0, 5);
      if (write(ends[1], &left, sizeof left) != sizeof left) _exit(4);
      kill(getpid(), SIGKILL);
    }
    close(ends[1]);
    pid_t left = 0;
    ASSERT_EQ(read(ends[0], &left, sizeof left), static_cast<ssize_t>(sizeof left));
    ASSERT_TRUE(has_signal_end(warden, SIGKILL));
    close(ends[0]);
    const Cgroups next(way.places, mark);
    EXPECT_NE(next.enforcement(), Enforcement::kPlain);
    EXPECT_TRUE(gone_within(left, 10));
  }
}

TEST(Cgroups, OfADeadWardenOfAnotherNodeAreRemovedAndThoseOfALiveOneAreNot) {
  const auto groups_there = [](const std::string& place) {
    std::size_t count = 0;
    struct stat status {};
    if (stat(place.c_str(), &status) == 0) count = status.st_nlink;
    return count;
  };
  for (const Way& way : ways(token())) {
    if (way.places.memory.empty()) continue;
    SCOPED_TRACE(way.name);
    const std::size_t before = groups_there(way.places.memory);
    const pid_t dead = fork();
    if (dead == 0) {
      Cgroups groups(way.places, "another" + token());
      GroupDoors doors;
      groups.prepare(0, 64 * kMiB, doors);
      kill(getpid(), SIGKILL);
    }
    ASSERT_TRUE(has_signal_end(dead, SIGKILL));
    EXPECT_EQ(groups_there(way.places.memory), before + 1);
    {
      const Cgroups first(way.places, token());
      EXPECT_EQ(groups_there(way.places.memory), before + 1);
      const Cgroups second(way.places, "a third" + token());
      EXPECT_EQ(groups_there(way.places.memory), before + 2);
      EXPECT_NE(second.enforcement(), Enforcement::kPlain);
    }
    EXPECT_EQ(groups_there(way.places.memory), before);
  }
}

// Version 2 with a controller is not to be had everywhere; the way to it is the same with any.
TEST(Cgroups, MoveProcessesOutOfADelegatedGroupBeforeTheyGiveItAController) {
  const std::string place = own_places().unified;
  const std::string controllers =
      place.empty() ? std::string() : read_small_file(place + "/cgroup.controllers");
  const std::string controller = controllers.substr(0, controllers.find_first_of(" \n"));
  if (controller.empty() || geteuid() != 0) {
    std::printf("cgroups: no controller of version 2 to try delegation with\n");
    return;
  }
  std::printf("cgroups: delegation in version 2, tried with %s\n", controller.c_str());
  write_small_file(place + "/cgroup.subtree_control", "+" + controller);
  const std::string ours = place + "/delegation-" + token().substr(24);
  ASSERT_EQ(mkdir(ours.c_str(), 0755), 0);
  ASSERT_EQ(chown(ours.c_str(), 65534, 65534), 0);
  for (const char* file : {"/cgroup.procs", "/cgroup.subtree_control"})
    ASSERT_EQ(chown((ours + file).c_str(), 65534, 65534), 0);
  const pid_t inside = fork();
  if (inside == 0) {
    if (write_small_file(ours + "/cgroup.procs", "0") != 0) _exit(2);
    // Root's own group is not a delegated one: nobody may be moved there.
    if (!delegated_base(ours, controller).empty()) _exit(3);
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(4);
    if (delegated_base(ours, controller) != ours) _exit(5);
    const std::string inner = ours + "/" + std::string(kInnerGroup);
    if (read_small_file(inner + "/cgroup.procs").empty()) _exit(6);
    if (delegated_base(inner, controller) != ours) _exit(7);
    if (!delegated_base(ours, "nonsense").empty()) _exit(8);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(inside, &status, 0), inside);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  rmdir((ours + "/" + std::string(kInnerGroup)).c_str());
  EXPECT_EQ(rmdir(ours.c_str()), 0) << std::strerror(errno);
  write_small_file(place + "/cgroup.subtree_control", "-" + controller);
}

TEST(Cgroups, ArePlainWhereNothingMayBeMade) {
  for (const CgroupPlaces& places :
       {CgroupPlaces{}, CgroupPlaces{"", "/proc/self", ""}, CgroupPlaces{"/nowhere", "", ""}}) {
    const Cgroups groups(places, token());
    EXPECT_EQ(groups.enforcement(), Enforcement::kPlain);
  }
}

TEST(Cgroups, LeaveAloneWhatOnlyLooksLikeGroups) {
  const TemporaryDirectory folder;
  const std::string inner = folder.path() + "/leat-other/inner";
  ASSERT_TRUE(std::filesystem::create_directories(inner));
  const Cgroups groups({folder.path(), folder.path(), folder.path()}, token());
  EXPECT_EQ(groups.enforcement(), Enforcement::kPlain);
  EXPECT_TRUE(std::filesystem::exists(inner));
}

}  // namespace
}  // namespace leat::warden
