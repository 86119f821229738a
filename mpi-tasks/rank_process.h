#pragma once

// rank_process.h - one new process that dies with us, and its end.

#include <kj/io.h>
#include <sys/resource.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace leat::mpi {

// Where a rank finds its end of a PMI-1 connection.
inline constexpr int kPmiFd = 3;

// CPUs of a node are numbered below it.
inline constexpr std::uint16_t kCpusMax = 4096;

// What a rank is to be. Borrowed for the length of the call.
struct RankPlan {
  const std::string& program;  // a path; relative: to `directory`
  const std::vector<std::string>& arguments;
  const std::vector<std::string>& environment;
  const std::string& directory;
  const std::vector<std::uint16_t>& cpus;  // below kCpusMax; empty: unbound
  int stdout_fd = -1;
  int stderr_fd = -1;
  int pmi_fd = -1;  // becomes kPmiFd there; -1: none
  rlimit files{};   // how many files it may open, whatever our own limit is by now
};

struct RankProcess {
  int pid = 0;
  kj::AutoCloseFd pidfd;
};

inline constexpr int kExitNotFound = 127;
inline constexpr int kExitNotExecutable = 126;

// A program that could not be started, as shells put it: `exit_code` is 126 or 127.
struct NotStarted {
  int exit_code = kExitNotFound;
  std::string message;
};

// Starts a process that leads a group of its own, has an empty standard input, no other descriptor
// than 0 to 2 (and kPmiFd) and default signal handling, and gets SIGKILL when the calling thread
// ends. Other threads may run meanwhile.
std::variant<RankProcess, NotStarted> start_rank(const RankPlan& plan);

// The path of `program` as execvp would find it: with a slash as it stands, else in `path`.
// Relative names are looked up in `directory`.
std::variant<std::string, NotStarted> find_program(const std::string& program,
                                                   const std::string& directory,
                                                   std::string_view path);

// The CPUs a process may run on, ascending, as the system has them: a cpuset may have left less
// than was asked for. None if it does not say. Precondition: the process has not been reaped.
std::vector<std::uint16_t> cpus_of(int pid);

// How a process ended.
struct RankExit {
  int status = 0;  // exit code or signal
  bool signalled = false;
};
// Precondition: the pidfd is readable.
RankExit reap(const RankProcess& process);

// Ends and reaps what is left of the processes below us: what ranks have started and abandoned.
// Precondition: we are a child subreaper, and every rank has been reaped.
void end_abandoned();

}  // namespace leat::mpi
