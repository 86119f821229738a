#include "pools/node_directory.h"

#include <fcntl.h>
#include <kj/io.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace leat::pools {
namespace {

constexpr std::size_t kNodeFileBytesMax = 64 * 1024;
constexpr std::string_view kHeadKey = "\"head_address\": ";
constexpr std::string_view kFirstKey = "\"core_first\": ";
constexpr std::string_view kMockKey = "\"mock\": true";
constexpr std::string_view kGpusKey = "\"gpus\": ";
constexpr std::string_view kGpuFirstKey = "\"gpu_first\": ";
constexpr std::string_view kCountKey = "\"core_count\": ";

Refusal refusal_of(const std::string& path, int error) {
  const Reason reason = error == ENOENT   ? Reason::kNotFound
                        : error == EEXIST ? Reason::kConflict
                                          : Reason::kOverloaded;
  return {reason, path + ": " + std::strerror(error)};
}

std::string quoted(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

// The number behind `key`, which only our own keys can match: quotes in values are escaped.
std::optional<std::uint32_t> number_at(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  const char* const first = text.data() + at + key.size();
  std::uint32_t number = 0;
  if (std::from_chars(first, text.data() + text.size(), number).ec != std::errc())
    return std::nullopt;
  return number;
}

Result<Done> write_file(const std::string& path, std::string_view content) {
  const int raw = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) return refusal_of(path, errno);
  const kj::AutoCloseFd owner(raw);
  const ssize_t size = ::write(raw, content.data(), content.size());
  if (size < 0) return refusal_of(path, errno);
  if (static_cast<std::size_t>(size) != content.size()) return refusal_of(path, ENOSPC);
  if (::fsync(raw) != 0) return refusal_of(path, errno);
  return Done{};
}

}  // namespace

std::string directory_name(NodeRef node) {
  return std::to_string(node.id.value) + "-" + std::to_string(node.epoch.value);
}

std::optional<NodeRef> parse_directory_name(std::string_view name) {
  NodeRef node;
  const char* const end = name.data() + name.size();
  const auto id = std::from_chars(name.data(), end, node.id.value);
  if (id.ec != std::errc() || id.ptr == end || *id.ptr != '-') return std::nullopt;
  const auto epoch = std::from_chars(id.ptr + 1, end, node.epoch.value);
  if (epoch.ec != std::errc() || directory_name(node) != name) return std::nullopt;
  return node;
}

std::string node_file_text(const NodeOrder& order, const MachineShare& share,
                           const std::string& warden_program) {
  const std::optional<CoreShare>& cores = share.cores;
  std::string text = "{\n  \"version\": 1,\n";
  const auto number = [&text](std::string_view key, std::uint64_t value) {
    text.append("  \"").append(key).append("\": ").append(std::to_string(value)).append(",\n");
  };
  const auto string = [&text](std::string_view key, std::string_view value) {
    text.append("  \"").append(key).append("\": ").append(quoted(value)).append(",\n");
  };
  number("node", order.node.id.value);
  number("epoch", order.node.epoch.value);
  string("pool", order.pool);
  string("cluster_id", order.cluster_id);
  string("head_address", order.agent_address);
  string("enrol_address", order.enrol_address);
  string("warden", warden_program);
  number("millicores", order.millicores);
  number("memory_bytes", order.memory_bytes);
  if (cores.has_value()) {
    number("core_first", cores->first);
    number("core_count", cores->count);
  }
  if (order.gpus.has_value()) {
    number("gpus", *order.gpus);
    number("gpu_first", share.gpus.first);
  }
  if (!order.counters.empty()) {
    text += "  \"counters\": {";
    for (std::size_t i = 0; i < order.counters.size(); ++i)
      text.append(i == 0 ? "" : ", ")
          .append(quoted(order.counters[i].first))
          .append(": ")
          .append(std::to_string(order.counters[i].second));
    text += "},\n";
  }
  string("memory_limits", order.keeps_memory_limits ? "auto" : "off");
  text += "  \"labels\": [";
  for (std::size_t i = 0; i < order.labels.size(); ++i)
    text.append(i == 0 ? "" : ", ").append(quoted(order.labels[i]));
  text.append("],\n  \"mock\": ").append(order.mock ? "true" : "false").append("\n}\n");
  return text;
}

std::optional<CoreShare> cores_in_node_file(std::string_view text) {
  const std::optional<std::uint32_t> first = number_at(text, kFirstKey);
  const std::optional<std::uint32_t> count = number_at(text, kCountKey);
  if (!first.has_value() || !count.has_value()) return std::nullopt;
  return CoreShare{*first, *count};
}

GpuShare gpus_in_node_file(std::string_view text) {
  return {number_at(text, kGpuFirstKey).value_or(0), number_at(text, kGpusKey).value_or(0)};
}

bool mock_in_node_file(std::string_view text) {
  return text.find(kMockKey) != std::string_view::npos;
}

std::optional<std::string> with_head_address(std::string_view text, const std::string& address) {
  const std::size_t at = text.find(kHeadKey);
  if (at == std::string_view::npos) return std::nullopt;
  const std::size_t first = at + kHeadKey.size();
  const std::size_t end = text.find(",\n", first);
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(text.substr(0, first)) + quoted(address) + std::string(text.substr(end));
}

Result<Done> make_node_directory(const std::string& nodes, const NodeOrder& order,
                                 const std::string& node_file) {
  const std::string path = nodes + "/" + directory_name(order.node);
  const std::string fresh =
      nodes + "/" + std::string(kUnfinishedPrefix) + directory_name(order.node);
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return refusal_of(path, EEXIST);
  // Left by an earlier attempt: its files are written again.
  if (::mkdir(fresh.c_str(), 0700) != 0 && errno != EEXIST) return refusal_of(fresh, errno);
  const Result<Done> told = write_file(fresh + "/agent.json", node_file);
  if (!told.ok()) return told;
  const Result<Done> token = write_file(fresh + "/join.token", order.token);
  if (!token.ok()) return token;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return refusal_of(path, errno);
  return Done{};
}

Result<std::string> read_node_file(const std::string& path) {
  const int raw = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (raw < 0) return refusal_of(path, errno);
  const kj::AutoCloseFd owner(raw);
  std::string content(kNodeFileBytesMax, '\0');
  const ssize_t size = ::read(raw, content.data(), content.size());
  if (size < 0) return refusal_of(path, errno);
  content.resize(static_cast<std::size_t>(size));
  return content;
}

Result<Done> replace_node_file(const std::string& path, std::string_view content) {
  const std::string fresh = path + ".new";
  const Result<Done> written = write_file(fresh, content);
  if (!written.ok()) return written;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return refusal_of(path, errno);
  return Done{};
}

bool warden_holds(const std::string& directory) {
  const int raw =
      ::open((directory + "/warden.lock").c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (raw < 0) return false;
  const kj::AutoCloseFd owner(raw);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return ::fcntl(raw, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace leat::pools
