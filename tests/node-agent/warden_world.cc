#include "tests/node-agent/warden_world.h"

#include <kj/debug.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "node-agent/warden/fd.h"

namespace leat::warden {

namespace {

constexpr int kDeadlineSeconds = 30;

std::string read_range(const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  std::string text(bytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(bytes));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = "/tmp/leat-warden-test-XXXXXX";
  KJ_REQUIRE(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

WardenWorld::WardenWorld(std::string program, Groups groups)
    : program_(std::move(program)), groups_(groups), io_(kj::setupAsyncIo()) {
  environment.add("PATH", "/usr/local/bin:/usr/bin:/bin");
  environment.add("DIR", directory_.path());
  attach();
}

WardenWorld::~WardenWorld() {
  link_ = nullptr;
  if (warden_pid_ > 0 && kill(warden_pid_, SIGTERM) == 0) gone_within(warden_pid_, 10);
}

agent::WardenOptions WardenWorld::options() const {
  return {directory_.path(), program_, node_token(), groups_ == Groups::kNone};
}

// One of its own for every test process: a warden ends what carries its token.
std::string WardenWorld::node_token() {
  std::string digits = std::to_string(getpid());
  return std::string(32 - digits.size(), '0') + digits;
}

void WardenWorld::attach() {
  dumped_ = false;
  dump_.clear();
  link_ = agent::WardenLink::attach(io_.unixEventPort, io_.provider->getTimer(), options(),
                                    [this](const Event& event) { on_event(event); })
              .wait(io_.waitScope);
  warden_pid_ = link_->warden_pid();
  templates_ = 0;
  wait_until([this] { return dumped_; }, "the dump");
}

void WardenWorld::on_event(const Event& event) {
  if (!dumped_) dump_.push_back(event);
  if (const auto* exited = std::get_if<Exited>(&event)) exits_[exited->run] = *exited;
  if (const auto* running = std::get_if<Running>(&event)) running_[running->run] = *running;
  if (std::holds_alternative<DumpEnd>(event)) dumped_ = true;
}

Launch WardenWorld::shell(const std::string& script, std::uint16_t slot) {
  return program({"sh", "-c", script}, slot);
}

Launch WardenWorld::program(const std::vector<std::string>& arguments, std::uint16_t slot) {
  Template made;
  made.id = ++templates_;
  for (const std::string& argument : arguments) made.arguments.add(argument);
  made.environment = environment;
  made.directory = "/";
  put(made);
  Launch launch;
  launch.run = {JobId{7}, 0, 1, next_index_++};
  launch.template_id = made.id;
  launch.slot = slot;
  launch.output_limit_bytes = 64 * kMiB;
  return launch;
}

void WardenWorld::put(const Command& command) {
  KJ_REQUIRE(link_->put(command), "no room in the ring");
}

Exited WardenWorld::run(const Launch& launch) {
  put(launch);
  return wait_exit(launch.run);
}

Exited WardenWorld::wait_exit(const RunId& run) {
  wait_until([&] { return has_exited(run); }, "an exit");
  return exits_.at(run);
}

Running WardenWorld::wait_running(const RunId& run) {
  wait_until([&] { return running_.count(run) != 0; }, "a start");
  return running_.at(run);
}

// The loop is turned for a few milliseconds at a time, so that conditions outside of it, such as
// a file that a task makes, are seen too.
void WardenWorld::wait_until(const std::function<bool()>& condition, const char* what) {
  kj::Timer& timer = io_.provider->getTimer();
  const kj::TimePoint deadline = timer.now() + kDeadlineSeconds * kj::SECONDS;
  while (!condition()) {
    KJ_REQUIRE(timer.now() < deadline, "waited in vain for", what);
    timer.afterDelay(2 * kj::MILLISECONDS).wait(io_.waitScope);
  }
}

void WardenWorld::wait_for_file(const std::string& path) {
  wait_until([&] { return !read_file(path).empty(); }, path.c_str());
}

std::string WardenWorld::out(const Exited& exited) const {
  return read_range(path("spool/" + spool_file_name(exited.slot, exited.segment, false)),
                    exited.out_offset, exited.out_bytes);
}

std::string WardenWorld::err(const Exited& exited) const {
  return read_range(path("spool/" + spool_file_name(exited.slot, exited.segment, true)),
                    exited.err_offset, exited.err_bytes);
}

std::string story(const Exited& exited) {
  std::ostringstream text;
  text << "kind " << static_cast<int>(exited.kind) << ", code " << exited.code << ", step "
       << static_cast<int>(exited.step) << ", error " << exited.error << ", flags " << exited.flags
       << ", spool error " << exited.spool_error << ", " << exited.out_bytes << " bytes at "
       << exited.out_offset << ", " << exited.err_bytes << " of errors, after "
       << exited.duration_us << " us";
  return text.str();
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool gone_within(int pid, int seconds) {
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return true;
  pollfd waited{pidfd.get(), POLLIN, 0};
  return poll(&waited, 1, seconds * 1000) == 1;
}

int read_pid(const std::string& path) {
  return std::atoi(read_file(path).c_str());
}

}  // namespace leat::warden
