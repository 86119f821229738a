#include "cli/pool_options.h"

#include <algorithm>

#include "base/labels.h"
#include "cli/local_share.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

using Text = std::optional<std::string>;

// "idle_timeout" as the option is called.
std::string option_of(std::string_view key) {
  std::string option = key == "labels" ? "label" : key == "counters" ? "counter" : std::string(key);
  std::replace(option.begin(), option.end(), '_', '-');
  return "--" + option;
}

std::optional<std::uint32_t> read_number(const char* option, const Text& text, std::uint64_t min,
                                         std::uint64_t max) {
  if (!text) return std::nullopt;
  return static_cast<std::uint32_t>(
      value_or_fail(definitions::parse_number(*text, min, max), std::string(option) + ' '));
}

std::optional<Duration> read_time(const char* option, const Text& text, Duration min,
                                  Duration max) {
  if (!text) return std::nullopt;
  const Duration time =
      value_or_fail(definitions::parse_duration(*text), std::string(option) + ' ');
  if (time < min || time > max)
    fail(ExitCode::kUsage, std::string(option) + ' ' + *text + ": wants a time from " +
                               definitions::show_duration(min) + " to " +
                               definitions::show_duration(max));
  return time;
}

std::pair<std::string, std::uint64_t> read_counter(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || !definitions::is_pool_name(text.substr(0, equals)))
    fail(ExitCode::kUsage, "--counter " + text + ": write NAME=N, like licence=2");
  return {
      text.substr(0, equals),
      value_or_fail(definitions::parse_number(text.substr(equals + 1), 1, definitions::kCounterMax),
                    "--counter " + text.substr(0, equals) + ": ")};
}

}  // namespace

definitions::PoolDefinition load_pool_file(const std::string& path,
                                           const Surroundings& surroundings) {
  const bool absolute = path.rfind('/', 0) == 0;
  definitions::PoolDefinition pool =
      value_or_fail(definitions::load_pool(absolute ? path : surroundings.directory + '/' + path));
  complete_local(pool);
  return pool;
}

void PoolOptions::declare(Arguments& arguments) {
  arguments.option("--name", "NAME", name_, "the pool's name");
  arguments.option("--provider", "P", provider_,
                   "local (agents on this machine) or static (agents started by hand)");
  arguments.option("--nodes", "N", nodes_, "a pool of N nodes, always");
  arguments.option("--min", "N", min_, "a pool on demand: never fewer nodes (default: 0)");
  arguments.option("--max", "N", max_, "a pool on demand: never more nodes");
  arguments.option("--idle-timeout", "TIME", idle_timeout_,
                   "a node without work goes after so long (default: 5m)");
  arguments.option("--join-deadline", "TIME", join_deadline_,
                   "a node that takes longer to join is replaced (default: 2m)");
  arguments.option("--cores", "N", cores_, "cores of each node, like 4 or 0.5");
  arguments.option("--memory", "SIZE", memory_, "memory of each node, like 8G");
  arguments.option("--gpus", "N", gpus_, "GPUs of each node");
  arguments.list("--counter", "NAME=N", counters_, "any other thing that each node has N of");
  arguments.list("--label", "LABEL", labels_, "a label of each node, like fast or site=north");
  arguments.option("--tasks-per-node", "N", tasks_per_node_, "at most N tasks at once on a node");
}

bool PoolOptions::given() const {
  const Text* const texts[] = {&name_,   &provider_, &nodes_,         &min_,
                               &max_,    &cores_,    &idle_timeout_,  &join_deadline_,
                               &memory_, &gpus_,     &tasks_per_node_};
  return !labels_.empty() || !counters_.empty() ||
         std::any_of(std::begin(texts), std::end(texts),
                     [](const Text* t) { return t->has_value(); });
}

definitions::PoolDefinition PoolOptions::read() const {
  definitions::PoolDefinition pool;
  pool.name = name_.value_or("");
  pool.provider = provider_.value_or("local");
  pool.nodes = read_number("--nodes", nodes_, 1, definitions::kNodesMax);
  pool.min = read_number("--min", min_, 0, definitions::kNodesMax);
  pool.max = read_number("--max", max_, 1, definitions::kNodesMax);
  pool.idle_timeout = read_time("--idle-timeout", idle_timeout_, definitions::kIdleTimeoutMin,
                                definitions::kIdleTimeoutMax);
  pool.join_deadline = read_time("--join-deadline", join_deadline_, definitions::kJoinDeadlineMin,
                                 definitions::kJoinDeadlineMax);
  if (cores_) pool.millicores = value_or_fail(definitions::parse_millicores(*cores_), "--cores ");
  if (memory_) pool.memory_bytes = value_or_fail(definitions::parse_size(*memory_), "--memory ");
  pool.gpus = read_number("--gpus", gpus_, 0, definitions::kGpusMax).value_or(0);
  pool.tasks_per_node =
      read_number("--tasks-per-node", tasks_per_node_, 1, definitions::kTasksPerNodeMax);
  pool.labels = labels_;
  for (const std::string& label : labels_)
    if (!is_given_label(label)) fail(ExitCode::kUsage, "--label " + label + ": " + kGivenLabelRule);
  for (const std::string& counter : counters_) pool.counters.push_back(read_counter(counter));
  std::sort(pool.counters.begin(), pool.counters.end());
  if (const auto fault = definitions::find_fault(pool))
    fail(exit_code_of(fault->reason), option_of(fault->key) + ' ' + fault->what);
  complete_local(pool);
  return pool;
}

}  // namespace leat::cli
