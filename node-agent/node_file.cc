#include "node-agent/node_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

namespace leat::agent {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kNodeFileBytesMax = 64 * 1024;

// Collects the first thing that is wrong.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  std::string text(const char* key) {
    const auto found = object_.find(key);
    if (found != object_.end() && found->is_string()) {
      const std::string value = found->get<std::string>();
      if (!value.empty() && value.find('\0') == std::string::npos) return value;
    }
    fail(key, "must be a text that is not empty");
    return {};
  }

  std::uint64_t number(const char* key, std::uint64_t otherwise, std::uint64_t max) {
    const auto found = object_.find(key);
    if (found == object_.end()) return otherwise;
    if (found->is_number_unsigned() && found->get<std::uint64_t>() <= max)
      return found->get<std::uint64_t>();
    fail(key, "must be a number from 0 to " + std::to_string(max));
    return otherwise;
  }

  bool flag(const char* key) {
    const auto found = object_.find(key);
    if (found == object_.end()) return false;
    if (found->is_boolean()) return found->get<bool>();
    fail(key, "must be true or false");
    return false;
  }

  std::vector<std::string> texts(const char* key) {
    std::vector<std::string> values;
    const auto found = object_.find(key);
    if (found == object_.end()) return values;
    if (!found->is_array()) fail(key, "must be a list of texts");
    for (const Json& value : *found) {
      if (value.is_string()) {
        values.push_back(value.get<std::string>());
      } else {
        fail(key, "must be a list of texts");
      }
    }
    return values;
  }

  std::vector<Counter> counters(const char* key) {
    std::vector<Counter> values;
    const auto found = object_.find(key);
    if (found == object_.end()) return values;
    if (!found->is_object()) fail(key, "must be an object of whole numbers");
    if (!found->is_object()) return values;
    for (const auto& [name, amount] : found->items()) {
      if (!amount.is_number_unsigned()) {
        fail(key, "must be an object of whole numbers");
        return values;
      }
      values.push_back({name, amount.get<std::uint64_t>()});
    }
    Result<std::vector<Counter>> sorted = sorted_counters(std::move(values));
    if (sorted.ok()) return std::move(sorted).value();
    fail(key, sorted.refusal().message);
    return {};
  }

  bool has(const char* key) const { return object_.contains(key); }
  void fail(const char* key, const std::string& what) {
    if (wrong_.empty()) wrong_ = std::string("agent.json: ") + key + ": " + what;
  }
  const std::string& wrong() const { return wrong_; }

 private:
  const Json& object_;
  std::string wrong_;
};

}  // namespace

Result<NodeFile> parse_node_file(const std::string& text) {
  const Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) return invalid("agent.json: is not a JSON object");
  constexpr std::uint64_t k32 = std::numeric_limits<std::uint32_t>::max();
  constexpr std::uint64_t k64 = std::numeric_limits<std::uint64_t>::max();
  Fields fields(object);
  NodeFile file;
  file.node.id.value = static_cast<std::uint32_t>(fields.number("node", 0, k32));
  file.node.epoch.value = fields.number("epoch", 0, k64);
  if (!file.node.id || !file.node.epoch) fields.fail("node", "node and epoch must be given");
  file.pool = fields.text("pool");
  file.cluster_id = fields.text("cluster_id");
  file.head_address = fields.text("head_address");
  file.warden = fields.text("warden");
  file.millicores = static_cast<std::uint32_t>(fields.number("millicores", 0, k32));
  file.memory_bytes = fields.number("memory_bytes", 0, k64);
  if (fields.has("core_first"))
    file.core_first = static_cast<std::uint32_t>(fields.number("core_first", 0, k32));
  if (fields.has("gpus"))
    file.gpus = static_cast<std::uint32_t>(fields.number("gpus", 0, kGpusMax));
  file.gpu_first = static_cast<std::uint32_t>(fields.number("gpu_first", 0, kGpusMax));
  file.counters = fields.counters("counters");
  if (fields.has("memory_limits")) {
    const std::string limits = fields.text("memory_limits");
    file.keeps_memory_limits = limits != "off";
    if (limits != "off" && limits != "auto") fields.fail("memory_limits", "is auto or off");
  }
  file.spool_quota_bytes = fields.number("spool_quota_bytes", kSpoolQuotaDefault, k64);
  file.labels = fields.texts("labels");
  file.mock = fields.flag("mock");
  if (!fields.wrong().empty()) return invalid(fields.wrong());
  return file;
}

Result<NodeFile> read_node_file(const std::string& directory) {
  const std::string path = directory + "/agent.json";
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return invalid(path + ": cannot be opened: " + std::strerror(errno));
  struct stat info {};
  std::string text(kNodeFileBytesMax + 1, '\0');
  const bool is_ours = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
                       info.st_uid == ::geteuid() && (info.st_mode & 022) == 0;
  const ssize_t n = is_ours ? ::read(fd, text.data(), text.size()) : -1;
  ::close(fd);
  if (!is_ours) return invalid(path + ": must be a file of ours that nobody else may write");
  if (n < 0 || static_cast<std::size_t>(n) > kNodeFileBytesMax)
    return invalid(path + ": cannot be read, or is too long");
  text.resize(static_cast<std::size_t>(n));
  return parse_node_file(text);
}

Result<Done> lock_node(const std::string& directory) {
  const std::string path = directory + "/agent.lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return invalid(path + ": cannot be opened: " + std::strerror(errno));
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_SETLK, &whole) != 0)
    return invalid(directory + ": another agent serves this node");
  return Done{};
}

}  // namespace leat::agent
