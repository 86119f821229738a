#include "scheduler/wire/convert.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "base/labels.h"
#include "scheduler/core/lifecycles.h"
#include "scheduler/core/pool_rules.h"
#include "scheduler/store/spec_codec.h"
#include "scheduler/store/spec_rules.h"
#include "scheduler/store/value_codec.h"

namespace leat::wire {
namespace {

using core::TaskState;
using store::text_of;

constexpr std::size_t kHostNameBytesMax = 256;
constexpr std::size_t kAddressBytesMax = 256;
constexpr unsigned kNodeLabelsMax = 256;

std::uint64_t count_of(const core::StateCounts& counts, TaskState state) {
  return counts[static_cast<std::size_t>(state)];
}

void add_all(core::StateCounts& sum, const core::StateCounts& part) {
  for (std::size_t n = 0; n < sum.size(); ++n) sum[n] += part[n];
}

}  // namespace

Running::Running(const core::State& state) {
  for (const auto& [id, node] : state.nodes())
    for (const auto& [stage, allotment] : node.allotments)
      runs_[stage] += std::min<std::uint64_t>(allotment.claims, allotment.runs.size());
}

Running::Running(const core::State& state, JobId job) {
  for (const auto& [id, node] : state.nodes())
    add(node, StageRef{job, 0}, StageRef{JobId{job.value + 1}, 0});
}

void Running::add(const core::Node& node, StageRef from, StageRef to) {
  const auto end = node.allotments.lower_bound(to);
  for (auto at = node.allotments.lower_bound(from); at != end; ++at)
    runs_[at->first] += std::min<std::uint64_t>(at->second.claims, at->second.runs.size());
}

std::uint64_t Running::of(StageRef stage) const {
  const auto at = runs_.find(stage);
  return at == runs_.end() ? 0 : at->second;
}

void write_counts(const core::StateCounts& counts, std::uint64_t running,
                  schema::Counts::Builder to) {
  const std::uint64_t on_nodes =
      count_of(counts, TaskState::kPlaced) + count_of(counts, TaskState::kEnding);
  running = std::min(running, on_nodes);
  std::uint64_t total = 0;
  for (const std::uint64_t count : counts) total += count;
  to.setTotal(total);
  to.setWaiting(count_of(counts, TaskState::kBlocked) + count_of(counts, TaskState::kWaiting) +
                count_of(counts, TaskState::kDelayed) + on_nodes - running);
  to.setRunning(running);
  to.setHeld(count_of(counts, TaskState::kHeld));
  to.setSucceeded(count_of(counts, TaskState::kSucceeded));
  to.setFailed(count_of(counts, TaskState::kFailed));
  to.setCancelled(count_of(counts, TaskState::kCancelled));
  to.setQuarantined(count_of(counts, TaskState::kQuarantined));
  to.setSkipped(count_of(counts, TaskState::kSkipped));
}

// None if no stage has a name, which is so of most jobs.
void write_stage_names(const core::Job& job, schema::JobSummary::Builder to) {
  std::vector<std::string> names = job.stage_names;
  for (const core::Stage& stage : job.stages) names.push_back(stage.spec->name);
  const auto is_empty = [](const std::string& name) { return name.empty(); };
  if (std::all_of(names.begin(), names.end(), is_empty)) return;
  store::write_texts(names, to.initStageNames(static_cast<unsigned>(names.size())));
}

std::string skip_text(const core::Job& job) {
  switch (job.skip_reason) {
    case core::SkipReason::kNone:
      break;
    case core::SkipReason::kDependency:
      if (!job.skip_cause)
        return "a stage of it was skipped: what it comes after did not end as it should";
      return "it comes after job " + std::to_string(job.skip_cause.value) +
             ", which did not end as it should";
    case core::SkipReason::kStartWithin:
      return "it had not started in time (--start-within)";
  }
  return {};
}

void write_job(const core::State& state, const core::Job& job, const Running& running,
               schema::JobSummary::Builder to) {
  to.setId(job.id.value);
  to.setName(text_of(job.name));
  store::write_principal(job.owner, to.initOwner());
  to.setState(static_cast<schema::JobState>(job.state));
  to.setPriority(job.priority);
  to.setSubmittedUs(state.wall_us(job.submitted));
  to.setStartedUs(state.wall_us(job.started));
  to.setEndedUs(state.wall_us(job.ended));
  const std::size_t stage_count = job.active() ? job.stages.size() : job.final_counts.size();
  auto stages = to.initStages(static_cast<unsigned>(stage_count));
  for (unsigned n = 0; n < stages.size(); ++n) {
    const bool active = job.active();
    const auto& counts = active ? job.stages[n].counts : job.final_counts[n];
    const std::uint64_t now = active ? running.of({job.id, static_cast<StageId>(n)}) : 0;
    write_counts(counts, now, stages[n]);
    if (n == 0) write_counts(counts, now, to.initCounts());
  }
  write_stage_names(job, to);
  to.setRetried(job.retried);
  to.setLost(job.lost);
  to.setHasResult(job.result.has_value());
  to.setResultBytes(job.result ? job.result->length : 0);
  to.setRetryOf(job.retry_of.value);
  to.setSkippedFor(job.skip_cause.value);
  const std::string reason = skip_text(job);
  to.setReason(text_of(reason));
  if (job.state == core::JobState::kHeld) {
    store::write_principal(job.held_by, to.initHeldBy());
    to.setHeldUs(state.wall_us(job.held_since));
  }
  auto failures = to.initFailures(static_cast<unsigned>(job.failures.size()));
  for (unsigned n = 0; n < failures.size(); ++n) {
    const core::Failure& from = job.failures[n];
    failures[n].setStage(from.stage);
    failures[n].setIndex(from.index);
    failures[n].setOutcome(static_cast<schema::Outcome>(from.outcome));
    failures[n].setCode(from.code);
    failures[n].setNode(from.node.id.value);
  }
}

void write_node(const core::State& state, const core::Node& node, schema::NodeSummary::Builder to) {
  store::write_node_ref(node.ref, to.initNode());
  if (const core::Pool* pool = state.pool(node.pool)) to.setPool(text_of(pool->spec.name));
  to.setState(core::shown_state(node));
  to.setHostName(text_of(node.report.host_name));
  store::write_resources(node.report.capacity, to.initCapacity());
  store::write_resources(node.free, to.initFree());
  std::uint64_t running = 0;
  std::uint64_t placed = 0;
  for (const auto& [stage, allotment] : node.allotments) {
    running += std::min<std::uint64_t>(allotment.claims, allotment.runs.size());
    placed += allotment.runs.size();
  }
  to.setRunning(running);
  to.setQueued(placed - running);
  to.setAgentPid(node.report.agent_pid);
  to.setWardenPid(node.report.warden_pid);
  to.setDataAddress(text_of(node.report.data_address));
  to.setJoinedUs(state.wall_us(node.joined));
  to.setReason(text_of(node.reason));
  store::write_texts(node.report.labels,
                     to.initLabels(static_cast<unsigned>(node.report.labels.size())));
}

void write_pool(const core::State& state, const core::Pool& pool, schema::PoolSummary::Builder to) {
  std::uint32_t up = 0;
  std::uint32_t lost = 0;
  std::uint32_t coming = 0;
  std::uint32_t leaving = 0;
  for (const auto& [id, node] : state.nodes()) {
    if (node.pool != pool.id) continue;
    up += node.state == core::NodeState::kUp ? 1 : 0;
    lost += node.state == core::NodeState::kLost ? 1 : 0;
    coming += node.coming() ? 1 : 0;
    const bool leaves = node.state == core::NodeState::kDeleting ||
                        node.duty == core::NodeDuty::kClosing ||
                        node.duty == core::NodeDuty::kLeaving;
    leaving += leaves ? 1 : 0;
  }
  to.setId(pool.id.value);
  store::write_pool_spec(pool.spec, to.initSpec());
  to.setState(core::name_of(pool.state));
  to.setNodesUp(up);
  to.setNodesLost(lost);
  to.setNodesComing(coming);
  to.setNodesLeaving(leaving);
  to.setReason(text_of(pool.trouble));
  to.setProbeUs(pool.probe_at == kNever ? 0 : state.wall_us(pool.probe_at));
}

void write_cause(const core::Cause& cause, schema::Cause::Builder to) {
  to.setReason(cause.reason);
  to.setMessage(text_of(cause.message));
  to.setRemedy(text_of(cause.remedy));
  to.setTasks(cause.tasks);
}

std::uint64_t write_totals(const core::State& state, schema::Counts::Builder to) {
  const Running running(state);
  core::StateCounts sum{};
  std::uint64_t running_sum = 0;
  std::uint64_t jobs = 0;
  for (const auto& [id, job] : state.jobs()) {
    if (!job.active()) continue;
    ++jobs;
    for (std::size_t n = 0; n < job.stages.size(); ++n) {
      add_all(sum, job.stages[n].counts);
      running_sum += running.of({id, static_cast<StageId>(n)});
    }
  }
  write_counts(sum, running_sum, to);
  return jobs;
}

Result<core::NodeReport> read_hello(schema::Hello::Reader from) {
  if (from.getVersion() != schema::PROTOCOL_VERSION)
    return Refusal{Reason::kNotInThisVersion,
                   "the agent speaks protocol version " + std::to_string(from.getVersion()) +
                       ", the head " + std::to_string(schema::PROTOCOL_VERSION)};
  core::NodeReport report;
  report.node = store::read_node_ref(from.getNode());
  if (auto refusal = store::check_resources_message(from.getCapacity(), "the agent's greeting: "))
    return *refusal;
  report.capacity = store::read_resources(from.getCapacity());
  report.host_name = store::read_text(from.getHostName());
  report.data_address = store::read_text(from.getDataAddress());
  report.agent_pid = from.getAgentPid();
  report.warden_pid = from.getWardenPid();
  if (report.host_name.size() > kHostNameBytesMax ||
      report.data_address.size() > kAddressBytesMax || from.getLabels().size() > kNodeLabelsMax)
    return invalid("the agent's greeting is out of bounds");
  report.labels = store::read_texts(from.getLabels());
  for (const std::string& label : report.labels)
    if (!is_label(label)) return invalid("the agent's greeting: a label that is none");
  if (from.getTopologyHash().size() > 0) {
    auto hash = store::read_hash(from.getTopologyHash(), "topology");
    if (!hash.ok()) return hash.refusal();
    report.topology_hash = hash.value();
  }
  return report;
}

Result<std::vector<core::RunSet>> read_live(schema::Hello::Reader from) {
  if (from.getLive().size() > kLiveSetsMax) return invalid("too many sets of live runs");
  std::vector<core::RunSet> live;
  live.reserve(from.getLive().size());
  for (const auto set : from.getLive()) {
    auto runs = store::read_run_set(set);
    if (!runs.ok()) return runs.refusal();
    live.push_back(std::move(runs).value());
  }
  return live;
}

Result<std::vector<core::EndedSet>> read_report(schema::ReportBatch::Reader from) {
  std::vector<core::EndedSet> ended;
  std::uint64_t total = 0;
  for (const auto set : from.getEnded()) {
    auto runs = store::read_run_set(set.getRuns());
    if (!runs.ok()) return runs.refusal();
    const std::uint64_t count = runs.value().indices.size();
    total += count;
    if (count == 0 || total > kReportedRunsMax)
      return invalid("a report names too many runs, or none");
    auto columns = store::read_columns(set.getColumns(), count);
    if (!columns.ok()) return columns.refusal();
    auto result = store::read_blob(set.getResult());
    if (!result.ok()) return result.refusal();
    if (result.value() && count != 1) return invalid("a result belongs to a single run");
    ended.push_back({std::move(runs).value(), std::move(columns).value(), result.value()});
  }
  return ended;
}

Refusal no_job(JobId id) {
  return {Reason::kNotFound, "no job " + (id ? std::to_string(id.value) : std::string("yet")) +
                                 "; see: leat job list"};
}

std::string wall_text(std::int64_t wall_us) {
  if (wall_us <= 0) return "an unknown time";
  const std::time_t seconds = wall_us / 1'000'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

}  // namespace leat::wire
