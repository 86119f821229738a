// digest.cc - a state as one number.

#include <string_view>

#include "scheduler/core/state.h"

namespace leat::core {
namespace {

// FNV-1a over words.
class Digest {
 public:
  void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 1099511628211u; }
  void mix(std::string_view text) {
    mix(text.size());
    for (const char c : text) mix(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
  }
  void mix(Time time) { mix(static_cast<std::uint64_t>(time.us())); }
  void mix(NodeRef ref) {
    mix(std::uint64_t{ref.id.value});
    mix(ref.epoch.value);
  }
  void mix(const Resources& r) {
    mix(std::uint64_t{r.millicores});
    mix(r.memory_bytes);
    mix(std::uint64_t{r.gpus});
    for (const Counter& counter : r.counters) {
      mix(counter.name);
      mix(counter.amount);
    }
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 14695981039346656037u;
};

void mix_job(Digest& digest, const Job& job) {
  digest.mix(job.id.value);
  digest.mix(job.key);
  digest.mix(job.name);
  digest.mix(static_cast<std::uint64_t>(job.state));
  digest.mix(std::uint64_t{job.cancel_requested});
  digest.mix(job.submitted);
  digest.mix(job.started);
  digest.mix(job.ended);
  digest.mix(job.retried);
  digest.mix(job.lost);
  digest.mix(job.failures.size());
  digest.mix(job.result ? job.result->length + 1 : 0);
  digest.mix(static_cast<std::uint64_t>(std::int64_t{job.priority}));
  digest.mix(job.retry_of.value);
  digest.mix(static_cast<std::uint64_t>(job.skip_reason));
  digest.mix(job.skip_cause.value);
  digest.mix(std::uint64_t{job.held_by.uid});
  digest.mix(job.held_since);
  for (const std::string& name : job.stage_names) digest.mix(name);
  for (const StateCounts& counts : job.final_counts)
    for (const std::uint64_t count : counts) digest.mix(count);
  for (const Stage& stage : job.stages) {
    digest.mix(stage.ended_runs);
    digest.mix(stage.ended_us);
    for (const Dependency& dependency : stage.after)
      digest.mix(static_cast<std::uint64_t>(dependency.state));
    stage.cells.for_each([&digest](Interval where, const TaskCell& cell) {
      digest.mix(where.first);
      digest.mix(where.last);
      digest.mix(static_cast<std::uint64_t>(cell.state));
      digest.mix(std::uint64_t{cell.attempt});
      digest.mix((std::uint64_t{cell.failures} << 16) | cell.losses);
      digest.mix(cell.node);
      digest.mix(cell.due);
    });
  }
}

void mix_pool(Digest& digest, const Pool& pool) {
  digest.mix(pool.spec.name);
  digest.mix(std::uint64_t{pool.spec.nodes.min});
  digest.mix(std::uint64_t{pool.spec.nodes.max});
  digest.mix(static_cast<std::uint64_t>(pool.spec.idle_timeout.count()));
  digest.mix(static_cast<std::uint64_t>(pool.spec.join_deadline.count()));
  digest.mix(pool.spec.for_job.value);
  digest.mix(static_cast<std::uint64_t>(pool.state));
  digest.mix(std::uint64_t{pool.failures});
  digest.mix(pool.failed_at);
  digest.mix(pool.trouble);
  digest.mix(pool.probe_at);
  digest.mix(static_cast<std::uint64_t>(pool.probe_pause.count()));
  digest.mix(pool.recall_at);
  if (pool.seen) digest.mix(*pool.seen);
  for (const std::string& label : pool.seen_labels) digest.mix(label);
  if (pool.spec.shape) digest.mix(*pool.spec.shape);
  for (const std::string& label : pool.spec.labels) digest.mix(label);
  digest.mix(std::uint64_t{pool.spec.tasks_per_node});
  digest.mix(static_cast<std::uint64_t>(pool.spec.packing));
  digest.mix(std::uint64_t{pool.spec.keeps_memory_limits});
}

void mix_node(Digest& digest, const Node& node) {
  digest.mix(node.ref);
  digest.mix(static_cast<std::uint64_t>(node.state));
  digest.mix(static_cast<std::uint64_t>(node.duty));
  digest.mix(node.reason);
  digest.mix(node.recall_at);
  digest.mix(node.requested);
  digest.mix(node.joined);
  digest.mix(node.idle_since);
  digest.mix(node.counted);
  digest.mix(node.placed);
  digest.mix(node.used_millicore_us);
  digest.mix(node.busy_us);
  digest.mix(node.held);
  digest.mix(node.since);
  digest.mix(node.session);
  digest.mix(node.free);
  digest.mix(node.report.capacity);
  digest.mix(node.report.data_address);
  for (const std::string& label : node.report.labels) digest.mix(label);
  for (const auto& [stage, allotment] : node.allotments) {
    digest.mix(stage.job.value);
    digest.mix(std::uint64_t{stage.stage});
    digest.mix(std::uint64_t{allotment.claims});
    digest.mix(allotment.until);
    allotment.runs.for_each([&digest](Interval i) {
      digest.mix(i.first);
      digest.mix(i.last);
    });
  }
}

void mix_granted(Digest& digest, const Granted& wish) {
  digest.mix(static_cast<std::uint64_t>(wish.kind));
  digest.mix(wish.key);
  digest.mix(wish.at);
  digest.mix(wish.answer.index());
  if (const auto* job = std::get_if<JobId>(&wish.answer)) digest.mix(job->value);
  if (const auto* pool = std::get_if<PoolId>(&wish.answer)) digest.mix(std::uint64_t{pool->value});
  if (const auto* node = std::get_if<NodeRef>(&wish.answer)) digest.mix(*node);
}

void mix_gang(Digest& digest, const GangRef& ref, const Gang& gang) {
  digest.mix(ref.first.job.value);
  digest.mix(std::uint64_t{ref.first.stage});
  digest.mix(ref.second);
  digest.mix(std::uint64_t{gang.attempt});
  digest.mix(gang.placed);
  for (const NodeRef node : gang.nodes) digest.mix(node);
  gang.live.for_each([&digest](Interval i) {
    digest.mix(i.first);
    digest.mix(i.last);
  });
  digest.mix(static_cast<std::uint64_t>(gang.sum.outcome));
  digest.mix(static_cast<std::uint64_t>(std::int64_t{gang.sum.code}));
  for (const std::int64_t value : {gang.sum.start_us, gang.sum.duration_us, gang.sum.cpu_us,
                                   gang.sum.peak_kib, gang.sum.output_bytes})
    digest.mix(static_cast<std::uint64_t>(value));
  digest.mix(std::uint64_t{gang.sum.flags});
  digest.mix(std::uint64_t{gang.broken});
  digest.mix(std::uint64_t{gang.culprit});
  digest.mix(gang.result ? gang.result->length + 1 : 0);
}

}  // namespace

std::uint64_t State::digest() const {
  Digest digest;
  digest.mix(meta_.epoch.value);
  digest.mix(meta_.next_job);
  digest.mix(std::uint64_t{meta_.next_node});
  digest.mix(meta_.next_node_epoch);
  digest.mix(std::uint64_t{meta_.next_pool});
  digest.mix(meta_.mapped);
  for (const auto& [id, pool] : pools_) {
    digest.mix(std::uint64_t{id.value});
    mix_pool(digest, pool);
  }
  for (const auto& [id, node] : nodes_) mix_node(digest, node);
  for (const auto& [id, job] : jobs_) mix_job(digest, job);
  for (const auto& [ref, gang] : gangs_) mix_gang(digest, ref, gang);
  for (std::uint64_t n = granted_.first(); n < granted_.next(); ++n)
    mix_granted(digest, granted_.at(n));
  return digest.value();
}

}  // namespace leat::core
