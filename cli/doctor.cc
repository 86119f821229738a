// doctor.cc - `leat doctor`: looks at everything that is known to go wrong.

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "cli/command.h"
#include "cli/data_link.h"
#include "cli/head.h"
#include "cli/health.h"
#include "cli/job_view.h"
#include "cli/render.h"
#include "cli/value.h"
#include "transport/certificate_dates.h"
#include "transport/secret_file.h"

namespace leat::cli {
namespace {

// Nodes that are asked for their time, one after the other.
constexpr unsigned kNodesAsked = 256;
constexpr kj::Duration kNodeDeadline = 5 * kj::SECONDS;

std::string contents(const std::string& path) {
  std::ifstream in(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

// The part of "ID:CONTROLLERS:PATH" after a line's begin, from /proc/self/cgroup.
std::string group_of(const std::string& groups, const std::string& begin) {
  for (std::size_t at = 0; at < groups.size();) {
    const std::size_t end = std::min(groups.find('\n', at), groups.size());
    const std::string line = groups.substr(at, end - at);
    const std::size_t found = line.find(begin);
    if (found != std::string::npos) return line.substr(line.rfind(':') + 1);
    at = end + 1;
  }
  return {};
}

CgroupView look_at_cgroup(const std::string& root) {
  const std::string groups = contents("/proc/self/cgroup");
  CgroupView view;
  if (exists(root + "/cgroup.controllers")) {
    const std::string own = root + group_of(groups, "0::");
    view.kind = CgroupView::Kind::kV2;
    view.writable = ::access(own.c_str(), W_OK) == 0;
    view.memory = contents(own + "/cgroup.controllers").find("memory") != std::string::npos;
  } else if (exists(root + "/memory")) {
    const std::string own = root + "/memory" + group_of(groups, ":memory:");
    view.kind = CgroupView::Kind::kV1;
    view.memory = true;
    view.writable = ::access(own.c_str(), W_OK) == 0;
  }
  return view;
}

class Doctor final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    look_at_host();
    if (look_at_home(shell.home)) {
      look_at_disk(shell.home.path);
      look_at_certificates(shell);
      look_at_cluster(shell);
    }
    report(shell.console);
    const bool any_wrong = std::any_of(findings_.begin(), findings_.end(),
                                       [](const Finding& f) { return f.health == Health::kWrong; });
    return any_wrong ? ExitCode::kWorkFailed : ExitCode::kDone;
  }

 private:
  void add(Finding finding) { findings_.push_back(std::move(finding)); }

  void look_at_host() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) add(judge_open_files(limit.rlim_max));
    if (::getrlimit(RLIMIT_NPROC, &limit) == 0) add(judge_processes(limit.rlim_max));
    add(judge_cgroup(look_at_cgroup("/sys/fs/cgroup")));
  }

  // Whether there is a home to look into.
  bool look_at_home(const Home& home) {
    const Result<Done> verified = verify_home(home);
    if (verified.ok()) {
      add({"home", Health::kGood, home.path + " is ours alone", {}});
      return true;
    }
    if (verified.refusal().reason == Reason::kDisconnected) {
      add(judge_head(false, false, false));
      return false;
    }
    add({"home", Health::kWrong, verified.refusal().message,
         "make " + home.path + " yours (chown) and chmod go= it, or name another --home"});
    return false;
  }

  void look_at_disk(const std::string& path) {
    struct statvfs info {};
    if (::statvfs(path.c_str(), &info) != 0) return;
    add(judge_disk(
        path, {std::uint64_t{info.f_bavail} * info.f_frsize, info.f_favail, info.f_files > 0}));
  }

  void look_at_certificates(Shell& shell) {
    const std::int64_t now_s = shell.surroundings.wall_us() / 1'000'000;
    for (const char* const name : {"authority", "head", "store", "user"}) {
      const std::string part = std::string("tls/") + name;
      std::string path = shell.home.path + '/';
      const std::string file =
          name == std::string_view("authority") ? "/authority.pem" : "/credentials.pem";
      const auto pem = transport::read_secret_file(path.append(part).append(file));
      if (!pem.ok() && pem.refusal().reason == Reason::kNotFound) continue;
      const auto end = pem.ok() ? transport::certificate_end(pem.value())
                                : Result<transport::WallSeconds>(pem.refusal());
      if (end.ok()) {
        add(judge_certificate(part, end.value(), now_s));
      } else {
        add({"certificates", Health::kWrong, part + ": " + end.refusal().message,
             "leat down, then leat up"});
      }
    }
  }

  void look_at_cluster(Shell& shell) {
    Head head(shell);
    const bool answers = head.answers();
    add(judge_head(answers, exists(shell.home.socket()), exists(shell.home.head_pid())));
    if (!answers) return;
    const auto status =
        head.ask([](schema::Scheduler::Client& client) { return client.statusRequest().send(); });
    bool store = false;
    for (const schema::Status::Daemon::Reader daemon : status.getStatus().getDaemons())
      store = store || read_text(daemon.getName()) == "leat-store";
    add(judge_store(store));
    const auto nodes =
        head.ask([](schema::Scheduler::Client& client) { return client.nodesRequest().send(); });
    unsigned asked = 0;
    for (const schema::NodeSummary::Reader node : nodes.getNodes())
      if (asked++ < kNodesAsked) look_at_node(shell, node);
  }

  void look_at_node(Shell& shell, schema::NodeSummary::Reader node) {
    const std::uint32_t id = node.getNode().getId();
    const std::string state = read_text(node.getState());
    const std::int64_t before_us = shell.surroundings.wall_us();
    const kj::Maybe<std::int64_t> told = state == "up" ? time_of(shell, node) : nullptr;
    const std::int64_t after_us = shell.surroundings.wall_us();
    add(judge_agent(id, state, read_text(node.getHostName()), told != nullptr));
    KJ_IF_MAYBE (there_s, told) {
      // It tells whole seconds: the middle of that one, against the middle of asking.
      const std::int64_t there_us = *there_s * 1'000'000 + 500'000;
      add(judge_clock(id, Duration(there_us - (before_us + after_us) / 2)));
    }
  }

  // The wall clock of a node's agent, in seconds; nothing if it cannot be asked.
  kj::Maybe<std::int64_t> time_of(Shell& shell, schema::NodeSummary::Reader node) {
    kj::Maybe<std::int64_t> told;
    try {
      DataLink link(shell);
      const NodeRef ref{NodeId{node.getNode().getId()}, NodeEpoch{node.getNode().getEpoch()}};
      KJ_IF_MAYBE (agent, link.to_agent(ref, read_text(node.getDataAddress()))) {
        const auto lost = kj::runCatchingExceptions([&] {
          told = shell.io.provider->getTimer()
                     .timeoutAfter(kNodeDeadline, agent->clockRequest().send())
                     .wait(shell.io.waitScope)
                     .getWallSeconds();
        });
        (void)lost;  // then it is not reachable
      }
    } catch (const Failure&) {
      return nullptr;  // no credentials: the certificates' finding says it
    }
    return told;
  }

  void report(Console& console) const {
    Value::List rows;
    std::uint64_t wrong = 0;
    for (const Finding& finding : findings_) {
      wrong += finding.health == Health::kWrong ? 1 : 0;
      rows.emplace_back(Value::Object{{"check", finding.check},
                                      {"health", name_of(finding.health)},
                                      {"message", finding.message},
                                      {"remedy", finding.remedy}});
    }
    if (json_) {
      console.out(json_document({{"wrong", wrong}, {"findings", std::move(rows)}}));
      return;
    }
    for (const Finding& finding : findings_) {
      std::string line = finding.health == Health::kGood   ? "  "
                         : finding.health == Health::kNote ? "- "
                                                           : "! ";
      line += finding.check + ": " + finding.message;
      if (!finding.remedy.empty()) line += ": " + finding.remedy;
      console.out(printable(line) + '\n');
    }
    console.out(wrong == 0 ? "nothing is wrong\n" : std::to_string(wrong) + " wrong\n");
  }

  bool json_ = false;
  std::vector<Finding> findings_;
};

constexpr std::string_view kDoctorDetails =
    R"(Looks at the home directory, disk space, limits of this shell, cgroups, certificates,
the head, leat-store, and every node's reachability and clock. What is wrong has a '!'
and its remedy; a '-' works with less than there could be. Exit code 1 if anything is
wrong.

  leat doctor
  leat doctor --json)";

}  // namespace

const CommandEntry kDoctor{"doctor", "look for what is wrong, and say what to do", kDoctorDetails,
                           build_command<Doctor>};

}  // namespace leat::cli
