#include "scheduler/store_daemon.h"

#include <csignal>
#include <utility>

#include "pools/detached_program.h"
#include "transport/secret_file.h"

namespace leat::scheduler {

StoreDaemon::StoreDaemon(kj::UnixEventPort& port, kj::Timer& timer, Home home, std::string bind,
                         Random random, engine::Log log)
    : port_(port),
      timer_(timer),
      home_(std::move(home)),
      bind_(std::move(bind)),
      backoff_(random),
      log_(std::move(log)),
      boot_id_(pools::current_boot_id()),
      tasks_(*this) {}

kj::Promise<Result<Done>> StoreDaemon::start() {
  if (!adopt()) return launch();
  if (host_of(where_.address) == bind_) {
    follow();
    return Result<Done>(Done{});
  }
  // The head listens elsewhere than in its earlier life: so must the store.
  return end_process().then([this] { return launch(); });
}

// Takes over a store that lives and has said where it is.
bool StoreDaemon::adopt() {
  const auto stamp = pools::read_stamp(home_.path + "/store.pid");
  if (!stamp.ok() || !stamp.value()) return false;
  const auto json = transport::read_secret_file(home_.path + "/store.json");
  if (!json.ok() || json_field(json.value(), "pid") != std::to_string(stamp.value()->pid))
    return false;
  std::unique_ptr<pools::Process> process = pools::Process::find(port_, *stamp.value(), boot_id_);
  if (process == nullptr) return false;
  process_ = std::move(process);
  where_ = {json_field(json.value(), "address"), static_cast<std::uint32_t>(process_->pid())};
  return true;
}

kj::Promise<Result<Done>> StoreDaemon::launch() {
  pools::DetachedProgram program;
  program.argv = {sibling_program("leat-store"), "--home", home_.path, "--bind", bind_ + ":0"};
  program.environment = {"PATH=/usr/local/bin:/usr/bin:/bin"};
  program.log_path = home_.logs() + "/leat-store.log";
  program.stamp_path = home_.path + "/store.start";
  program.boot_id = boot_id_;
  auto started = pools::start_detached(port_, program);
  if (!started.ok()) return Result<Done>(started.refusal());
  process_ = std::move(started).value();
  return wait_until_up(timer_.now() + kReadyDeadline);
}

kj::Promise<Result<Done>> StoreDaemon::wait_until_up(kj::TimePoint deadline) {
  std::unique_ptr<pools::Process> child = std::move(process_);
  const bool alive = child->alive();
  if (adopt()) {
    // Keeps the handle on the child, which can be reaped.
    if (process_->pid() == child->pid()) process_ = std::move(child);
    backoff_.reset();
    log_("leat-store serves " + where_.address);
    follow();
    return Result<Done>(Done{});
  }
  process_ = std::move(child);
  if (!alive || timer_.now() >= deadline) {
    process_->reap();
    return Result<Done>(
        invalid("leat-store did not start: see " + home_.logs() + "/leat-store.log"));
  }
  return timer_.afterDelay(kLookInterval).then([this, deadline] {
    return wait_until_up(deadline);
  });
}

void StoreDaemon::follow() {
  tasks_.add(process_->on_exit().then([this]() -> kj::Promise<void> {
    process_->reap();
    where_.pid = 0;  // the address stays: the next one takes the same port if it can
    if (stopping_) return kj::READY_NOW;
    log_("leat-store has ended: it is started again");
    return start_again();
  }));
}

kj::Promise<void> StoreDaemon::start_again() {
  return timer_.afterDelay(transport::to_kj(backoff_.next()))
      .then(
          [this] { return stopping_ ? kj::Promise<Result<Done>>(Result<Done>(Done{})) : start(); })
      .then([this](const Result<Done>& started) -> kj::Promise<void> {
        if (started.ok()) return kj::READY_NOW;
        log_(started.refusal().message);
        return start_again();
      });
}

kj::Promise<void> StoreDaemon::stop() {
  stopping_ = true;
  return end_process();
}

kj::Promise<void> StoreDaemon::end_process() {
  if (process_ == nullptr || !process_->alive()) return kj::READY_NOW;
  process_->signal(SIGTERM);
  return process_->on_exit().exclusiveJoin(
      timer_.afterDelay(kStopDeadline).then([this] { process_->signal(SIGKILL); }));
}

void StoreDaemon::taskFailed(kj::Exception&& exception) {
  log_(std::string("leat-store: ") + exception.getDescription().cStr());
}

}  // namespace leat::scheduler
