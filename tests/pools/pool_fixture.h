#pragma once

// pool_fixture.h - a local pool with fake agents, in a directory of its own.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <kj/async-io.h>
#include <kj/async-unix.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "pools/local_pool.h"

namespace leat::pools {

inline std::string content_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

inline bool process_lives(pid_t pid) {
  return start_ticks_of(pid).has_value();
}

// Waits for the event, not for a time. False after 20 s.
inline bool wait_for_file(const std::string& path) {
  const kj::AutoCloseFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const std::string directory = path.substr(0, path.rfind('/'));
  ::inotify_add_watch(inotify.get(), directory.c_str(), IN_CREATE | IN_MOVED_TO);
  while (!std::filesystem::exists(path)) {
    struct pollfd poll {};
    poll.fd = inotify.get();
    poll.events = POLLIN;
    if (::poll(&poll, 1, 20'000) <= 0) return false;
    char buffer[4096];
    while (::read(inotify.get(), buffer, sizeof buffer) > 0) {
    }
  }
  return true;
}

class PoolTest : public ::testing::Test {
 protected:
  PoolTest() {
    char name[] = "/tmp/leat-pools-XXXXXX";
    home_ = ::mkdtemp(name);
    options_.nodes_directory = home_ + "/nodes";
    options_.agent_program = LEAT_FAKE_AGENT;
    options_.warden_program = "/nowhere/leat-warden";
    options_.machine_cores = 8;
    options_.restart_pause_first = std::chrono::milliseconds(1);
    options_.restart_pause_last = std::chrono::milliseconds(4);
    options_.agent_exit_deadline = std::chrono::milliseconds(300);
    options_.stop_deadline = std::chrono::milliseconds(5000);
    options_.warden_deadline = std::chrono::milliseconds(2000);
  }

  void TearDown() override {
    if (pool_.get() != nullptr) destroy_all();
    pool_ = nullptr;
    std::filesystem::remove_all(home_);
  }

  void mode(const std::string& fake_mode) {
    options_.environment.push_back("FAKE_MODE=" + fake_mode);
  }

  void open() {
    pool_ = nullptr;
    Result<kj::Own<LocalPool>> opened =
        LocalPool::open(io_.unixEventPort, io_.provider->getTimer(), options_);
    ASSERT_TRUE(opened.ok()) << opened.refusal().message;
    pool_ = std::move(opened).value();
  }

  static NodeOrder order(std::uint32_t id, std::uint64_t epoch = 7) {
    NodeOrder order;
    order.node = {NodeId{id}, NodeEpoch{epoch}};
    order.pool = "lo\"cal";
    order.millicores = 2000;
    order.memory_bytes = 1 << 30;
    order.cluster_id = "abcdefghijklmnop";
    order.agent_address = "127.0.0.1:4001";
    order.enrol_address = "127.0.0.1:4002";
    order.token = "leat1.secret";
    return order;
  }

  template <typename T>
  T wait(kj::Promise<T> promise) {
    return io_.provider->getTimer()
        .timeoutAfter(20 * kj::SECONDS, kj::mv(promise))
        .wait(io_.waitScope);
  }

  std::string directory(NodeRef node) const {
    return options_.nodes_directory + "/" + directory_name(node);
  }

  // Creates it and waits until it has a warden.
  Instance create_whole(const NodeOrder& order) {
    const Result<Done> created = wait(pool_->create(order));
    EXPECT_TRUE(created.ok()) << (created.ok() ? "" : created.refusal().message);
    EXPECT_TRUE(wait_for_file(directory(order.node) + "/attached"));
    return only(order.node);
  }

  std::vector<Instance> list() {
    const Result<std::vector<Instance>> listed = wait(pool_->list());
    EXPECT_TRUE(listed.ok()) << (listed.ok() ? "" : listed.refusal().message);
    return listed.ok() ? listed.value() : std::vector<Instance>();
  }

  Instance only(NodeRef node) {
    for (const Instance& instance : list())
      if (instance.node == node) return instance;
    ADD_FAILURE() << "node is not listed";
    return {};
  }

  // The next change of that kind; others on the way are skipped.
  InstanceChange next(InstanceState state) {
    for (;;) {
      while (!unread_.empty()) {
        InstanceChange change = unread_.front();
        unread_.erase(unread_.begin());
        if (change.instance.state == state) return change;
      }
      unread_ = wait(pool_->changes());
    }
  }

  std::size_t starts(NodeRef node) const {
    const std::string text = content_of(directory(node) + "/starts");
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  void destroy_all() {
    for (const Instance& instance : list()) {
      if (instance.warden_pid != 0) ::kill(instance.warden_pid, SIGKILL);
      EXPECT_TRUE(wait(pool_->destroy(instance.node)).ok());
    }
  }

  // KJ's destructors may throw, GoogleTest's fixtures may not: a unique_ptr stands between.
  struct Parts {
    kj::AsyncIoContext io = kj::setupAsyncIo();
    kj::Own<LocalPool> pool;
  };
  std::unique_ptr<Parts> parts_ = std::make_unique<Parts>();
  kj::AsyncIoContext& io_ = parts_->io;
  kj::Own<LocalPool>& pool_ = parts_->pool;
  std::string home_;
  LocalPoolOptions options_;
  std::vector<InstanceChange> unread_;
};

}  // namespace leat::pools
