#include "cli/cluster_view.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/labels.h"
#include "cli/job_view.h"
#include "cli/render.h"

namespace leat::cli {
namespace {

Value resources_row(schema::Resources::Reader resources) {
  Value::Object counters;
  for (const schema::Resources::Counter::Reader counter : resources.getCounters())
    counters.push_back({read_text(counter.getName()), counter.getAmount()});
  return Value::Object{{"millicores", resources.getMillicores()},
                       {"memory_bytes", resources.getMemoryBytes()},
                       {"gpus", resources.getGpus()},
                       {"counters", std::move(counters)}};
}

Value texts(capnp::List<capnp::Text>::Reader list) {
  Value::List texts;
  for (const capnp::Text::Reader text : list) texts.push_back(read_text(text));
  return texts;
}

// Which Open MPI is there for ranks to be started with; empty: none.
std::string mpi_of(capnp::List<capnp::Text>::Reader labels) {
  std::vector<std::string> words;
  for (const capnp::Text::Reader label : labels) words.push_back(read_text(label));
  return std::string(label_value(words, kMpiLabel).value_or(""));
}

}  // namespace

Value::Object node_row(schema::NodeSummary::Reader node) {
  return {
      {"id", node.getNode().getId()},
      {"epoch", node.getNode().getEpoch()},
      {"pool", read_text(node.getPool())},
      {"state", read_text(node.getState())},
      {"host", read_text(node.getHostName())},
      {"capacity", resources_row(node.getCapacity())},
      {"free", resources_row(node.getFree())},
      {"running", node.getRunning()},
      {"queued", node.getQueued()},
      {"agent_pid", node.getAgentPid()},
      {"warden_pid", node.getWardenPid()},
      {"data_address", read_text(node.getDataAddress())},
      {"joined_us", node.getJoinedUs()},
      {"reason", read_text(node.getReason())},
      {"labels", texts(node.getLabels())},
      {"mpi", mpi_of(node.getLabels())},
  };
}

Value::Object pool_row(schema::PoolSummary::Reader pool) {
  const schema::PoolSpec::Reader spec = pool.getSpec();
  return {
      {"id", pool.getId()},
      {"name", read_text(spec.getName())},
      {"provider", read_text(spec.getProvider())},
      {"state", read_text(pool.getState())},
      {"nodes", spec.getNodes()},
      {"nodes_up", pool.getNodesUp()},
      {"nodes_lost", pool.getNodesLost()},
      {"nodes_coming", pool.getNodesComing()},
      {"declared", spec.getDeclared()},
      {"shape", resources_row(spec.getShape())},
      {"labels", texts(spec.getLabels())},
      {"min", spec.getMin()},
      {"max", spec.getMax()},
      {"idle_timeout_us", spec.getIdleTimeoutUs()},
      {"join_deadline_us", spec.getJoinDeadlineUs()},
      {"job", spec.getForJob()},
      {"nodes_leaving", pool.getNodesLeaving()},
      {"reason", read_text(pool.getReason())},
      {"probe_us", pool.getProbeUs()},
      {"tasks_per_node", spec.getTasksPerNode()},
      {"placement", spec.getPlacement() == schema::Placement::SPREAD ? "spread" : "pack"},
      {"memory_limits",
       spec.getMemoryLimits() == schema::PoolSpec::MemoryLimits::OFF ? "off" : "auto"},
      {"mpi_interfaces", read_text(spec.getMpiInterfaces())},
  };
}

Value::Object status_row(schema::Status::Reader status, std::int64_t now_us) {
  Value::List daemons;
  for (const schema::Status::Daemon::Reader daemon : status.getDaemons())
    daemons.push_back(Value::Object{{"name", read_text(daemon.getName())},
                                    {"pid", daemon.getPid()},
                                    {"node", daemon.getNode()}});
  Value::List pools;
  for (const schema::PoolSummary::Reader pool : status.getPools()) pools.push_back(pool_row(pool));
  return {
      {"leat_version", read_text(status.getVersion())},
      {"head_epoch", status.getHeadEpoch()},
      {"cluster_id", read_text(status.getClusterId())},
      {"started_us", status.getStartedUs()},
      {"uptime_us", std::max<std::int64_t>(0, now_us - status.getStartedUs())},
      {"daemons", std::move(daemons)},
      {"pools", std::move(pools)},
      {"jobs_active", status.getJobsActive()},
      {"counts", counts_row(read_counts(status.getCounts()))},
      {"agent_bytes_in", status.getAgentBytesIn()},
      {"agent_bytes_out", status.getAgentBytesOut()},
      {"agent_address", read_text(status.getAgentAddress())},
      {"enrol_address", read_text(status.getEnrolAddress())},
      {"store_address", read_text(status.getStoreAddress())},
      {"store_sequence", status.getStoreSequence()},
      {"store_fact_bytes", status.getStoreFactBytes()},
      {"facts", status.getFacts()},
  };
}

std::string node_table(const Value::List& rows) {
  return render_table({{"id", "NODE", Form::kNumber},
                       {"pool", "POOL"},
                       {"state", "STATE"},
                       {"host", "HOST"},
                       {"capacity.millicores", "CORES", Form::kCores},
                       {"free.millicores", "FREE", Form::kCores},
                       {"capacity.memory_bytes", "MEMORY", Form::kBytes},
                       {"capacity.gpus", "GPUS", Form::kNumber},
                       {"mpi", "MPI"},
                       {"running", "RUNNING", Form::kNumber},
                       {"queued", "QUEUED", Form::kNumber},
                       {"agent_pid", "AGENT", Form::kNumber},
                       {"warden_pid", "WARDEN", Form::kNumber},
                       {"reason", "WHY"}},
                      rows);
}

std::string pool_table(const Value::List& rows) {
  return render_table({{"name", "POOL"},
                       {"provider", "PROVIDER"},
                       {"state", "STATE"},
                       {"min", "MIN", Form::kNumber},
                       {"max", "MAX", Form::kNumber},
                       {"nodes_up", "UP", Form::kNumber},
                       {"nodes_coming", "COMING", Form::kNumber},
                       {"nodes_leaving", "LEAVING", Form::kNumber},
                       {"nodes_lost", "LOST", Form::kNumber},
                       {"reason", "WHY"}},
                      rows);
}

std::string pool_page(const Value::Object& row) {
  return render_fields({{"name", "Pool"},
                        {"provider", "Provider"},
                        {"state", "State"},
                        {"reason", "Why"},
                        {"probe_us", "Next try", Form::kTime},
                        {"job", "Only for job"},
                        {"min", "Nodes at least"},
                        {"max", "Nodes at most"},
                        {"nodes_up", "Up"},
                        {"nodes_coming", "Coming"},
                        {"nodes_leaving", "Leaving"},
                        {"nodes_lost", "Lost"},
                        {"idle_timeout_us", "Idle timeout", Form::kDuration},
                        {"join_deadline_us", "Join deadline", Form::kDuration},
                        {"shape.millicores", "Cores each", Form::kCores},
                        {"shape.memory_bytes", "Memory each", Form::kBytes}},
                       Value(row));
}

std::string status_page(const Value::Object& row) {
  const Value status(row);
  std::string page = render_fields({{"leat_version", "Head"},
                                    {"uptime_us", "Up for", Form::kDuration},
                                    {"jobs_active", "Active jobs"},
                                    {"counts.waiting", "Waiting"},
                                    {"counts.running", "Running"},
                                    {"agent_bytes_in", "From agents", Form::kBytes},
                                    {"agent_bytes_out", "To agents", Form::kBytes},
                                    {"facts", "Facts"}},
                                   status);
  page += '\n' + pool_table(std::get<Value::List>(status.at("pools").kind()));
  page += '\n' +
          render_table(
              {{"name", "DAEMON"}, {"node", "NODE", Form::kNumber}, {"pid", "PID", Form::kNumber}},
              std::get<Value::List>(status.at("daemons").kind()));
  return page;
}

}  // namespace leat::cli
