// agent.cc - `leat agent join`: this machine becomes a node of a static pool.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/labels.h"
#include "base/resources.h"
#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/listen_address.h"
#include "definitions/pool_definition.h"
#include "definitions/units.h"
#include "transport/secret_file.h"
#include "transport/token.h"

namespace leat::cli {
namespace {

using Json = nlohmann::json;
using Text = std::optional<std::string>;

constexpr Duration kJoinDeadline = std::chrono::seconds(60);
constexpr std::int64_t kMicrosPerSecond = 1'000'000;

std::string host_of(const std::string& endpoint) {
  return endpoint.substr(0, endpoint.rfind(':'));
}

class AgentJoin final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("HEAD:PORT", head_,
                      "where agents join, if not where the token says (leat status tells)", false);
    arguments.option("--token-file", "FILE", token_file_,
                     "what leat pool token wrote; not needed to come back as the same node");
    arguments.option("--dir", "DIR", directory_,
                     "the node's own directory (default: /var/tmp/leat-agent-UID)");
    arguments.option("--bind", "ADDRESS", bind_,
                     "where this node serves outputs (default: its address towards the head)");
    arguments.option("--cores", "N", cores_, "offer N cores (default: all of the machine)");
    arguments.option("--memory", "SIZE", memory_, "offer SIZE of memory (default: all)");
    arguments.option("--gpus", "N", gpus_, "offer the first N gpus (default: those it finds)");
    arguments.list("--counter", "NAME=N", counters_, "offer so many of NAME; may be given again");
    arguments.flag("--no-memory-limits", no_memory_limits_,
                   "have no cgroup keep tasks within their --memory");
    arguments.list("--label", "LABEL", labels_, "a label of this node; may be given again");
    arguments.flag("--daemon", daemon_, "go on in the background once it has joined");
  }

  ExitCode run(Shell& shell) override {
    check_options();
    const std::string directory = choose_directory(shell.surroundings);
    const std::string program = find_program(shell.surroundings, "leat-agent");
    const Json file = settle(shell.surroundings, directory);
    const std::string bind =
        bind_ ? *bind_ : value_or_fail(address_towards(file["head_address"].get<std::string>()));
    const std::vector<std::string> arguments{"--dir", directory, "--bind", bind + ":0"};
    if (!daemon_) exec_program(shell.surroundings, program, arguments);
    DaemonOrder order;
    order.program = program;
    order.arguments = arguments;
    order.log_path = directory + "/agent.log";
    order.deadline = kJoinDeadline;
    order.subject = "the agent";
    const pid_t pid = start_daemon(shell, order);
    shell.console.out("joined as node " + std::to_string(file["node"].get<std::uint32_t>()) +
                      ", process " + std::to_string(pid) + '\n');
    return ExitCode::kDone;
  }

 private:
  void check_options() {
    if (head_) value_or_fail(check_endpoint(*head_));
    if (bind_) value_or_fail(check_listen_address(*bind_), "--bind ");
    if (cores_) millicores_ = value_or_fail(definitions::parse_millicores(*cores_), "--cores ");
    if (memory_) memory_bytes_ = value_or_fail(definitions::parse_size(*memory_), "--memory ");
    if (gpus_)
      gpu_count_ = value_or_fail(definitions::parse_number(*gpus_, 0, kGpusMax), "--gpus ");
    std::vector<Counter> counters;
    for (const std::string& counter : counters_)
      counters.push_back(value_or_fail(definitions::parse_counter(counter), "--counter "));
    offered_ = value_or_fail(sorted_counters(std::move(counters)), "--counter: ");
    for (const std::string& label : labels_)
      if (!is_given_label(label))
        fail(ExitCode::kUsage, "--label " + label + ": " + kGivenLabelRule);
  }

  std::string choose_directory(const Surroundings& surroundings) const {
    std::string path =
        directory_.value_or("/var/tmp/leat-agent-" + std::to_string(surroundings.uid));
    if (path.rfind('/', 0) != 0) path = surroundings.directory + '/' + path;
    value_or_fail(transport::ensure_private_directory(path));
    return path;
  }

  // Who this node is: from the token, or from an earlier call. Returns what is in agent.json.
  Json settle(const Surroundings& surroundings, const std::string& directory) {
    const std::string path = directory + "/agent.json";
    const Result<std::string> known = transport::read_secret_file(path);
    if (!known.ok() && known.refusal().reason != Reason::kNotFound) fail(known.refusal());
    std::optional<transport::JoinToken> token;
    if (token_file_) token = read_token(surroundings);
    if (!known.ok() && !token)
      fail(ExitCode::kUsage,
           "--token-file: give what leat pool token wrote, " + directory + " has never joined");
    Json file = known.ok() ? Json::parse(known.value(), nullptr, false) : Json::object();
    if (!file.is_object())
      fail(ExitCode::kUsage, path + ": is not a JSON object: remove " + directory);
    if (token && known.ok() && !is_for(*token, file))
      fail(ExitCode::kUsage, directory + " belongs to node " + file.value("node", Json()).dump() +
                                 " already: give another --dir, or remove it");
    if (token) take_token(*token, directory, surroundings, file);
    if (head_) file["head_address"] = *head_;
    if (!file.contains("head_address"))
      fail(ExitCode::kUsage, "the token does not say where agents join: give HEAD:PORT");
    file["warden"] = find_program(surroundings, "leat-warden");
    if (cores_) file["millicores"] = millicores_;
    if (memory_) file["memory_bytes"] = memory_bytes_;
    if (!labels_.empty()) file["labels"] = labels_;
    if (gpus_) file["gpus"] = gpu_count_;
    for (const Counter& counter : offered_) file["counters"][counter.name] = counter.amount;
    if (no_memory_limits_) file["memory_limits"] = "off";
    value_or_fail(transport::replace_secret_file(path, file.dump(2) + '\n'));
    return file;
  }

  transport::JoinToken read_token(const Surroundings& surroundings) const {
    const bool absolute = token_file_->rfind('/', 0) == 0;
    const std::string path = absolute ? *token_file_ : surroundings.directory + '/' + *token_file_;
    const std::string text = value_or_fail(transport::read_secret_file(path));
    return value_or_fail(transport::decode_token(text), path + ": ");
  }

  static bool is_for(const transport::JoinToken& token, const Json& file) {
    return file.value("node", 0u) == token.node.id.value &&
           file.value("epoch", std::uint64_t{0}) == token.node.epoch.value &&
           file.value("cluster_id", "") == token.cluster_id;
  }

  // The secret goes where the agent looks for it, until it has been spent.
  void take_token(transport::JoinToken token, const std::string& directory,
                  const Surroundings& surroundings, Json& file) const {
    struct stat info {};
    const bool enrolled = ::stat((directory + "/tls/credentials.pem").c_str(), &info) == 0;
    if (!enrolled && surroundings.wall_us() / kMicrosPerSecond >= token.expires_wall_s)
      fail(ExitCode::kRefused, *token_file_ + ": the token has expired: make another with leat " +
                                   "pool token " + token.pool);
    // The head may have another name from here, its enrolment port keeps its number.
    if (head_)
      token.enrol_address =
          host_of(*head_) + token.enrol_address.substr(token.enrol_address.rfind(':'));
    if (head_ && *head_ == token.enrol_address)
      fail(ExitCode::kUsage, *head_ + " is where nodes enrol: name the port where agents join" +
                                 (token.agent_address.empty() ? "" : ", " + token.agent_address));
    if (!enrolled)
      value_or_fail(transport::replace_secret_file(directory + "/join.token",
                                                   transport::encode_token(token)));
    file["version"] = 1;
    file["node"] = token.node.id.value;
    file["epoch"] = token.node.epoch.value;
    file["pool"] = token.pool.empty() ? "static" : token.pool;
    file["cluster_id"] = token.cluster_id;
    if (!token.agent_address.empty() && !file.contains("head_address"))
      file["head_address"] = token.agent_address;
  }

  Text head_, token_file_, directory_, bind_, cores_, memory_, gpus_;
  std::vector<std::string> labels_, counters_;
  std::uint32_t millicores_ = 0;
  std::uint64_t memory_bytes_ = 0;
  std::uint64_t gpu_count_ = 0;
  std::vector<Counter> offered_;
  bool no_memory_limits_ = false;
  bool daemon_ = false;
};

constexpr std::string_view kAgentJoinDetails =
    R"(Makes this machine a node of a static pool: enrols with a token, once, then joins
the head and runs tasks until it is stopped (Ctrl-C, or leat node remove on the
head). Without a token it comes back as the node it was before in this directory.

  leat agent join --token-file lab.token
  leat agent join --token-file lab.token --daemon head.example.org:4711)";

}  // namespace

const CommandEntry kAgentJoin{"agent join", "make this machine a node", kAgentJoinDetails,
                              build_command<AgentJoin>};

}  // namespace leat::cli
