#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/mpi-tasks/gang_world.h"

namespace leat::mpi {
namespace {

bool run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawnp(&pid, "ip", nullptr, nullptr, arguments.data(), environ) != 0) return false;
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status == 0;
}

// Two hosts that see nothing of each other but a cable.
class TwoHosts {
 public:
  TwoHosts() {
    const std::string id = std::to_string(::getpid());
    names = {"leat-a" + id, "leat-b" + id};
    for (const std::string& name : names) made_ = run({"ip", "netns", "add", name}) && made_;
    made_ = made_ && run({"ip", "link", "add", "leat0", "netns", names[0], "type", "veth", "peer",
                          "name", "leat0", "netns", names[1]});
    for (int i = 0; i < 2 && made_; ++i) {
      const std::string& name = names[static_cast<std::size_t>(i)];
      const std::string address = "10.77.0." + std::to_string(i + 1) + "/24";
      made_ = run({"ip", "-n", name, "addr", "add", address, "dev", "leat0"}) &&
              run({"ip", "-n", name, "link", "set", "leat0", "up"}) &&
              run({"ip", "-n", name, "link", "set", "lo", "up"});
    }
  }
  ~TwoHosts() {
    for (const std::string& name : names) run({"ip", "netns", "del", name});
  }
  bool made() const { return made_; }

  // A socket that listens on the first of them. A thread of its own goes there and does not return.
  int listen(const std::string& host) const {
    int fd = -1;
    std::thread([&] {
      const int there = ::open(("/run/netns/" + names[0]).c_str(), O_RDONLY | O_CLOEXEC);
      if (::setns(there, CLONE_NEWNET) != 0) return;
      ::close(there);
      fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
      EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
      EXPECT_EQ(::listen(fd, 16), 0);
    }).join();
    return fd;
  }

  std::vector<std::string> names;

 private:
  bool made_ = true;
};

TEST(LauncherOverANetwork, RunsAGangOnTwoHosts) {
  if (::geteuid() != 0) return;  // only root makes network namespaces
  const TwoHosts hosts;
  ASSERT_TRUE(hosts.made());
  for (const char* what : {"allreduce", "shared"}) {
    GangPlan gang{.nodes = nodes_of(2, 2), .program = {LEAT_RANK_PROGRAM, what}, .node_cpus = 1};
    gang.interfaces = "leat0";
    gang.hub_host = "10.77.0.1";
    gang.listen = [&](const std::string& host) { return hosts.listen(host); };
    for (const std::string& name : hosts.names)
      gang.prefixes.push_back({"ip", "netns", "exec", name});
    GangWorld world(gang);
    const std::vector<LauncherEnd> ends = world.run();
    for (NodeIndex node = 0; node < 2; ++node) {
      EXPECT_EQ(ends[node].code, 0) << ends[node].error;
      for (const Rank rank : gang.nodes[node].ranks)
        EXPECT_TRUE(
            ends[node].rank_out.at(rank).starts_with("rank " + std::to_string(rank) + " of 4\n"));
    }
    EXPECT_EQ(world.left_over(), "");
  }
}

TEST(LauncherOverANetwork, CarriesAnMpirunToTheOtherHost) {
  if (::geteuid() != 0) return;  // only root makes network namespaces
  const TwoHosts hosts;
  ASSERT_TRUE(hosts.made());
  GangPlan gang{.nodes = nodes_of(2, 2),
                .program = {"mpirun", LEAT_RANK_PROGRAM, "allreduce"},
                .application = true};
  gang.interfaces = "leat0";
  gang.hub_host = "10.77.0.1";
  gang.listen = [&](const std::string& host) { return hosts.listen(host); };
  for (const std::string& name : hosts.names)
    gang.prefixes.push_back({"ip", "netns", "exec", name});
  GangWorld world(gang);
  const std::vector<LauncherEnd> ends = world.run();
  for (const LauncherEnd& end : ends) EXPECT_EQ(end.code, 0) << end.error;
  for (Rank rank = 0; rank < 4; ++rank)
    EXPECT_NE(ends[0].out.find("rank " + std::to_string(rank) + " of 4\n"), std::string::npos)
        << ends[0].out;
  EXPECT_EQ(world.left_over(), "");
}

}  // namespace
}  // namespace leat::mpi
