// main.cc - the command line: finds the command, builds what it needs, turns its end into a line
// and an exit code.

#include <kj/async-io.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "cli/command.h"
#include "cli/help.h"

namespace leat::cli {
namespace {

constexpr std::array kCommands{
    &kUp,         &kDown,       &kStatus,     &kDoctor,        &kTop,          &kEvents,
    &kSubmit,     &kWait,       &kCancel,     &kRetry,         &kHold,         &kRelease,
    &kWhy,        &kLogs,       &kResult,     &kJobList,       &kJobShow,      &kJobSet,
    &kTaskShow,   &kPoolCreate, &kPoolList,   &kPoolShow,      &kPoolResize,   &kPoolSet,
    &kPoolDelete, &kPoolPlan,   &kPoolToken,  &kNodeList,      &kNodeDrain,    &kNodeResume,
    &kNodeRemove, &kAgentJoin,  &kHistorySql, &kHistoryExport, &kHistoryPrune, &kCompletion,
};

// What precedes the command: `leat [--home DIR] [--version] [--help] COMMAND …`.
struct Invocation {
  std::optional<std::string> home;
  bool version = false;
  bool help = false;
  const CommandEntry* entry = nullptr;
  std::vector<std::string> words;  // after the command's name
};

std::string random_hex() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    fail(ExitCode::kRefused, "the system gives no random numbers");
  std::string hex;
  for (const unsigned char byte : bytes) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

std::string own_path() {
  std::string path(4096, '\0');
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  return path;
}

Surroundings look_around() {
  Surroundings found;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
    found.environment.emplace_back(*entry);
  char* const directory = ::getcwd(nullptr, 0);
  if (directory == nullptr) fail(ExitCode::kUsage, "the current directory is gone: cd to another");
  found.directory = directory;
  std::free(directory);
  found.program_path = own_path();
  found.version = LEAT_VERSION;
  found.commands = kCommands;
  found.uid = ::geteuid();
  found.fresh_key = random_hex();
  found.fresh_seed = std::strtoull(random_hex().substr(16).c_str(), nullptr, 16);
  found.wall_us = [] {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count();
  };
  return found;
}

const CommandEntry* find_command(std::vector<std::string>& words) {
  for (const CommandEntry* const entry : kCommands) {
    const std::size_t blank = entry->name.find(' ');
    const std::size_t length = blank == std::string_view::npos ? 1 : 2;
    if (words.size() < length || words[0] != entry->name.substr(0, blank)) continue;
    if (length == 2 && words[1] != entry->name.substr(blank + 1)) continue;
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(length));
    return entry;
  }
  return nullptr;
}

[[noreturn]] void refuse_command(const std::vector<std::string>& words) {
  std::string forms;
  for (const CommandEntry* const entry : kCommands)
    if (entry->name.rfind(words[0] + ' ', 0) == 0)
      forms += (forms.empty() ? "" : " or ") + ("leat " + std::string(entry->name));
  if (!forms.empty()) fail(ExitCode::kUsage, words[0] + ": write " + forms);
  for (const char* const later : {"report", "schedule", "replay"})
    if (words[0] == later) fail(ExitCode::kRefused, words[0] + ": not in this version");
  fail(ExitCode::kUsage, "unknown command " + words[0] + ": see leat --help");
}

Invocation read_invocation(std::vector<std::string> words) {
  Invocation invocation;
  while (!words.empty() && words[0].rfind('-', 0) == 0) {
    std::size_t taken = 1;
    if (words[0] == "--version") {
      invocation.version = true;
    } else if (words[0] == "--help" || words[0] == "-h") {
      invocation.help = true;
    } else if (words[0] == "--home" && words.size() > 1) {
      invocation.home = words[1];
      taken = 2;
    } else if (words[0].rfind("--home=", 0) == 0) {
      invocation.home = words[0].substr(7);
    } else {
      fail(ExitCode::kUsage, "unknown option " + words[0] + ": see leat --help");
    }
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  if (invocation.version || invocation.help) return invocation;
  if (words.empty()) fail(ExitCode::kUsage, "no command: see leat --help");
  invocation.entry = find_command(words);
  if (invocation.entry == nullptr) refuse_command(words);
  invocation.words = std::move(words);
  return invocation;
}

ExitCode run(ProcessConsole& console, std::vector<std::string> words) {
  const Surroundings surroundings = look_around();
  Invocation invocation = read_invocation(std::move(words));
  if (invocation.version) {
    console.out("leat " + surroundings.version + '\n');
    return ExitCode::kDone;
  }
  if (invocation.help) {
    console.out(general_help(kCommands));
    return ExitCode::kDone;
  }
  const std::unique_ptr<Command> command = invocation.entry->build();
  Arguments arguments;
  command->declare(arguments);
  bool help = false;
  declare_common(arguments, invocation.home, help);
  if (arguments.asks_for_help(invocation.words)) {
    console.out(command_help(*invocation.entry, arguments));
    return ExitCode::kDone;
  }
  const std::string name(invocation.entry->name);
  const Result<Done> parsed = arguments.parse(std::move(invocation.words));
  if (!parsed.ok()) {
    const bool usage = parsed.refusal().reason == Reason::kInvalid;
    fail(exit_code_of(parsed.refusal().reason),
         name + ": " + parsed.refusal().message + (usage ? ": see leat " + name + " --help" : ""));
  }
  kj::AsyncIoContext io = kj::setupAsyncIo();
  Shell shell{io, console, surroundings, choose_home(invocation.home, surroundings)};
  return command->run(shell);
}

int run_guarded(std::vector<std::string> words) {
  ProcessConsole console;
  try {
    return static_cast<int>(run(console, std::move(words)));
  } catch (const Failure& failure) {
    console.talk("leat: " + failure.message);
    return static_cast<int>(failure.code);
  } catch (const OutputClosed&) {
    return static_cast<int>(ExitCode::kDone);
  } catch (const kj::Exception& exception) {
    console.talk("leat: " + first_line(exception) + ": try again");
    return static_cast<int>(ExitCode::kUnreachable);
  } catch (const std::exception& exception) {
    console.talk(std::string("leat: ") + exception.what() + ": try again");
    return static_cast<int>(ExitCode::kUnreachable);
  }
}

}  // namespace
}  // namespace leat::cli

int main(int argc, char** argv) {
  // A closed pipe is an error of write(), not our end.
  (void)::signal(SIGPIPE, SIG_IGN);
  return leat::cli::run_guarded({argv + 1, argv + argc});
}
