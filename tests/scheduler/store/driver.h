#pragma once

// driver.h - a cluster that does random things, one recorded turn after the other.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "scheduler/core/decide.h"
#include "scheduler/store/keys_codec.h"
#include "scheduler/store/recovery.h"
#include "scheduler/store/row_codec.h"
#include "tests/scheduler/store/specs.h"

namespace leat::store {

// Every piece of a state, encoded: equal states have equal dumps, in all their fields.
inline std::map<std::string, std::string> dump(const core::State& state) {
  std::map<std::string, std::string> rows;
  rows["meta"] = encode_meta(state.meta());
  for (const auto& [id, pool] : state.pools())
    rows["pool " + std::to_string(id.value)] = encode_pool(pool);
  for (const auto& [id, node] : state.nodes())
    rows["node " + std::to_string(id.value)] = encode_node(node);
  for (const auto& [id, job] : state.jobs()) {
    const std::string name = "job " + std::to_string(id.value);
    rows[name] = encode_job(job);
    if (!job.active()) continue;
    rows[name + " spec"] = *job.spec->encoded;
    for (std::size_t n = 0; n < job.stages.size(); ++n)
      rows[name + " stage " + std::to_string(n)] =
          encode_cells(job.stages[n], {0, job.stages[n].cells.size() - 1});
  }
  const core::GrantedWishes& granted = state.granted();
  constexpr std::uint64_t kPerPage = core::GrantedWishes::kPerPage;
  for (std::uint64_t n = granted.first() / kPerPage; n * kPerPage < granted.next(); ++n)
    rows["keys " + std::to_string(n)] = encode_keys(granted, n);
  return rows;
}

class Driver {
 public:
  Driver(Recovered from, std::uint64_t seed)
      : state_(std::move(from.state)),
        recorder_(std::move(from.recorder)),
        now_(from.last),
        random_(seed) {}

  const core::State& state() const { return *state_; }
  Time now() const { return now_; }
  core::Facts last_facts() const { return last_facts_; }

  void say(const core::Command& command) {
    core::Facts facts;
    (void)core::decide(*state_, command, now_, facts);
    apply(facts);
  }

  // One turn of whatever comes to mind; nothing if nothing came of it.
  std::optional<TurnRecord> random_turn() {
    now_ = now_ + Duration(static_cast<std::int64_t>(random_.below(30'000'000)));
    if (state_->meta().epoch.value == 0 || random_.chance(1)) say(core::StartHead{1'000'000, "t"});
    for (std::uint64_t n = random_.below(4) + 1; n > 0; --n) random_command();
    place();
    return finish();
  }

  void place() {
    core::Placer placer(now_);
    core::Facts facts;
    while (placer.next(*state_, facts)) {
      apply(facts);
      facts.clear();
    }
  }

  // The turn so far, as the store wants it.
  std::optional<TurnRecord> finish() {
    if (turn_.empty()) return std::nullopt;
    TurnRecord record = recorder_.finish(turn_, *state_, now_);
    last_facts_ = std::exchange(turn_, {});
    return record;
  }

  void advance(Duration by) { now_ = now_ + by; }

 private:
  void apply(const core::Facts& facts) {
    for (const core::Fact& fact : facts) {
      recorder_.before(fact, *state_, now_);
      state_->apply(fact, now_);
      recorder_.after(fact, *state_, now_);
      turn_.push_back(fact);
    }
  }

  template <typename Map>
  auto any_of(const Map& map) {
    auto at = map.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_.below(map.size())));
    return at;
  }

  // Now and then one that was used before.
  std::string key(const std::string& prefix) {
    const std::uint64_t n = random_.chance(10) ? random_.below(keys_ + 1) : ++keys_;
    return prefix + std::to_string(life_) + "-" + std::to_string(n);
  }

  void random_command() {
    const std::uint64_t what = random_.below(100);
    if (state_->pools().empty() || what < 1) {
      const std::string name = "pool-" + std::to_string(random_.below(3));
      say(core::SetPool{key("k"), {7, "h", ""}, core::PoolSpec{name, "local", 4, {}, {}}});
    } else if (what < 10 || state_->nodes().size() < 3) {
      new_node();
    } else if (what < 20) {
      submit();
    } else if (what < 25) {
      cancel();
    } else if (what < 28 && !state_->jobs().empty()) {
      wish();
    } else if (what < 30) {
      say(core::LoseNode{any_of(state_->nodes())->second.ref});
    } else if (what < 32 && state_->nodes().size() > 3) {
      prove_gone();
    } else if (what < 34) {
      rejoin(any_of(state_->nodes())->second);
    } else if (what < 38) {
      say(core::Tick{});
    } else if (what < 41) {
      change_pools();
    } else if (what < 42 && !state_->ended_jobs().empty()) {
      apply({core::JobForgotten{any_of(state_->ended_jobs())->first}});
    } else {
      report(any_of(state_->nodes())->second);
    }
  }

  // Mostly of one that is being deleted, so that pools come to their end.
  void prove_gone() {
    auto at = std::find_if(state_->nodes().begin(), state_->nodes().end(), [](const auto& entry) {
      return entry.second.state == core::NodeState::kDeleting;
    });
    if (at == state_->nodes().end() || random_.chance(30)) at = any_of(state_->nodes());
    say(core::ProveGone{at->second.ref, "it was time"});
  }

  // What people and drivers say of pools and nodes. Refusals do no harm.
  void change_pools() {
    const core::Node& node = any_of(state_->nodes())->second;
    const core::Pool& pool = any_of(state_->pools())->second;
    const core::Farewell farewell{
        random_.chance(50) ? core::Running::kRequeue : core::Running::kComplete,
        Duration(static_cast<std::int64_t>(random_.below(2'000'000)))};
    const core::Principal actor{7, "h", ""};
    switch (random_.below(9)) {
      case 0:
        return say(core::DrainNode{key("d"), actor, node.ref.id, farewell});
      case 1:
        return say(core::RemoveNode{key("r"), actor, node.ref.id, farewell});
      case 2:
        return say(core::FailNode{node.ref, "no room"});
      case 3:
        return say(core::PausePool{key("p"), actor, pool.spec.name, "maintenance"});
      case 4:
        return say(core::ProbePool{key("q"), actor, pool.spec.name});
      case 5: {
        core::RequestNodes wish{pool.id, {core::Hash{}, core::Hash{}}};
        for (core::Hash& token : wish.tokens)
          for (std::uint8_t& byte : token) byte = static_cast<std::uint8_t>(random_.next() & 0xff);
        return say(wish);
      }
      case 6: {
        const auto max = 1 + static_cast<std::uint32_t>(random_.below(6));
        return say(
            core::ChangePool{key("c"), actor, pool.spec.name, 0u, max, Duration(0), {}, farewell});
      }
      case 7:
        if (random_.chance(20)) say(core::DeletePool{key("x"), actor, pool.spec.name, farewell});
        return;
      default:
        return say(core::ResumeNode{key("s"), actor, node.ref.id});
    }
  }

  void new_node() {
    core::Hash token{};
    for (int n = 0; n < 8; ++n) token[n] = static_cast<std::uint8_t>(random_.next() & 0xff);
    say(core::RequestNode{any_of(state_->pools())->first, token, now_ + Duration(60'000'000)});
    if (random_.chance(10)) return;
    say(core::EnrolNode{token});
    const core::Node* node = state_->node_by_token(token);
    if (node != nullptr && !random_.chance(10)) rejoin(*node);
  }

  void rejoin(const core::Node& node) {
    core::NodeReport report;
    report.node = node.ref;
    report.capacity = {8000, 1u << 30, 0};
    report.host_name = "host" + std::to_string(node.ref.id.value);
    report.data_address = "127.0.0.1:" + std::to_string(random_.below(65536));
    report.agent_pid = static_cast<std::uint32_t>(random_.below(30000));
    report.labels = {"a", "b"};
    say(core::JoinNode{report});
  }

  void submit() {
    static constexpr std::uint64_t kSizes[] = {1, 3, 40, 300, 9000, 30000};
    const std::uint64_t size = kSizes[random_.below(6)];
    const std::uint64_t width = random_.chance(50) ? 2 + random_.below(40) : 0;
    SpecMessage message(size, width, 1 + random_.below(3));
    if (!state_->jobs().empty() && random_.chance(60)) come_after(message);
    if (random_.chance(40)) {
      message.stage().initRetryDelay().setUs(1 +
                                             static_cast<std::int64_t>(random_.below(1u << 26)));
      message.stage().getRetryDelay().setFactorMilli(2000);
    }
    if (random_.chance(20)) message.stage().setStartWithinUs(40'000'000);
    if (random_.chance(30)) {
      message.stage().getMembers()[0].setCount(1 + static_cast<std::uint32_t>(random_.below(3)));
      message.stage().getMembers()[0].setSpread(schema::Member::Spread::DISTINCT_NODES);
      message.stage().initGang().setLaunch(schema::GangSpec::Launch::APPLICATION);
    }
    if (random_.chance(40))
      message.stage().setTimeLimitUs(1 + static_cast<std::int64_t>(random_.below(1u << 26)));
    if (random_.chance(40)) add_stages(message, 1 + random_.below(3));
    Result<core::JobSpec> spec = message.read();
    LEAT_CHECK(spec.ok());
    say(core::Submit{key("key"), {1000, "h", ""}, std::move(spec).value(), {}});
  }

  // Stages like the first, each after one or two of those there are.
  void add_stages(SpecMessage& message, std::uint64_t count) {
    capnp::MallocMessageBuilder copy;
    copy.setRoot(message.job().asReader());
    const auto old = copy.getRoot<schema::JobSpec>().getStages().asReader();
    auto stages = message.job().initStages(old.size() + static_cast<capnp::uint>(count));
    for (capnp::uint id = 0; id < stages.size(); ++id) {
      stages.setWithCaveats(id, old[id < old.size() ? id : 0]);
      if (id < old.size()) continue;
      stages[id].setName("stage " + std::to_string(id));
      stages[id].setStartWithinUs(0);
      stages[id].initIndices(1)[0].setCount(1 + random_.below(300));
      for (auto after : stages[id].initAfter(random_.chance(30) ? 2 : 1)) {
        after.setStage(static_cast<StageId>(random_.below(id)));
        after.setOn(static_cast<schema::After::Condition>(random_.below(3)));
        if (stages[id].getAfter().size() > 1 || random_.chance(40)) continue;
        after.setElementWise(true);
        stages[id].setIndices(stages[after.getStage()].getIndices().asReader());
      }
    }
  }

  // Of one job or two, whole or task by task: then with its indices.
  void come_after(SpecMessage& message) {
    auto list = message.stage().initAfter(random_.chance(30) ? 2 : 1);
    for (auto after : list) {
      const core::Job& target = any_of(state_->jobs())->second;
      after.setJob(target.id.value);
      after.setOn(static_cast<schema::After::Condition>(random_.below(3)));
      if (!target.active() || message.job().getStages().size() > 1 || random_.chance(40)) continue;
      after.setElementWise(true);
      const auto& strides = target.stages[0].spec->indices.strides();
      write_index_list(target.stages[0].spec->indices,
                       message.stage().initIndices(static_cast<capnp::uint>(strides.size())));
    }
  }

  void wish() {
    const JobId job = any_of(state_->jobs())->first;
    const std::uint64_t what = random_.below(4);
    if (what == 0) say(core::HoldJob{key("h"), {7, "h", ""}, job});
    if (what == 1 || what == 2) say(core::ReleaseJob{key("r"), {7, "h", ""}, job});
    if (what == 3)
      say(core::SetJob{
          key("s"), {7, "h", ""}, job, static_cast<std::int32_t>(random_.below(9)), "new"});
  }

  void cancel() {
    if (state_->jobs().empty()) return;
    const core::Job& job = any_of(state_->jobs())->second;
    core::Cancel cancel{key("c"), {1000, "h", ""}, job.id, 0, {}};
    if (job.active() && random_.chance(70)) {
      cancel.stage = static_cast<StageId>(random_.below(job.stages.size()));
      const IndexList& all = job.stages[cancel.stage].spec->indices;
      const std::uint64_t first = random_.below(all.size());
      cancel.indices =
          all.select(IntervalSet(first, std::min(first + random_.below(20), all.size() - 1)));
    }
    say(cancel);
  }

  core::EndedSet ended(StageRef stage, Attempt attempt, const IntervalSet& positions) {
    core::EndedSet set;
    set.runs = {stage, attempt, state_->stage(stage)->spec->indices.select(positions)};
    std::vector<RunRow> rows(set.runs.indices.size());
    const bool odd = random_.chance(30);
    for (RunRow& row : rows) {
      row.start_us = now_.us() - 5000;
      row.duration_us = 1000 + static_cast<std::int64_t>(random_.below(4000));
      row.output_bytes = static_cast<std::int64_t>(random_.below(100));
      if (!odd || random_.chance(80)) continue;
      row.outcome = static_cast<Outcome>(random_.below(13));
      row.code = static_cast<std::int32_t>(random_.below(3));
    }
    set.columns = to_columns(rows);
    if (rows.size() == 1) set.result = core::Blob{core::Hash{1, 2, 3}, random_.below(1000)};
    return set;
  }

  // Some of what a node has is over.
  void report(const core::Node& node) {
    core::ReportEnded report{node.ref, node.session, {}};
    for (const auto& [stage, allotment] : node.allotments) {
      const IntervalSet some = allotment.runs.lowest(1 + random_.below(400));
      std::map<Attempt, IntervalSet> groups;
      some.for_each([&](Interval where) {
        state_->stage(stage)->cells.for_each(where, [&](Interval part, const core::TaskCell& cell) {
          groups[cell.attempt].insert(part);
        });
      });
      for (const auto& [attempt, positions] : groups)
        report.ended.push_back(ended(stage, attempt, positions));
    }
    say(report);
  }

  std::unique_ptr<core::State> state_;
  Recorder recorder_;
  Time now_;
  Random random_;
  core::Facts turn_;
  core::Facts last_facts_;
  std::uint64_t keys_ = 0;
  std::uint64_t life_ = random_.next() >> 44;
};

}  // namespace leat::store
