#include "definitions/pool_definition.h"

#include <algorithm>
#include <array>

#include "base/labels.h"
#include "definitions/document.h"
#include "definitions/table_reader.h"
#include "definitions/units.h"

namespace leat::definitions {
namespace {

constexpr std::array<std::string_view, 3> kLaterProviders{"ssh", "slurm", "script"};
constexpr std::array<std::string_view, 16> kKeys{
    "name",          "provider",      "nodes",          "min",     "max",    "idle_timeout",
    "join_deadline", "cores",         "memory",         "gpus",    "labels", "tasks_per_node",
    "placement",     "memory_limits", "mpi_interfaces", "counters"};
constexpr const char* kNameRule = "is letters, digits, '-', '_' and '.', at most 64 of them";
constexpr const char* kLabelRule =
    "wants a list of at most 64 labels, like [\"fast\", \"site=north\"]";
constexpr const char* kCountersRule = "wants a table of at most 16 numbers, like { licence = 2 }";

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

std::optional<std::uint32_t> narrow(std::optional<std::uint64_t> number) {
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

void read_counters(TableReader& reader, const std::string& file, PoolDefinition& pool) {
  const Item* const item = reader.find("counters");
  if (item == nullptr) return;
  const Table* const table = std::get_if<Table>(&item->value);
  if (table == nullptr || table->size() > kCountersMax)
    return reader.refuse("counters", kCountersRule);
  TableReader counters(*table, file, "counters.");
  for (const Entry& entry : *table) {
    if (!is_pool_name(entry.key))
      return reader.refuse_at(entry.at, "counters: \"" + entry.key + "\" " + kNameRule);
    const auto amount = counters.number(entry.key, 1, kCounterMax);
    if (amount) pool.counters.emplace_back(entry.key, *amount);
  }
  if (counters.refusal()) return reader.adopt(*counters.refusal());
  std::sort(pool.counters.begin(), pool.counters.end());
}

void read_labels(TableReader& reader, PoolDefinition& pool) {
  pool.labels = reader.texts("labels", kLabelsMax, kLabelRule).value_or(std::vector<std::string>{});
  const Item* const list = reader.find("labels");
  for (std::size_t n = 0; n < pool.labels.size(); ++n)
    if (!is_given_label(pool.labels[n]))
      reader.refuse_at(std::get<Items>(list->value)[n].at,
                       "labels: \"" + pool.labels[n] + "\": " + kGivenLabelRule);
}

// 0 for `usual`, which is also meant if nothing is said; 1 for `other`.
int read_choice(TableReader& reader, std::string_view key, const std::string& usual,
                const std::string& other) {
  const std::optional<std::string> text = reader.text(key);
  if (!text || *text == usual) return 0;
  if (*text != other) reader.refuse(key, "is \"" + usual + "\" or \"" + other + '"');
  return 1;
}

PoolDefinition read_pool(TableReader& reader, const std::string& file) {
  reader.expect_keys(kKeys, "a pool has");
  PoolDefinition pool;
  pool.name = reader.text("name").value_or("");
  pool.provider = reader.text("provider").value_or("");
  pool.nodes = narrow(reader.number("nodes", 1, kNodesMax));
  pool.min = narrow(reader.number("min", 0, kNodesMax));
  pool.max = narrow(reader.number("max", 1, kNodesMax));
  pool.idle_timeout = reader.duration("idle_timeout", kIdleTimeoutMin, kIdleTimeoutMax);
  pool.join_deadline = reader.duration("join_deadline", kJoinDeadlineMin, kJoinDeadlineMax);
  pool.millicores = reader.millicores("cores", "wants the cores of one node, like 4 or 0.5");
  pool.memory_bytes = reader.size("memory", "wants the memory of one node, like \"8G\"");
  pool.gpus = static_cast<std::uint32_t>(reader.number("gpus", 0, kGpusMax).value_or(0));
  read_labels(reader, pool);
  pool.tasks_per_node = narrow(reader.number("tasks_per_node", 1, kTasksPerNodeMax));
  pool.spread = read_choice(reader, "placement", "pack", "spread") == 1;
  pool.keeps_memory_limits = read_choice(reader, "memory_limits", "auto", "off") == 0;
  pool.mpi_interfaces = reader.text("mpi_interfaces").value_or("");
  if (!pool.mpi_interfaces.empty() && !names_interfaces(pool.mpi_interfaces))
    reader.refuse("mpi_interfaces", "wants interfaces or networks, like \"eth0,10.0.0.0/8\"");
  read_counters(reader, file, pool);
  return pool;
}

std::optional<PoolFault> find_size_fault(const PoolDefinition& pool) {
  if (pool.nodes && (pool.min || pool.max))
    return PoolFault{"nodes", "is the size of a pool that never changes: give it, or min and max"};
  if (!pool.nodes && !pool.max)
    return PoolFault{pool.min ? "max" : "nodes",
                     pool.min ? "is missing: a pool on demand needs it, min may be left out"
                              : "is missing: a pool needs name, provider and nodes, or max"};
  if (pool.min && *pool.min > *pool.max)
    return PoolFault{"min", "is " + std::to_string(*pool.min) + ", above max, which is " +
                                std::to_string(*pool.max)};
  if (pool.idle_timeout && pool.nodes)
    return PoolFault{"idle_timeout", "is for pools on demand: give min and max instead of nodes"};
  return std::nullopt;
}

}  // namespace

bool is_pool_name(std::string_view text) {
  return !text.empty() && text.size() <= kPoolNameMax && is_name_char(text.front()) &&
         text.front() != '-' && text.front() != '.' && text.front() != '_' &&
         std::all_of(text.begin(), text.end(), is_name_char);
}

std::optional<PoolFault> find_fault(const PoolDefinition& pool) {
  constexpr const char* kMissing = "is missing: a pool needs name, provider and nodes, or max";
  if (pool.name.empty()) return PoolFault{"name", kMissing};
  if (!is_pool_name(pool.name)) return PoolFault{"name", kNameRule};
  if (pool.provider.empty()) return PoolFault{"provider", kMissing};
  if (std::find(kLaterProviders.begin(), kLaterProviders.end(), pool.provider) !=
      kLaterProviders.end())
    return PoolFault{
        "provider",
        '"' + pool.provider + "\": not in this version, which has \"local\" and \"static\"",
        Reason::kNotInThisVersion};
  if (pool.provider != "local" && pool.provider != "static")
    return PoolFault{"provider", "is \"local\" or \"static\" in this version"};
  if (const auto fault = find_size_fault(pool)) return fault;
  if (pool.provider == "static" && !pool.nodes)
    return PoolFault{pool.min ? "min" : "max",
                     "is for pools whose nodes Leat makes: a static pool has nodes = N"};
  if (pool.provider == "static" && pool.join_deadline)
    return PoolFault{"join_deadline",
                     "is for pools whose nodes Leat makes: the tokens of a static pool expire"};
  if (pool.provider == "static" && !pool.keeps_memory_limits)
    return PoolFault{"memory_limits",
                     "is for pools whose nodes Leat makes: leat agent join --no-memory-limits"};
  if (pool.provider == "static" && (pool.gpus > 0 || !pool.counters.empty()))
    return PoolFault{pool.gpus > 0 ? "gpus" : "counters",
                     "is for pools whose nodes Leat makes: a static node says what it has, with "
                     "leat agent join"};
  return std::nullopt;
}

Result<PoolDefinition> parse_pool(std::string_view text, const std::string& file) {
  const Result<Table> table = parse_document(text, file);
  if (!table.ok()) return table.refusal();
  TableReader reader(table.value(), file);
  PoolDefinition pool = read_pool(reader, file);
  // An empty text is not a missing one.
  if (reader.has("name") && pool.name.empty()) reader.refuse("name", kNameRule);
  if (!reader.refusal())
    if (const auto fault = find_fault(pool)) reader.refuse(fault->key, fault->what, fault->reason);
  if (reader.refusal()) return *reader.refusal();
  return pool;
}

Result<PoolDefinition> load_pool(const std::string& path) {
  const Result<std::string> text = read_definition(path);
  if (!text.ok()) return text.refusal();
  return parse_pool(text.value(), path);
}

void fill_pool_spec(const PoolDefinition& pool, schema::PoolSpec::Builder spec) {
  spec.setName(pool.name.c_str());
  spec.setProvider(pool.provider.c_str());
  spec.setNodes(pool.nodes.value_or(0));
  spec.setMin(pool.nodes_min());
  spec.setMax(pool.nodes_max());
  if (pool.idle_timeout) spec.setIdleTimeoutUs(pool.idle_timeout->count());
  if (pool.join_deadline) spec.setJoinDeadlineUs(pool.join_deadline->count());
  spec.setDeclared(pool.millicores.has_value());
  auto shape = spec.initShape();
  shape.setMillicores(pool.millicores.value_or(0));
  shape.setMemoryBytes(pool.memory_bytes.value_or(0));
  shape.setGpus(pool.gpus);
  auto counters = shape.initCounters(static_cast<unsigned>(pool.counters.size()));
  for (unsigned i = 0; i < counters.size(); ++i) {
    counters[i].setName(pool.counters[i].first.c_str());
    counters[i].setAmount(pool.counters[i].second);
  }
  auto labels = spec.initLabels(static_cast<unsigned>(pool.labels.size()));
  for (unsigned i = 0; i < labels.size(); ++i) labels.set(i, pool.labels[i].c_str());
  spec.setTasksPerNode(pool.tasks_per_node.value_or(0));
  spec.setPlacement(pool.spread ? schema::Placement::SPREAD : schema::Placement::AS_POOL);
  spec.setMemoryLimits(pool.keeps_memory_limits ? schema::PoolSpec::MemoryLimits::AUTO
                                                : schema::PoolSpec::MemoryLimits::OFF);
  spec.setMpiInterfaces(pool.mpi_interfaces.c_str());
}

}  // namespace leat::definitions
