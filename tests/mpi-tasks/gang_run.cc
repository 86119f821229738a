// gang_run.cc - runs gangs by their launchers and says how long that took: for benchmarks.
//
// gang_run NODES RANKS COUNT AT-ONCE NETNS,…|- CPUS PROGRAM [ARGUMENT]…
//
// COUNT gangs of NODES x RANKS, AT-ONCE at a time; node i in network namespace i of the list, the
// hub there at 10.78.0.1. CPUS: per node; as many ranks are bound, one to each, those of the next
// node to the next. Prints one number: milliseconds from the first start to the last end.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "node-agent/topology.h"
#include "tests/mpi-tasks/gang_world.h"

namespace leat::mpi {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

// As agents do it: keeps a port there for the hub.
int bind_in(const std::string& netns, const std::string& host) {
  int fd = -1;
  std::thread([&] {
    const int there = ::open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC);
    if (::setns(there, CLONE_NEWNET) != 0) return;
    ::close(there);
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::exit(1);
  }).join();
  return fd;
}

int run(const std::vector<std::string>& words) {
  const auto number = [&](std::size_t i) {
    return static_cast<std::uint32_t>(std::stoul(words[i]));
  };
  GangPlan plan{.nodes = nodes_of(number(0), number(1)),
                .program = {words.begin() + 6, words.end()}};
  plan.plain = true;
  // As agents do it.
  plan.topology = "/tmp/leat-topology-" + std::to_string(::getpid()) + ".xml";
  if (!agent::save_machine(plan.topology).ok()) return 1;
  plan.node_cpus = number(5);
  if (number(1) <= plan.node_cpus)
    for (std::uint16_t rank = 0; rank < number(1); ++rank) plan.cpus.push_back({rank});
  plan.shared_cpus = std::thread::hardware_concurrency();
  if (words[4] != "-") {
    const std::vector<std::string> netns = split(words[4]);
    for (const std::string& name : netns) plan.prefixes.push_back({"ip", "netns", "exec", name});
    plan.hub_host = "10.78.0.1";
    plan.interfaces = "leat0";
    plan.listen = [name = netns.front()](const std::string& host) { return bind_in(name, host); };
    plan.hub_listens = true;
  }
  std::vector<std::unique_ptr<GangWorld>> worlds;
  for (std::uint32_t i = 0; i < number(2); ++i) worlds.push_back(std::make_unique<GangWorld>(plan));
  std::atomic<std::size_t> next{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < number(3); ++i)
    threads.emplace_back([&] {
      for (std::size_t mine = 0; (mine = next++) < worlds.size();)
        for (const LauncherEnd& end : worlds[mine]->run())
          if (end.code != 0 && failed++ == 0) std::fprintf(stderr, "%s", end.error.c_str());
    });
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  ::unlink(plan.topology.c_str());
  std::printf("%.2f\n", took.count());
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace leat::mpi

int main(int count, char** values) {
  if (count < 8) {
    std::fprintf(stderr, "usage: gang_run NODES RANKS COUNT AT-ONCE NETNS,...|- CPUS PROGRAM\n");
    return 2;
  }
  return leat::mpi::run({values + 1, values + count});
}
