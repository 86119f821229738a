#include "scheduler/store/recovery.h"

#include <map>
#include <string>
#include <utility>

#include "scheduler/store/fact_codec.h"
#include "scheduler/store/keys_codec.h"
#include "scheduler/store/message_bytes.h"
#include "scheduler/store/row_codec.h"
#include "scheduler/store/spec_codec.h"

namespace leat::store {
namespace {

std::string row_name(const RowKey& key) {
  return "store: snapshot row " + std::to_string(static_cast<unsigned>(key.kind)) + "/" +
         std::to_string(key.id) + "/" + std::to_string(key.part) + ": ";
}

Refusal about(const std::string& what, const Refusal& refusal) {
  return {refusal.reason, what + refusal.message};
}

// Puts the state together from rows, which come in the order of their keys: a job, its spec, its
// cells.
class Assembler {
 public:
  explicit Assembler(core::State& state) : state_(state) {}

  Result<Done> add(const RowKey& key, const std::string& bytes) {
    Result<Done> done = add_kind(key, bytes);
    if (!done.ok()) return about(row_name(key), done.refusal());
    return done;
  }

  Result<Done> finish() {
    for (auto& [id, job] : jobs_) {
      if (job.active() && job.spec == nullptr)
        return invalid("store: job " + std::to_string(id.value) + " has no spec: damaged");
      if (!job.active()) job.stages.clear();
      state_.restore(std::move(job));
    }
    state_.finish_restore();
    return Done{};
  }

 private:
  template <typename T>
  Result<Done> restore(Result<T> value) {
    if (!value.ok()) return value.refusal();
    state_.restore(std::move(value).value());
    return Done{};
  }

  Result<Done> add_kind(const RowKey& key, const std::string& bytes) {
    switch (key.kind) {
      case RowKind::kMeta:
        return restore(decode_meta(bytes_of(bytes)));
      case RowKind::kPool:
        return restore(decode_pool(bytes_of(bytes)));
      case RowKind::kNode:
        return restore(decode_node(bytes_of(bytes)));
      case RowKind::kJob:
        return add_job(bytes);
      case RowKind::kSpec:
        return add_spec(JobId{key.id}, bytes);
      case RowKind::kCells:
        return add_cells(key, bytes);
      case RowKind::kKeys:
        return add_keys(bytes);
      case RowKind::kGang:
        return add_gang(key, bytes);
    }
    return invalid("a kind of row this version does not know");
  }

  Result<Done> add_keys(const std::string& bytes) {
    Result<KeysPage> read = decode_keys(bytes_of(bytes));
    if (!read.ok()) return read.refusal();
    KeysPage page = std::move(read).value();
    std::uint64_t number = page.first;
    for (core::Granted& wish : page.wishes)
      if (!state_.restore(number++, std::move(wish))) return invalid("keys before it are missing");
    return Done{};
  }

  Result<Done> add_job(const std::string& bytes) {
    Result<core::Job> job = decode_job(bytes_of(bytes));
    if (!job.ok()) return job.refusal();
    const JobId id = job.value().id;
    jobs_[id] = std::move(job).value();
    return Done{};
  }

  Result<Done> add_spec(JobId id, const std::string& bytes) {
    const auto at = jobs_.find(id);
    if (at == jobs_.end()) return invalid("a spec without its job");
    core::Job& job = at->second;
    Result<core::JobSpec> spec = restore_job_spec(bytes);
    if (!spec.ok()) return spec.refusal();
    job.spec = std::make_shared<const core::JobSpec>(std::move(spec).value());
    const std::vector<core::Stage> sums = std::exchange(job.stages, core::make_stages(*job.spec));
    if (sums.size() != job.stages.size()) return invalid("a spec that is not of its job");
    for (std::size_t n = 0; n < sums.size(); ++n) {
      job.stages[n].ended_runs = sums[n].ended_runs;
      job.stages[n].ended_us = sums[n].ended_us;
      if (sums[n].after.empty()) continue;
      if (sums[n].after.size() != job.stages[n].after.size())
        return invalid("dependencies that are not of their job");
      job.stages[n].after = sums[n].after;
    }
    return Done{};
  }

  Result<Done> add_cells(const RowKey& key, const std::string& bytes) {
    const auto at = jobs_.find(JobId{key.id});
    const std::size_t stage = key.part >> 48;
    if (at == jobs_.end() || at->second.spec == nullptr || stage >= at->second.stages.size())
      return invalid("tasks without their job");
    return decode_cells(bytes_of(bytes), at->second.stages[stage]);
  }

  Result<Done> add_gang(const RowKey& key, const std::string& bytes) {
    const auto [ref, position] = gang_of(key);
    const auto at = jobs_.find(ref.job);
    const bool fits = at != jobs_.end() && at->second.spec != nullptr &&
                      ref.stage < at->second.stages.size() &&
                      position < at->second.stages[ref.stage].cells.size();
    if (!fits) return invalid("a gang without its job");
    Result<core::Gang> gang = decode_gang(bytes_of(bytes));
    if (!gang.ok()) return gang.refusal();
    const core::StageSpec& spec = at->second.spec->stages[ref.stage];
    if (!spec.gang || spec.nodes != gang.value().nodes.size() || gang.value().live.empty())
      return invalid("a gang that is not of its job");
    state_.restore({ref, position}, std::move(gang).value());
    return Done{};
  }

  core::State& state_;
  std::map<JobId, core::Job> jobs_;
};

// Applies turns, in order and without a gap.
class Replayer {
 public:
  Replayer(core::State& state, Snapshotter& snapshotter, Seal seal)
      : state_(state), snapshotter_(snapshotter), newest_(seal) {}

  Result<Done> add(std::uint64_t sequence, const std::string& bytes) {
    const std::string turn = "store: turn " + std::to_string(sequence) + ": ";
    if (sequence != newest_.sequence + 1)
      return invalid(turn + "turn " + std::to_string(newest_.sequence + 1) +
                     " before it is missing: put back a copy");
    const Result<DecodedTurn> decoded = decode_turn(bytes_of(bytes));
    if (!decoded.ok()) return about(turn, decoded.refusal());
    const Time at = decoded.value().at;
    if (at < newest_.at) return invalid(turn + "damaged: it is earlier than the turn before");
    for (const core::Fact& fact : decoded.value().facts) {
      // Marks what the next snapshot has to write.
      snapshotter_.before(fact, state_);
      state_.apply(fact, at);
    }
    snapshotter_.count_fact_bytes(bytes.size());
    newest_ = {sequence, at};
    return Done{};
  }

  const Seal& newest() const { return newest_; }

 private:
  core::State& state_;
  Snapshotter& snapshotter_;
  Seal newest_;
};

// Of a store in which keys had no rows yet.
void note_keys(const core::State& state, Snapshotter& snapshotter) {
  constexpr std::uint64_t kPerPage = core::GrantedWishes::kPerPage;
  const core::GrantedWishes& granted = state.granted();
  for (std::uint64_t n = granted.first(); n < granted.next(); n += kPerPage)
    snapshotter.note_missing({RowKind::kKeys, n / kPerPage, 0});
  if (!granted.empty())
    snapshotter.note_missing({RowKind::kKeys, (granted.next() - 1) / kPerPage, 0});
}

}  // namespace

Result<Recovered> recover(Contents& contents, SnapshotLimits limits) {
  auto state = std::make_unique<core::State>();
  Snapshotter snapshotter(limits);
  const Result<Seal> seal = contents.seal();
  if (!seal.ok()) return seal.refusal();

  Assembler assembler(*state);
  Result<Done> done = contents.each_row([&](const RowKey& key, const std::string& bytes) {
    snapshotter.note_stored(key);
    return assembler.add(key, bytes);
  });
  if (!done.ok()) return done.refusal();
  const bool has_keys = !state->granted().empty();
  done = assembler.finish();
  if (!done.ok()) return done.refusal();
  if (!has_keys) note_keys(*state, snapshotter);

  Replayer replayer(*state, snapshotter, seal.value());
  done = contents.each_turn([&](std::uint64_t sequence, const std::string& bytes) {
    return replayer.add(sequence, bytes);
  });
  if (!done.ok()) return done.refusal();

  const Seal newest = replayer.newest();
  return Recovered{std::move(state), Recorder(std::move(snapshotter), newest.sequence + 1),
                   newest.at, newest.sequence - seal.value().sequence};
}

}  // namespace leat::store
