#pragma once

// processes.h - the processes that a launcher has started, their pipes and their ends.

#include <kj/async-unix.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "mpi-tasks/rank_output.h"
#include "mpi-tasks/rank_process.h"

namespace leat::mpi {

// Owns pidfds and hands pipes to the two outputs, which it borrows. Thread: the loop's.
class Processes final : private kj::TaskSet::ErrorHandler {
 public:
  using Id = std::uint64_t;
  using OnEnd = std::function<void(RankExit)>;

  struct Wish {
    // Whose output it is: a rank, or one of spool/rank_frames.h's. What is no rank is told of as a
    // subtask.
    std::uint32_t frame = 0;
    std::string program{};  // a path
    std::vector<std::string> arguments{};
    std::string command{};  // what a subtask is called; empty: its arguments
    std::vector<std::string> environment{};
    std::vector<std::uint16_t> cpus{};
    int pmi_fd = -1;  // borrowed for the call
    // With these, the end is told only when the pipes have ended too.
    RankOutput::Tap out{};
    RankOutput::Tap error{};
  };

  struct Outputs {
    RankOutput& out;
    RankOutput& error;
  };
  struct Start {
    std::string directory;
    rlimit files{};  // how many they may open
    std::string host;
    std::function<std::int64_t()> wall_us;  // since 1970
  };

  // `on_idle` is called on the loop when the last that ran has ended.
  Processes(kj::UnixEventPort& port, Outputs outputs, Start start, std::function<void()> on_idle);
  ~Processes() noexcept(false);

  // `on_end` is called on the loop, later, once; then nothing of it is known here any more.
  std::variant<Id, NotStarted> start(const Wish& wish, OnEnd on_end);

  // To its process group; nothing if it has ended.
  void signal(Id id, int number);
  void signal_all(int number);

  // Precondition: it has not been told that this one has ended.
  int pid(Id id) const { return processes_.at(id).process.pid; }

  // Processes that run.
  std::size_t running() const { return running_; }

 private:
  struct Process {
    RankProcess process;
    kj::Own<kj::UnixEventPort::FdObserver> observer{};
    OnEnd on_end;
    std::uint32_t frame = 0;
    bool told = false;  // as a subtask
    bool runs = true;
    int open_pipes = 0;  // those that its end must wait for
    RankExit exit{};
  };

  void add_pipes(Id id, const Wish& wish, kj::AutoCloseFd out, kj::AutoCloseFd error);
  void tell_if_over(Id id);
  void tell_start(Process& process, const Wish& wish);
  void tell_end(const Process& process);
  void taskFailed(kj::Exception&& exception) override;

  kj::UnixEventPort& port_;
  const Outputs outputs_;
  const Start start_;
  const std::function<void()> on_idle_;
  std::map<Id, Process> processes_;
  Id next_ = 1;
  std::size_t running_ = 0;
  std::size_t told_ = 0;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::mpi
