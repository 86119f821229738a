#pragma once

// fakes.h - a store that answers when told, a sink that remembers, and a head of both.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "scheduler/engine/engine.h"
#include "scheduler/store/message_bytes.h"
#include "scheduler/store/recovery.h"
#include "scheduler/store/row_codec.h"
#include "scheduler/store/store.h"
#include "tests/scheduler/store/memory_file.h"
#include "tests/scheduler/store/specs.h"

namespace leat::engine {

// A record is "on disk" (in file()) when it has been answered.
class FakeStore final : public store::Store {
 public:
  kj::Promise<void> append(store::TurnRecord turn) override {
    ++appends;
    if (at_once) {
      file_.append(turn);
      remember(turn);
      return kj::READY_NOW;
    }
    auto paf = kj::newPromiseAndFulfiller<void>();
    waiting_.push_back({std::move(turn), kj::mv(paf.fulfiller)});
    return kj::mv(paf.promise);
  }
  kj::Promise<std::optional<store::RunPlace>> find_run(StageRef stage, Index index) override {
    const auto at = runs.find({stage, index});
    return at == runs.end() ? std::nullopt : std::optional(at->second);
  }
  kj::Promise<std::optional<core::Job>> find_job(JobId job) override {
    const auto at = jobs.find(job);
    return at == jobs.end() ? std::nullopt : std::optional(at->second);
  }
  kj::Promise<std::vector<core::Job>> find_jobs(JobId, std::uint32_t) override {
    return std::vector<core::Job>();
  }

  std::size_t waiting() const { return waiting_.size(); }
  void answer() {
    LEAT_CHECK(!waiting_.empty());
    file_.append(waiting_.front().turn);
    remember(waiting_.front().turn);
    waiting_.front().done->fulfill();
    waiting_.pop_front();
  }
  void fail() {
    waiting_.front().done->reject(KJ_EXCEPTION(FAILED, "the disk is broken"));
    waiting_.pop_front();
  }
  store::MemoryFile& file() { return file_; }

  bool at_once = true;
  std::size_t appends = 0;
  std::map<std::pair<StageRef, Index>, store::RunPlace> runs;
  std::map<JobId, core::Job> jobs;

 private:
  struct Waiting {
    store::TurnRecord turn;
    kj::Own<kj::PromiseFulfiller<void>> done;
  };

  void remember(const store::TurnRecord& turn) {
    for (const store::RunHistory& row : turn.history.runs)
      for (Index index = row.first; index <= row.last; ++index)
        if (auto place = store::run_in(row, index)) runs[{row.stage, index}] = *place;
    for (const store::JobHistory& row : turn.history.jobs) {
      auto job = store::decode_job(store::bytes_of(row.summary));
      LEAT_CHECK(job.ok());
      jobs[row.id] = std::move(job).value();
    }
  }

  std::deque<Waiting> waiting_;
  store::MemoryFile file_;
};

class FakeSink final : public EffectSink {
 public:
  void carry_out(const core::Effect& effect) override {
    effects.push_back(effect);
    if (forward) forward(effect);
  }

  template <typename T>
  std::size_t count() const {
    std::size_t n = 0;
    for (const core::Effect& effect : effects) n += std::holds_alternative<T>(effect) ? 1 : 0;
    return n;
  }

  core::Effects effects;
  std::function<void(const core::Effect&)> forward;
};

// An engine on a bare loop: no port, no clock. Time moves when told.
struct FakeHead {
  // With what an earlier head has kept, and the file it kept it in.
  explicit FakeHead(store::Recovered recovered = nothing_recovered(), store::MemoryFile file = {})
      : engine(std::move(recovered), store, sink), now(engine.last()) {
    store.file() = std::move(file);
  }

  // Turns until nothing waits, and lets everything run.
  void settle() {
    scope.poll();
    while (engine.wants_turn()) {
      now = now + Duration(1);
      engine.turn(now);
      scope.poll();
    }
  }

  Result<core::Answer> ask(core::Command command) {
    auto answer = engine.post(std::move(command));
    settle();
    return answer.wait(scope);
  }

  void start() { LEAT_CHECK(ask(core::StartHead{1'000'000, "test"}).ok()); }

  PoolId pool(std::uint32_t nodes) {
    const auto answer = ask(core::SetPool{
        "pool",
        {},
        {.name = "local", .provider = "local", .nodes = nodes, .shape = {}, .labels = {}}});
    LEAT_CHECK(answer.ok());
    return std::get<PoolId>(answer.value());
  }

  NodeRef request_node(PoolId pool) {
    core::Hash token{};
    token[0] = next_token++;
    const auto answer = ask(core::RequestNode{pool, token, now + std::chrono::minutes(15)});
    LEAT_CHECK(answer.ok());
    const NodeRef node = std::get<NodeRef>(answer.value());
    LEAT_CHECK(ask(core::EnrolNode{token}).ok());
    return node;
  }

  core::NodeReport report(NodeRef node, std::uint32_t cores) const {
    core::NodeReport said;
    said.node = node;
    said.capacity = {cores * 1000, std::uint64_t{8} << 30, 0};
    said.host_name = "host";
    said.data_address = "127.0.0.1:" + std::to_string(4000 + node.id.value);
    said.agent_pid = 100 + node.id.value;
    said.warden_pid = 200 + node.id.value;
    return said;
  }

  std::uint64_t join(NodeRef node, std::uint32_t cores) {
    const auto answer = ask(core::JoinNode{report(node, cores)});
    LEAT_CHECK(answer.ok());
    return std::get<std::uint64_t>(answer.value());
  }

  JobId submit(std::uint64_t tasks, const std::string& key = "key", std::uint64_t width = 0) {
    const auto answer = ask(core::Submit{key, {}, store::sweep_spec(tasks, width)});
    LEAT_CHECK(answer.ok());
    return std::get<JobId>(answer.value());
  }

  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  kj::TimerImpl timer{kj::origin<kj::TimePoint>()};
  FakeStore store;
  FakeSink sink;
  Engine engine;
  Time now;
  std::uint8_t next_token = 1;
};

}  // namespace leat::engine
