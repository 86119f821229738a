#include "node-agent/warden/runs.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace leat::warden {

namespace {

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(time.tv_usec);
}

std::size_t bytes_of(const Template& given) {
  return given.arguments.bytes().size() + given.environment.bytes().size() + given.directory.size();
}

}  // namespace

std::int64_t after(std::int64_t start_us, std::uint64_t span_us) {
  constexpr std::int64_t kFarAway = std::numeric_limits<std::int64_t>::max() / 2;
  return span_us > static_cast<std::uint64_t>(kFarAway - start_us)
             ? kFarAway
             : start_us + static_cast<std::int64_t>(span_us);
}

Runs::Runs(RunsOptions options, ReportSink& sink)
    : options_(std::move(options)),
      sink_(sink),
      spawner_(options_.files),
      spool_(options_.spool_fd),
      cgroups_(options_.cgroups, options_.node_token) {}

void Runs::set_template(Template&& given) {
  forget(given.id);
  const std::size_t bytes = bytes_of(given);
  // Over the limit it stays unknown, and its launches are answered so.
  if (templates_.size() >= kTemplatesMax || template_bytes_ + bytes > kTemplateBytesMax) return;
  template_bytes_ += bytes;
  const std::uint32_t id = given.id;
  templates_.emplace(id, StoredTemplate{std::move(given), {}});
}

void Runs::forget(std::uint32_t template_id) {
  const auto at = templates_.find(template_id);
  if (at == templates_.end()) return;
  template_bytes_ -= bytes_of(at->second.given);
  templates_.erase(at);
}

void Runs::end(const End& order, std::int64_t now_us) {
  Run* run = table_.find(order.run);
  if (run == nullptr || run->state == RunState::kEnded) return;
  run->exited.flags |= kEndedByOrder;
  terminate(*run, order.grace_us, now_us);
}

void Runs::signal(const Signal& order) {
  Run* run = table_.find(order.run);
  if (run == nullptr || !run->live() || order.signal < 1 || order.signal >= NSIG) return;
  ordered_.push_back({run->ref, order.signal});
}

void Runs::confirm(const RunId& id) {
  Run* run = table_.find(id);
  if (run != nullptr && run->state == RunState::kEnded) table_.erase(*run);
}

void Runs::end_all(std::int64_t now_us) {
  // Those that wait go first, or they would start in the slots that become free.
  for (const bool waiting : {true, false}) {
    table_.for_each([&](Run& run) {
      if (run.state == RunState::kEnded || (run.state == RunState::kWaiting) != waiting) return;
      run.exited.flags |= kEndedByOrder;
      terminate(run, 0, now_us);
    });
  }
}

void Runs::terminate(Run& run, std::uint64_t grace_us, std::int64_t now_us) {
  switch (run.state) {
    case RunState::kWaiting:
      std::erase(slots_[run.exited.slot].waiting, run.ref);
      run.launch.reset();
      could_not_start(run, StartStep::kWithdrawn, ECANCELED);
      return;
    case RunState::kRunning:
    case RunState::kTerminating: {
      if (grace_us == 0) break;
      const std::int64_t deadline_us = after(now_us, grace_us);
      if (run.state == RunState::kTerminating) {
        set_deadline(run, std::min(run.deadline_us, deadline_us));
        return;
      }
      run.state = RunState::kTerminating;
      set_deadline(run, deadline_us);
      ordered_.push_back({run.ref, SIGTERM});
      ordered_.push_back({run.ref, SIGCONT});  // a stopped one could not even hear the first
      return;
    }
    case RunState::kKilling:
    case RunState::kEnded:
      return;
  }
  run.state = RunState::kKilling;
  set_deadline(run, 0);
  kill_round_due_ = true;
}

void Runs::set_deadline(Run& run, std::int64_t deadline_us) {
  if (run.deadline_us != 0) deadlines_.erase({run.deadline_us, run.ref.index});
  run.deadline_us = deadline_us;
  if (deadline_us != 0) deadlines_.insert({deadline_us, run.ref.index});
}

void Runs::on_deadline(Run& run, std::int64_t now_us) {
  set_deadline(run, 0);
  switch (run.state) {
    case RunState::kRunning:
      if (const int warning = std::exchange(run.warning_signal, 0); warning != 0) {
        ordered_.push_back({run.ref, warning});
        return set_deadline(run, after(now_us, std::exchange(run.warning_us, 0)));
      }
      run.exited.flags |= kTimeLimitHit;
      return terminate(run, run.grace_us, now_us);
    case RunState::kTerminating:
      return terminate(run, 0, now_us);
    case RunState::kKilling:
      kill_round_due_ = true;
      return;
    case RunState::kWaiting:
    case RunState::kEnded:
      LEAT_CHECK(false);
  }
}

void Runs::on_watch(Watch watch, RunRef ref, std::int64_t now_us) {
  Run* run = table_.at(ref);  // may have gone in this very turn
  if (run == nullptr) return;
  switch (watch) {
    case Watch::kExit:
      if (run->pidfd) reap(*run, now_us);
      return;
    case Watch::kOut:
    case Watch::kErr: {
      Capture& capture = watch == Watch::kOut ? run->out : run->err;
      // More than one visit's worth: ask again, and let the others have their turn.
      if (visit_pipe(capture) && !this->watch(capture.pipe_fd(), watch, ref))
        young_.emplace_back(now_us, ref);
      return;
    }
    case Watch::kOther:
      return;
  }
}

// True if there is more to move than one visit may.
bool Runs::visit_pipe(Capture& capture) {
  if (!capture.open()) return false;
  switch (capture.drain(kPipeVisitBytes)) {
    case Capture::Flow::kEnded:
      capture.close();
      return false;
    case Capture::Flow::kOpen:
      return false;
    case Capture::Flow::kMore:
      return true;
  }
  return false;
}

void Runs::reap(Run& run, std::int64_t now_us) {
  siginfo_t info{};
  rusage usage{};
  const long result =
      syscall(SYS_waitid, P_PIDFD, run.pidfd.get(), &info, WEXITED | WNOHANG, &usage);
  LEAT_CHECK(result == 0);  // it is our child, and only we reap it
  if (info.si_pid == 0) {
    watch(run.pidfd.get(), Watch::kExit, run.ref);
    return;
  }
  run.pidfd.reset();
  run.out.finish();
  run.err.finish();
  Exited& exited = run.exited;
  exited.kind = info.si_code == CLD_EXITED ? ExitKind::kExited : ExitKind::kSignaled;
  exited.code = info.si_status;
  const std::int64_t end_us = options_.clock.monotonic_us();
  exited.duration_us =
      static_cast<std::uint64_t>(std::max<std::int64_t>(end_us - exited.start_monotonic_us, 0));
  exited.cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
  exited.peak_kib = static_cast<std::uint64_t>(usage.ru_maxrss);
  exited.out_bytes = run.out.bytes();
  exited.err_bytes = run.err.bytes();
  if (run.out.truncated()) exited.flags |= kOutTruncated;
  if (run.err.truncated()) exited.flags |= kErrTruncated;
  exited.spool_error = run.out.error() != 0 ? run.out.error() : run.err.error();
  if (exited.spool_error != 0) exited.flags |= kSpoolFailed;
  if (run.grouped) note_group(run);
  const bool alone = !run.grouped || cgroups_.is_empty(exited.slot);
  if (run.state == RunState::kRunning && alone) return finish(run, now_us);
  // The end was asked for, or its group must be empty for the next run: it is over when the last
  // process it started is gone.
  run.state = RunState::kKilling;
  set_deadline(run, 0);
  kill_round_due_ = true;
}

// What the group of its slot knows of a run whose first process has ended.
void Runs::note_group(Run& run) {
  const GroupUse use = cgroups_.use(run.exited.slot);
  if (use.out_of_memory) run.exited.flags |= kOutOfMemory;
  if (use.peak_bytes == 0) return;
  run.exited.flags |= kPeakOfGroup;
  run.exited.peak_kib = (use.peak_bytes + 1023) / 1024;
}

void Runs::finish(Run& run, std::int64_t now_us) {
  set_deadline(run, 0);
  run.state = RunState::kEnded;
  if (const auto at = by_pid_.find(run.pid); at != by_pid_.end() && at->second == run.ref)
    by_pid_.erase(at);
  --live_;
  ended_since_sweep_ = true;
  Slot& slot = slots_[run.exited.slot];
  slot.busy = false;
  sink_.report(run, slot.waiting.size() > kBacklogSafe);
  start_next_in(run.exited.slot, now_us);
}

// False if there was no memory to watch with: then the pipes are looked at by the clock for now.
bool Runs::watch_pipes(Run& run) {
  bool watched = true;
  if (run.out.open()) watched = watch(run.out.pipe_fd(), Watch::kOut, run.ref);
  if (run.err.open()) watched = watch(run.err.pipe_fd(), Watch::kErr, run.ref) && watched;
  if (watched) return true;
  visit_pipe(run.out);
  visit_pipe(run.err);
  return false;
}

void Runs::on_time(std::int64_t now_us) {
  while (!young_.empty() && young_.front().first <= now_us) {
    const RunRef ref = young_.front().second;
    young_.pop_front();
    Run* run = table_.at(ref);
    if (run == nullptr || !run->pidfd) continue;
    if (!watch_pipes(*run)) young_.emplace_back(now_us + kYoungUs, ref);
    sink_.report(*run, true);
  }
  table_due_.clear();
  for (const auto& [deadline_us, index] : deadlines_) {
    if (deadline_us > now_us) break;
    table_due_.push_back(index);
  }
  for (const std::uint32_t index : table_due_) on_deadline(table_.place(index), now_us);
  const bool sweep = due_sweep_us() >= 0 && due_sweep_us() <= now_us;
  if (sweep) {
    last_sweep_us_ = now_us;
    sweep_again_us_ = 0;
    ended_since_sweep_ = false;
  }
  if (!ordered_.empty() || kill_round_due_ || (sweep && has_strays())) look_at_trees(now_us);
}

std::int64_t Runs::due_sweep_us() const {
  if (sweep_again_us_ != 0) return sweep_again_us_;
  if (ended_since_sweep_) return last_sweep_us_ + kSweepUs;
  return live_ > 0 ? last_sweep_us_ + kIdleSweepUs : -1;
}

std::int64_t Runs::due_us() const {
  if (!ordered_.empty() || kill_round_due_) return 0;
  std::int64_t due_us = due_sweep_us();
  const auto sooner = [&due_us](std::int64_t at_us) {
    due_us = due_us < 0 ? at_us : std::min(due_us, at_us);
  };
  if (!young_.empty()) sooner(young_.front().first);
  if (!deadlines_.empty()) sooner(deadlines_.begin()->first);
  return due_us;
}

}  // namespace leat::warden
