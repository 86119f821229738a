#pragma once

// command.h - what a subcommand must provide, and what it is given.

#include <kj/async-io.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/failure.h"
#include "cli/home.h"

namespace leat::cli {

struct CommandEntry;

// What main.cc found when the process started; nobody else asks the system for these.
struct Surroundings {
  std::vector<std::string> environment;  // "NAME=VALUE"
  std::string directory;                 // absolute
  std::string program_path;              // of this executable
  std::string version;
  std::span<const CommandEntry* const> commands;  // all there are
  std::uint32_t uid = 0;
  std::string fresh_key;                  // 128 random bits in hex, new in every process
  std::uint64_t fresh_seed = 0;           // for jitter
  std::function<std::int64_t()> wall_us;  // microseconds since 1970

  // The value of a variable of the environment; empty if there is none.
  std::string variable(std::string_view name) const;
};

// Everything a command may touch. Borrows all of it.
struct Shell {
  kj::AsyncIoContext& io;
  Console& console;
  const Surroundings& surroundings;
  Home home;
};

// One subcommand. Lives for one invocation: declare, then run.
class Command {
 public:
  Command() = default;
  virtual ~Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // Binds options and operands to members.
  virtual void declare(Arguments& arguments) = 0;

  // Does it. Throws Failure, or kj::Exception for a broken machine.
  virtual ExitCode run(Shell& shell) = 0;
};

struct CommandEntry {
  std::string_view name;     // "submit", "job list"
  std::string_view summary;  // one line of `leat --help`
  std::string_view details;  // paragraph of `leat NAME --help`, with an example
  std::unique_ptr<Command> (*build)();
};

// One per file of the same name.
extern const CommandEntry kUp;
extern const CommandEntry kDown;
extern const CommandEntry kStatus;
extern const CommandEntry kDoctor;
extern const CommandEntry kTop;
extern const CommandEntry kEvents;
extern const CommandEntry kSubmit;
extern const CommandEntry kWait;
extern const CommandEntry kCancel;
extern const CommandEntry kWhy;
extern const CommandEntry kLogs;
extern const CommandEntry kResult;
extern const CommandEntry kJobList;
extern const CommandEntry kJobShow;
extern const CommandEntry kJobSet;
extern const CommandEntry kTaskShow;
extern const CommandEntry kRetry;
extern const CommandEntry kHold;
extern const CommandEntry kRelease;
extern const CommandEntry kPoolCreate;
extern const CommandEntry kPoolList;
extern const CommandEntry kPoolShow;
extern const CommandEntry kPoolResize;
extern const CommandEntry kPoolSet;
extern const CommandEntry kPoolDelete;
extern const CommandEntry kPoolPlan;
extern const CommandEntry kPoolToken;
extern const CommandEntry kNodeList;
extern const CommandEntry kNodeDrain;
extern const CommandEntry kNodeResume;
extern const CommandEntry kNodeRemove;
extern const CommandEntry kAgentJoin;
extern const CommandEntry kHistorySql;
extern const CommandEntry kHistoryExport;
extern const CommandEntry kHistoryPrune;
extern const CommandEntry kCompletion;

// For CommandEntry::build.
template <typename T>
std::unique_ptr<Command> build_command() {
  return std::make_unique<T>();
}

}  // namespace leat::cli
