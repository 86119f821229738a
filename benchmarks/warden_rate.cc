// warden_rate.cc - what a task costs in the warden and in the link to it.
//
// warden_rate N PROGRAM LEAT-WARDEN [DEPTH]: runs PROGRAM N times through a warden in a temporary
// directory, in two slots, with DEPTH launches given to each slot ahead (default 2); prints tasks
// per second and the CPU time of warden and agent side per task. Compare with spawn_loop.

#include <kj/async-io.h>
#include <kj/debug.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "node-agent/warden_link.h"

namespace {

using leat::JobId;
using leat::warden::Event;
using leat::warden::Exited;

constexpr std::uint16_t kSlots = 2;

double seconds_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Microseconds a process has spent on processors.
double cpu_us(const std::string& pid) {
  double nanoseconds = 0;
  std::ifstream("/proc/" + pid + "/schedstat") >> nanoseconds;
  return nanoseconds / 1000;
}

// Keeps every slot supplied until all tasks have been launched.
struct Feeder {
  leat::warden::Launch launch;
  std::uint64_t tasks = 0;
  std::uint64_t launched = 0;
  std::uint64_t ended = 0;
  std::uint64_t failed = 0;
  kj::Own<leat::agent::WardenLink> link;

  void feed(std::uint16_t slot) {
    if (launched == tasks) return;
    launch.run.index = launched++;
    launch.slot = slot;
    KJ_REQUIRE(link->put(launch));
  }

  void on_event(const Event& event) {
    const auto* exited = std::get_if<Exited>(&event);
    if (exited == nullptr) return;
    ++ended;
    if (exited->kind != leat::warden::ExitKind::kExited || exited->code != 0) ++failed;
    KJ_REQUIRE(link->put(leat::warden::Confirm{exited->run}));
    feed(exited->slot);
  }
};

}  // namespace

int main(int count, char** values) {
  if (count < 4) {
    std::fputs("usage: warden_rate N PROGRAM LEAT-WARDEN [DEPTH]\n", stderr);
    return 2;
  }
  std::string directory = "/var/tmp/leat-warden-rate-XXXXXX";
  KJ_REQUIRE(mkdtemp(directory.data()) != nullptr);
  kj::AsyncIoContext io = kj::setupAsyncIo();
  Feeder feeder;
  feeder.tasks = static_cast<std::uint64_t>(std::atoll(values[1]));
  feeder.link =
      leat::agent::WardenLink::attach(io.unixEventPort, io.provider->getTimer(),
                                      {directory, values[3], "00112233445566778899aabbccddeeff"},
                                      [&feeder](const Event& event) { feeder.on_event(event); })
          .wait(io.waitScope);
  leat::warden::Template shared;
  shared.id = 1;
  shared.arguments.add(values[2]);
  shared.environment.add("PATH", "/usr/local/bin:/usr/bin:/bin");
  feeder.link->put(shared);
  feeder.launch.run = {JobId{1}, 0, 1, 0};
  feeder.launch.template_id = 1;
  feeder.launch.output_limit_bytes = 1 << 20;
  for (const char* name : {"LEAT_JOB_ID", "LEAT_TASK_INDEX", "LEAT_TASK_COUNT", "LEAT_ATTEMPT"})
    feeder.launch.more_environment.add(name, "12345");

  const std::string warden = std::to_string(feeder.link->warden_pid());
  const double cpu_before = cpu_us("self");
  const double warden_before = cpu_us(warden);
  const double before = seconds_now();
  const int depth = count > 4 ? std::atoi(values[4]) : 2;
  for (int i = 0; i < depth; ++i)
    for (std::uint16_t slot = 0; slot < kSlots; ++slot) feeder.feed(slot);
  while (feeder.ended < feeder.tasks)
    io.provider->getTimer().afterDelay(5 * kj::MILLISECONDS).wait(io.waitScope);
  const double seconds = seconds_now() - before;
  const auto tasks = static_cast<double>(feeder.tasks);
  std::printf(
      "%.0f tasks/s; per task: warden %.1f us, agent side %.1f us; %lu failed; floor %u KiB\n",
      tasks / seconds, (cpu_us(warden) - warden_before) / tasks,
      (cpu_us("self") - cpu_before) / tasks, feeder.failed, feeder.link->floor_kib());
  kill(feeder.link->warden_pid(), SIGTERM);
  feeder.link->on_lost().wait(io.waitScope);
  std::filesystem::remove_all(directory);
  return 0;
}
