#include "mpi-tasks/processes.h"

#include <fcntl.h>
#include <kj/debug.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "spool/subtasks.h"

namespace leat::mpi {
namespace {

struct PipeEnds {
  kj::AutoCloseFd reader;
  kj::AutoCloseFd writer;
};

PipeEnds make_pipe() {
  std::array<int, 2> ends{-1, -1};
  (void)!pipe2(ends.data(), O_CLOEXEC);
  return {kj::AutoCloseFd(ends[0]), kj::AutoCloseFd(ends[1])};
}

}  // namespace

Processes::Processes(kj::UnixEventPort& port, Outputs outputs, Start start,
                     std::function<void()> on_idle)
    : port_(port),
      outputs_(outputs),
      start_(std::move(start)),
      on_idle_(std::move(on_idle)),
      tasks_(*this) {}

Processes::~Processes() noexcept(false) = default;

std::variant<Processes::Id, NotStarted> Processes::start(const Wish& wish, OnEnd on_end) {
  PipeEnds out = make_pipe();
  PipeEnds error = make_pipe();
  if (out.reader.get() < 0 || error.reader.get() < 0)
    return NotStarted{kExitNotExecutable, std::string("no pipes: ") + std::strerror(errno)};
  auto started =
      start_rank({wish.program, wish.arguments, wish.environment, start_.directory, wish.cpus,
                  out.writer.get(), error.writer.get(), wish.pmi_fd, start_.files});
  if (auto* nothing = std::get_if<NotStarted>(&started)) return std::move(*nothing);
  const Id id = next_++;
  Process& process = processes_[id];
  process.process = std::get<RankProcess>(std::move(started));
  process.on_end = std::move(on_end);
  process.frame = wish.frame;
  ++running_;
  tell_start(process, wish);
  add_pipes(id, wish, kj::mv(out.reader), kj::mv(error.reader));
  process.observer = kj::heap<kj::UnixEventPort::FdObserver>(
      port_, process.process.pidfd.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ);
  tasks_.add(process.observer->whenBecomesReadable().then([this, id] {
    Process& ended = processes_.at(id);
    ended.exit = reap(ended.process);
    ended.runs = false;
    --running_;
    tell_end(ended);
    // Whoever waits on this descriptor is what runs now.
    tasks_.add(kj::evalLater([this, id] {
      tell_if_over(id);
      if (running_ == 0) on_idle_();
    }));
  }));
  return id;
}

void Processes::add_pipes(Id id, const Wish& wish, kj::AutoCloseFd out, kj::AutoCloseFd error) {
  const auto add = [&](RankOutput& output, kj::AutoCloseFd pipe, const RankOutput::Tap& tap) {
    if (!tap) return output.add(wish.frame, kj::mv(pipe));
    ++processes_.at(id).open_pipes;
    output.add(wish.frame, kj::mv(pipe), tap, [this, id] {
      --processes_.at(id).open_pipes;
      tell_if_over(id);
    });
  };
  add(outputs_.out, kj::mv(out), wish.out);
  add(outputs_.error, kj::mv(error), wish.error);
}

// Before anything that it writes.
void Processes::tell_start(Process& process, const Wish& wish) {
  process.told = wish.frame >= spool::kFirstSubtask && told_ < spool::kSubtasksToldMax;
  if (!process.told) return;
  ++told_;
  spool::Subtask subtask{.frame = wish.frame,
                         .pid = static_cast<std::uint32_t>(process.process.pid),
                         .started_us = start_.wall_us(),
                         .host = start_.host,
                         .command = wish.command};
  for (const std::string& word : wish.arguments)
    if (wish.command.empty()) subtask.command += (subtask.command.empty() ? "" : " ") + word;
  outputs_.error.tell_places(spool::subtask_line(subtask));
}

void Processes::tell_end(const Process& process) {
  if (!process.told) return;
  const spool::SubtaskEnd end{start_.wall_us(), process.exit.status, process.exit.signalled};
  outputs_.error.tell_places(spool::subtask_end_line(process.frame, end));
}

void Processes::tell_if_over(Id id) {
  const auto at = processes_.find(id);
  if (at == processes_.end() || at->second.runs || at->second.open_pipes > 0) return;
  const OnEnd on_end = std::move(at->second.on_end);
  const RankExit exit = at->second.exit;
  processes_.erase(at);
  on_end(exit);
}

void Processes::signal(Id id, int number) {
  const auto at = processes_.find(id);
  if (at != processes_.end() && at->second.runs) kill(-at->second.process.pid, number);
}

void Processes::signal_all(int number) {
  for (const auto& [id, process] : processes_)
    if (process.runs) kill(-process.process.pid, number);
}

void Processes::taskFailed(kj::Exception&& exception) {
  KJ_LOG(ERROR, exception);
  LEAT_CHECK(false);
}

}  // namespace leat::mpi
