#include "definitions/pool_definition.h"

#include <algorithm>
#include <array>

#include "definitions/document.h"
#include "definitions/table_reader.h"

namespace leat::definitions {
namespace {

constexpr std::array<std::string_view, 4> kLaterProviders{"static", "ssh", "slurm", "script"};
constexpr std::array<std::string_view, 6> kKeys{"name",  "provider", "nodes",
                                                "cores", "memory",   "labels"};
constexpr const char* kMissing = "is missing: a pool needs name, provider and nodes";

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

std::string required_text(TableReader& reader, std::string_view key) {
  if (!reader.has(key)) reader.refuse(key, kMissing);
  return reader.text(key).value_or("");
}

void check_provider(TableReader& reader, const std::string& provider) {
  if (provider == "local" || reader.refusal()) return;
  if (std::find(kLaterProviders.begin(), kLaterProviders.end(), provider) !=
      kLaterProviders.end()) {
    reader.refuse("provider", '"' + provider + "\": not in this version, which has \"local\" only",
                  Reason::kNotInThisVersion);
  } else {
    reader.refuse("provider", "is \"local\" in this version");
  }
}

void read_labels(TableReader& reader, PoolDefinition& pool) {
  const auto labels =
      reader.texts("labels", kLabelsMax, "wants a list of at most 64 words, like [\"fast\"]");
  if (!labels) return;
  pool.labels = *labels;
  const Items& items = std::get<Items>(reader.find("labels")->value);
  for (std::size_t n = 0; n < items.size(); ++n)
    if (!is_pool_name(pool.labels[n]))
      reader.refuse_at(items[n].at, "a label is a word of letters, digits, '-', '_' and '.'");
}

PoolDefinition read_pool(TableReader& reader) {
  reader.expect_keys(kKeys, "a pool has");
  PoolDefinition pool;
  pool.name = required_text(reader, "name");
  if (!is_pool_name(pool.name))
    reader.refuse("name", "is letters, digits, '-', '_' and '.', at most 64 of them");
  pool.provider = required_text(reader, "provider");
  check_provider(reader, pool.provider);
  if (!reader.has("nodes")) reader.refuse("nodes", kMissing);
  pool.nodes = static_cast<std::uint32_t>(reader.number("nodes", 1, kNodesMax).value_or(0));
  pool.millicores = reader.millicores("cores", "wants the cores of one node, like 4 or 0.5");
  pool.memory_bytes = reader.size("memory", "wants the memory of one node, like \"8G\"");
  read_labels(reader, pool);
  return pool;
}

}  // namespace

bool is_pool_name(std::string_view text) {
  return !text.empty() && text.size() <= kPoolNameMax && is_name_char(text.front()) &&
         text.front() != '-' && text.front() != '.' && text.front() != '_' &&
         std::all_of(text.begin(), text.end(), is_name_char);
}

Result<PoolDefinition> parse_pool(std::string_view text, const std::string& file) {
  const Result<Table> table = parse_document(text, file);
  if (!table.ok()) return table.refusal();
  TableReader reader(table.value(), file);
  PoolDefinition pool = read_pool(reader);
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
  spec.setNodes(pool.nodes);
  spec.setDeclared(pool.millicores.has_value());
  spec.initShape().setMillicores(pool.millicores.value_or(0));
  spec.getShape().setMemoryBytes(pool.memory_bytes.value_or(0));
  auto labels = spec.initLabels(static_cast<unsigned>(pool.labels.size()));
  for (unsigned i = 0; i < labels.size(); ++i) labels.set(i, pool.labels[i].c_str());
}

}  // namespace leat::definitions
