#include "definitions/pool_definition.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "definitions/units.h"

// NOLINTBEGIN(readability-identifier-naming): these names are the library's.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// NOLINTEND(readability-identifier-naming)
#include <toml++/toml.h>

namespace leat::definitions {
namespace {

constexpr std::array<std::string_view, 4> kLaterProviders{"static", "ssh", "slurm", "script"};
constexpr std::array<std::string_view, 6> kKeys{"name",  "provider", "nodes",
                                                "cores", "memory",   "labels"};
constexpr double kCoresMax = kMillicoresMax / 1000.0;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

// Reads one table, remembers the first thing that is wrong with it.
class PoolReader {
 public:
  PoolReader(const toml::table& table, const std::string& file) : table_(table), file_(file) {}

  Result<PoolDefinition> read() {
    refuse_unknown_keys();
    PoolDefinition pool;
    pool.name = required_text("name");
    if (!refusal_ && !is_pool_name(pool.name))
      refuse("name", "is letters, digits, '-', '_' and '.', at most 64 of them");
    pool.provider = required_text("provider");
    check_provider(pool.provider);
    read_nodes(pool);
    read_cores(pool);
    read_memory(pool);
    read_labels(pool);
    if (refusal_) return *refusal_;
    return pool;
  }

 private:
  void refuse_at(const toml::source_region& where, const std::string& what,
                 Reason reason = Reason::kInvalid) {
    if (refusal_) return;
    refusal_ = Refusal{reason, file_ + ':' + std::to_string(where.begin.line) + ':' +
                                   std::to_string(where.begin.column) + ": " + what};
  }

  // Points at the key's value, or at the file's start if there is none.
  void refuse(std::string_view key, const std::string& what, Reason reason = Reason::kInvalid) {
    const toml::node* const node = table_.get(key);
    refuse_at(node == nullptr ? toml::source_region{{1, 1}, {1, 1}, nullptr} : node->source(),
              std::string(key) + ' ' + what, reason);
  }

  void refuse_unknown_keys() {
    for (auto&& [key, value] : table_) {
      if (std::find(kKeys.begin(), kKeys.end(), key.str()) != kKeys.end()) continue;
      std::string known;
      for (const std::string_view name : kKeys)
        known.append(known.empty() ? "" : ", ").append(name);
      refuse_at(key.source(),
                "unknown key \"" + std::string(key.str()) + "\": a pool has " + known);
    }
  }

  std::string required_text(std::string_view key) {
    const toml::node* const node = table_.get(key);
    if (node == nullptr) {
      refuse(key, "is missing: a pool needs name, provider and nodes");
      return {};
    }
    const toml::value<std::string>* const text = node->as_string();
    if (text == nullptr) {
      refuse(key, "wants a text in quotes");
      return {};
    }
    return text->get();
  }

  void check_provider(const std::string& provider) {
    if (provider == "local") return;
    if (std::find(kLaterProviders.begin(), kLaterProviders.end(), provider) !=
        kLaterProviders.end()) {
      refuse("provider", '"' + provider + "\": not in this version, which has \"local\" only",
             Reason::kNotInThisVersion);
    } else {
      refuse("provider", "is \"local\" in this version");
    }
  }

  void read_nodes(PoolDefinition& pool) {
    const toml::node* const node = table_.get("nodes");
    const toml::value<std::int64_t>* const number = node ? node->as_integer() : nullptr;
    if (node == nullptr) {
      refuse("nodes", "is missing: a pool needs name, provider and nodes");
    } else if (number == nullptr || number->get() < 1 || number->get() > kNodesMax) {
      refuse("nodes", "wants a whole number from 1 to " + std::to_string(kNodesMax));
    } else {
      pool.nodes = static_cast<std::uint32_t>(number->get());
    }
  }

  // A whole number of cores, or a share of one: 4, 0.5 or "0.5".
  void read_cores(PoolDefinition& pool) {
    const toml::node* const node = table_.get("cores");
    if (node == nullptr) return;
    if (const toml::value<std::int64_t>* const whole = node->as_integer()) {
      if (whole->get() >= 1 && whole->get() <= kMillicoresMax / 1000)
        pool.millicores = static_cast<std::uint32_t>(whole->get() * 1000);
    } else if (const toml::value<std::string>* const text = node->as_string()) {
      const Result<std::uint32_t> parsed = parse_millicores(text->get());
      if (parsed.ok()) pool.millicores = parsed.value();
    } else if (const toml::value<double>* const share = node->as_floating_point()) {
      const bool in_range = share->get() >= 0.001 && share->get() <= kCoresMax;
      if (in_range) pool.millicores = static_cast<std::uint32_t>(std::lround(share->get() * 1000));
    }
    if (!pool.millicores) refuse("cores", "wants the cores of one node, like 4 or 0.5");
  }

  void read_memory(PoolDefinition& pool) {
    const toml::node* const node = table_.get("memory");
    if (node == nullptr) return;
    if (const toml::value<std::string>* const text = node->as_string()) {
      const Result<std::uint64_t> parsed = parse_size(text->get());
      if (parsed.ok() && parsed.value() > 0) pool.memory_bytes = parsed.value();
    } else if (const toml::value<std::int64_t>* const bytes = node->as_integer()) {
      if (bytes->get() > 0) pool.memory_bytes = static_cast<std::uint64_t>(bytes->get());
    }
    if (!pool.memory_bytes) refuse("memory", "wants the memory of one node, like \"8G\"");
  }

  void read_labels(PoolDefinition& pool) {
    const toml::node* const node = table_.get("labels");
    if (node == nullptr) return;
    const toml::array* const list = node->as_array();
    if (list == nullptr || list->size() > kLabelsMax) {
      refuse("labels", "wants a list of at most 64 words, like [\"fast\"]");
      return;
    }
    for (const toml::node& element : *list) {
      const toml::value<std::string>* const text = element.as_string();
      if (text == nullptr || !is_pool_name(text->get())) {
        refuse_at(element.source(), "a label is a word of letters, digits, '-', '_' and '.'");
        return;
      }
      pool.labels.push_back(text->get());
    }
  }

  const toml::table& table_;
  const std::string& file_;
  std::optional<Refusal> refusal_;
};

}  // namespace

bool is_pool_name(std::string_view text) {
  return !text.empty() && text.size() <= kPoolNameMax && is_name_char(text.front()) &&
         text.front() != '-' && text.front() != '.' && text.front() != '_' &&
         std::all_of(text.begin(), text.end(), is_name_char);
}

Result<PoolDefinition> parse_pool(std::string_view text, const std::string& file) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::source_position at = parsed.error().source().begin;
    return invalid(file + ':' + std::to_string(at.line) + ':' + std::to_string(at.column) + ": " +
                   std::string(parsed.error().description()));
  }
  return PoolReader(parsed.table(), file).read();
}

Result<PoolDefinition> load_pool(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return invalid(path + ": " + std::strerror(errno));
  std::string text(kDefinitionBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return invalid(path + ": cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kDefinitionBytesMax)
    return invalid(path + ": larger than 1 MiB, which no pool definition is");
  return parse_pool(text, path);
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
