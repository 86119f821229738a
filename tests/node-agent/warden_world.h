#pragma once

// warden_world.h - a node directory, its warden and an attached agent, for tests.

#include <kj/async-io.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "node-agent/warden/records.h"
#include "node-agent/warden_link.h"

namespace leat::warden {

// A directory that goes away with its content.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Owns: directory, link and the warden, which is ended with it. Every wait has a deadline, and
// throws when it passes.
class WardenWorld {
 public:
  static constexpr std::uint64_t kMiB = 1u << 20;
  static constexpr std::uint64_t kSecond = 1'000'000;

  enum class Groups : std::uint8_t { kIfPossible, kNone };
  explicit WardenWorld(std::string program = LEAT_WARDEN_PROGRAM,
                       Groups groups = Groups::kIfPossible);
  ~WardenWorld();

  // 32 hexadecimal digits, the same in all worlds of a process.
  static std::string node_token();

  // The link comes and goes as the agent would. attach() waits for the whole dump.
  void attach();
  void leave() { link_ = nullptr; }
  agent::WardenLink& link() { return *link_; }

  // A launch of `sh -c script` under the next free index, ready to be changed and put.
  Launch shell(const std::string& script, std::uint16_t slot = 0);
  Launch program(const std::vector<std::string>& arguments, std::uint16_t slot = 0);
  void put(const Command& command);
  // Puts the launch and waits for its end.
  Exited run(const Launch& launch);

  Exited wait_exit(const RunId& run);
  Running wait_running(const RunId& run);
  void wait_until(const std::function<bool()>& condition, const char* what);
  void wait_for_file(const std::string& path);

  bool has_exited(const RunId& run) const { return exits_.count(run) != 0; }
  const std::vector<Event>& dump() const { return dump_; }

  // What a run wrote, read from where its exit says.
  std::string out(const Exited& exited) const;
  std::string err(const Exited& exited) const;

  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  const std::string& directory() const { return directory_.path(); }
  int warden_pid() const { return warden_pid_; }
  kj::AsyncIoContext& io() { return io_; }
  agent::WardenOptions options() const;

  StringBlock environment;

 private:
  void on_event(const Event& event);

  TemporaryDirectory directory_;
  std::string program_;
  Groups groups_;
  kj::AsyncIoContext io_;
  kj::Own<agent::WardenLink> link_;
  int warden_pid_ = 0;
  std::uint32_t templates_ = 0;
  Index next_index_ = 0;
  std::map<RunId, Exited> exits_;
  std::map<RunId, Running> running_;
  std::vector<Event> dump_;
  bool dumped_ = false;
};

// All of how a run ended, for the message of a test that expected otherwise.
std::string story(const Exited& exited);

std::string read_file(const std::string& path);

// Waits for a process to be gone; false after `seconds`.
bool gone_within(int pid, int seconds);

// The number in a file a task wrote.
int read_pid(const std::string& path);

}  // namespace leat::warden
