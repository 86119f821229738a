// runs_start.cc - from a launch to a process.

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/check.h"
#include "node-agent/warden/program_path.h"
#include "node-agent/warden/runs.h"

namespace leat::warden {

namespace {

struct Pipe {
  Fd read;
  Fd write;
};

// The reading end is never waited on, so only the task's end needs to know how to block.
bool make_pipe(Pipe& made) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  made = {Fd(ends[0]), Fd(ends[1])};
  return true;
}

bool sets_path(const StringBlock& environment) {
  bool found = false;
  environment.for_each([&found](std::string_view v) { found = found || v.starts_with("PATH="); });
  return found;
}

// Errors that a search along PATH might answer differently by now.
bool is_about_the_file(const Spawned& spawned) {
  return spawned.step == StartStep::kProgram &&
         (spawned.error == ENOENT || spawned.error == EACCES || spawned.error == ENOTDIR);
}

// When the task will be asked to end; in whole seconds, and rather too early. Empty: never.
std::string deadline_variable(const Run& run, const Launch& launch) {
  if (launch.time_limit_us == 0) return {};
  constexpr std::int64_t kSecond = 1'000'000;
  const std::int64_t end_us = after(run.exited.start_wall_us, launch.time_limit_us);
  return "LEAT_DEADLINE=" + std::to_string(end_us / kSecond);
}

const char* or_null(const std::string& text) {
  return text.empty() ? nullptr : text.c_str();
}

}  // namespace

void Runs::launch(const Launch& launch, std::int64_t now_us) {
  if (Run* known = table_.find(launch.run)) return sink_.report(*known, false);
  if (launch.slot >= kSlotsMax) return refuse(launch, StartStep::kTable, EINVAL);
  if (table_.size() >= kRunsMax) return refuse(launch, StartStep::kTable, EAGAIN);
  if (launch.slot >= slots_.size()) slots_.resize(launch.slot + std::size_t{1});
  Slot& slot = slots_[launch.slot];
  if (slot.busy && slot.waiting.size() >= kSlotBacklogMax)
    return refuse(launch, StartStep::kTable, EBUSY);
  Run& run = table_.add(launch.run);
  run.gpu_mask = launch.gpu_mask;
  run.exited.slot = launch.slot;
  run.exited.segment = launch.segment;
  if (slot.busy) {
    run.launch = std::make_unique<Launch>(launch);
    slot.waiting.push_back(run.ref);
  } else {
    start(run, launch, now_us);
  }
}

void Runs::start(Run& run, const Launch& launch, std::int64_t now_us) {
  const auto stored = templates_.find(launch.template_id);
  if (stored == templates_.end() || stored->second.given.arguments.empty())
    return could_not_start(run, StartStep::kTemplate, ENOENT);
  if (const int error = spool_.use(launch.slot, launch.segment); error != 0)
    return could_not_start(run, StartStep::kSpool, error);
  Pipe out;
  Pipe err;
  if (!make_pipe(out) || !make_pipe(err)) return could_not_start(run, StartStep::kPipes, errno);
  run.exited.start_wall_us = options_.clock.wall_us();
  run.exited.start_monotonic_us = options_.clock.monotonic_us();
  GroupDoors doors;
  SpawnPlan plan;
  plan.stdout_fd = out.write.get();
  plan.stderr_fd = err.write.get();
  if (const int error = enter_group(run, launch, doors, plan); error != 0)
    return could_not_start(run, StartStep::kLimits, error);
  Spawned spawned = spawn(run, launch, stored->second, plan);
  if (!spawned.ok()) return could_not_start(run, spawned.step, spawned.error);
  run.pid = spawned.pid;
  run.pidfd = std::move(spawned.pidfd);
  run.out = Capture(std::move(out.read), spool_.out(launch.slot), options_.null_fd,
                    launch.output_limit_bytes);
  run.err = Capture(std::move(err.read), spool_.err(launch.slot), options_.null_fd,
                    launch.output_limit_bytes);
  run.exited.out_offset = run.out.offset();
  run.exited.err_offset = run.err.offset();
  run.state = RunState::kRunning;
  run.grace_us = launch.grace_us;
  slots_[launch.slot].busy = true;
  by_pid_[run.pid] = run.ref;
  ++live_;
  young_.emplace_back(now_us + kYoungUs, run.ref);
  if (launch.time_limit_us != 0) {
    const bool warns = launch.warning_signal > 0 && launch.warning_signal < NSIG &&
                       launch.warning_us < launch.time_limit_us;
    run.warning_us = warns ? launch.warning_us : 0;
    run.warning_signal = warns ? launch.warning_signal : 0;
    set_deadline(run, after(run.exited.start_monotonic_us, launch.time_limit_us - run.warning_us));
  }
  // Without the watch nobody would ever reap it; there is no memory left for an epoll entry.
  if (!watch(run.pidfd.get(), Watch::kExit, run.ref)) terminate(run, 0, now_us);
}

// A run with a memory limit starts in the group of its slot, where anybody keeps limits.
int Runs::enter_group(Run& run, const Launch& launch, GroupDoors& doors, SpawnPlan& plan) {
  if (launch.memory_limit_bytes == 0 || enforcement() == Enforcement::kPlain) return 0;
  if (const int error = cgroups_.prepare(launch.slot, launch.memory_limit_bytes, doors); error != 0)
    return error;
  run.grouped = true;
  plan.cgroup_fd = doors.unified.get();
  for (std::size_t i = 0; i < doors.procs.size(); ++i) plan.procs_fds[i] = doors.procs[i].get();
  return 0;
}

// `plan` has the outputs and the groups.
Spawned Runs::spawn(Run& run, const Launch& launch, StoredTemplate& stored, SpawnPlan& plan) {
  const std::string token = token_variable(options_.node_token, run.exited.run);
  const std::string& directory =
      launch.directory.empty() ? stored.given.directory : launch.directory;
  point_at_arguments(stored.given.arguments, launch.more_arguments, arguments_);
  point_at_environment(token, stored.given.environment, launch.more_environment, environment_);
  std::string deadline = deadline_variable(run, launch);
  if (!deadline.empty()) environment_.insert(environment_.begin(), deadline.data());
  plan.arguments = arguments_.data();
  plan.environment = environment_.data();
  plan.directory = or_null(directory);
  plan.stdin_path = or_null(launch.stdin_path);
  plan.stdin_fd = options_.null_fd;
  plan.cpus = launch.cpus;
  plan.nice = launch.nice;
  const std::string name = arguments_.front();
  const bool keeps = !sets_path(launch.more_environment) && launch.directory.empty();
  if (keeps && !stored.program.empty()) {
    plan.program = stored.program.c_str();
    Spawned spawned = spawner_.spawn(plan);
    if (spawned.ok() || !is_about_the_file(spawned)) return spawned;
    stored.program.clear();
  }
  const ProgramPath found = find_program(name, environment_.data(), directory);
  plan.program = found.path.c_str();
  Spawned spawned;
  if (found.error != 0) {
    spawned.step = StartStep::kProgram;
    spawned.error = found.error;
    return spawned;
  }
  spawned = spawner_.spawn(plan);
  if (keeps && spawned.ok()) stored.program = found.path;
  return spawned;
}

// A child of ours holds copies of our descriptors until it has closed them in execve, which is
// after we run on: a descriptor that we close by then stays in the epoll set, and ready. So nothing
// here may be reported twice for the same reason.
bool Runs::watch(int fd, Watch watch, RunRef ref) {
  epoll_event event{};
  event.events = EPOLLIN | (watch == Watch::kExit ? EPOLLONESHOT : EPOLLET);
  event.data.u64 = event_of(watch, ref);
  if (epoll_ctl(options_.epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) return true;
  return errno == EEXIST && epoll_ctl(options_.epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0;
}

void Runs::could_not_start(Run& run, StartStep step, int error) {
  run.exited.kind = ExitKind::kNotStarted;
  run.exited.step = step;
  run.exited.error = error;
  run.state = RunState::kEnded;
  sink_.report(run, false);
}

void Runs::refuse(const Launch& launch, StartStep step, int error) {
  Exited exited;
  exited.run = launch.run;
  exited.slot = launch.slot;
  exited.segment = launch.segment;
  exited.kind = ExitKind::kNotStarted;
  exited.step = step;
  exited.error = error;
  sink_.refuse(exited);
}

void Runs::start_next_in(std::uint16_t slot_number, std::int64_t now_us) {
  Slot& slot = slots_[slot_number];
  while (!slot.busy && !slot.waiting.empty()) {
    Run* run = table_.at(slot.waiting.front());
    slot.waiting.pop_front();
    LEAT_CHECK(run != nullptr && run->state == RunState::kWaiting);
    const std::unique_ptr<Launch> launch = std::move(run->launch);
    start(*run, *launch, now_us);
  }
}

}  // namespace leat::warden
