#include "mpi-tasks/pmi1.h"

#include <charconv>
#include <utility>

namespace leat::mpi {
namespace {

constexpr std::string_view kMappingKey = "PMI_process_mapping";
// What get_maxes promises. A mapping that is longer is left out: then ranks compare host names.
constexpr std::size_t kKeyMax = 64;
constexpr std::size_t kValueMax = 1024;

// The value of `name` among "a=b c=d"; a "value" reaches to the end of the line.
std::string_view word(std::string_view line, std::string_view name) {
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t equals = line.find('=', at);
    if (equals == std::string_view::npos) return {};
    const bool last = line.substr(at, equals - at) == "value";
    const std::size_t end = last ? line.size() : std::min(line.find(' ', equals), line.size());
    if (line.substr(at, equals - at) == name) return line.substr(equals + 1, end - equals - 1);
    at = end + 1;
  }
  return {};
}

std::int32_t number(std::string_view text) {
  std::int32_t value = 1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Pmi1::Pmi1(const Layout& layout, NodeIndex node, std::string name)
    : layout_(layout), node_(node), name_(std::move(name)) {
  const std::string mapping = layout_.process_mapping();
  if (!mapping.empty() && mapping.size() <= kValueMax) space_.emplace(kMappingKey, mapping);
}

Pmi1::Outs Pmi1::take(Rank rank, std::string_view line) {
  Outs outs;
  const std::string text = answer(rank, line, outs);
  if (!text.empty()) outs.answers.push_back({rank, text + "\n"});
  return outs;
}

std::string Pmi1::answer(Rank rank, std::string_view line, Outs& outs) {
  if (bool& spawning = spawning_[rank]; spawning || line.starts_with("mcmd=spawn")) {
    spawning = line != "endcmd";
    return spawning ? "" : "cmd=spawn_result rc=-1 errormsg=not_supported";
  }
  const std::string_view command = word(line, "cmd");
  if (command == "init") {
    outs.events.push_back({.type = Event::Type::kConnected, .rank = rank});
    return "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0";
  }
  if (command == "get_maxes")
    return "cmd=maxes rc=0 kvsname_max=256 keylen_max=" + std::to_string(kKeyMax) +
           " vallen_max=" + std::to_string(kValueMax);
  if (command == "get_appnum") return "cmd=appnum rc=0 appnum=0";
  if (command == "get_universe_size")
    return "cmd=universe_size rc=0 size=" + std::to_string(layout_.size());
  if (command == "get_my_kvsname") return "cmd=my_kvsname rc=0 kvsname=" + name_;
  if (command == "put") return put(line);
  if (command == "get") return get(line);
  if (command == "barrier_in") {
    enter_barrier(rank, outs);
    return "";
  }
  if (command == "finalize") {
    outs.events.push_back({.type = Event::Type::kFinalized, .rank = rank});
    return "cmd=finalize_ack rc=0";
  }
  if (command == "abort") {
    outs.events.push_back(
        {.type = Event::Type::kAborted, .rank = rank, .status = number(word(line, "exitcode"))});
    return "";
  }
  // Names would need the head's word on who may see them; MPICH says so to the program.
  for (const std::string_view name : {"publish_name", "unpublish_name", "lookup_name"})
    if (command == name)
      return "cmd=" + std::string(name.substr(0, name.find('_'))) +
             "_result rc=-1 msg=not_supported";
  return "cmd=" + std::string(command) + " rc=-1 msg=unknown_command";
}

std::string Pmi1::put(std::string_view line) {
  const std::string_view key = word(line, "key");
  const std::string_view value = word(line, "value");
  if (key.empty() || key.size() > kKeyMax || value.size() > kValueMax ||
      fresh_.size() > kSpaceBytesMax)
    return "cmd=put_result rc=-1 msg=too_long";
  fresh_ += std::string(key) + "=" + std::string(value) + "\n";
  return "cmd=put_result rc=0 msg=success";
}

std::string Pmi1::get(std::string_view line) const {
  const auto at = space_.find(word(line, "key"));
  if (at == space_.end()) return "cmd=get_result rc=-1 msg=key_not_found value=unknown";
  return "cmd=get_result rc=0 msg=success value=" + at->second;
}

void Pmi1::enter_barrier(Rank rank, Outs& outs) {
  waiting_.push_back(rank);
  if (waiting_.size() < layout_.node(node_).ranks.size()) return;
  outs.events.push_back(
      {.type = Event::Type::kGathered, .rank = rank, .bytes = std::exchange(fresh_, {})});
}

Pmi1::Outs Pmi1::take_gathered(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    const std::string_view entry = bytes.substr(0, end);
    const std::size_t equals = entry.find('=');
    if (equals != std::string_view::npos)
      space_.insert_or_assign(std::string(entry.substr(0, equals)),
                              std::string(entry.substr(equals + 1)));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  Outs outs;
  for (const Rank rank : std::exchange(waiting_, {}))
    outs.answers.push_back({rank, "cmd=barrier_out rc=0\n"});
  return outs;
}

}  // namespace leat::mpi
