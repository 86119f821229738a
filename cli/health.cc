#include "cli/health.h"

#include <cstdlib>

#include "definitions/units.h"

namespace leat::cli {
namespace {

Finding good(std::string check, std::string message) {
  return {std::move(check), Health::kGood, std::move(message), {}};
}

Finding wrong(std::string check, std::string message, std::string remedy) {
  return {std::move(check), Health::kWrong, std::move(message), std::move(remedy)};
}

Finding note(std::string check, std::string message, std::string remedy) {
  return {std::move(check), Health::kNote, std::move(message), std::move(remedy)};
}

std::string node_text(std::uint32_t node) {
  return "node " + std::to_string(node);
}

}  // namespace

const char* name_of(Health health) {
  switch (health) {
    case Health::kGood:
      return "good";
    case Health::kNote:
      return "note";
    case Health::kWrong:
      break;
  }
  return "wrong";
}

Finding judge_disk(const std::string& path, const DiskSpace& space) {
  const std::string free = definitions::show_size(space.free_bytes) + " free";
  if (space.free_bytes < kFreeBytesMin)
    return wrong("disk", path + ": only " + free,
                 "free some space: the head ends when it cannot write, and loses nothing");
  if (space.counts_files && space.free_files < kFreeFilesMin)
    return wrong("disk",
                 path + ": room for only " + std::to_string(space.free_files) + " more files",
                 "delete files on that file system");
  return good("disk", path + ": " + free);
}

Finding judge_open_files(std::uint64_t hard) {
  const std::string text = std::to_string(hard) + " open files allowed";
  if (hard >= kOpenFilesMin) return good("limits", text);
  return wrong("limits", "only " + text,
               "ulimit -Hn " + std::to_string(kOpenFilesMin) + " (root), then leat down, leat up");
}

Finding judge_processes(std::uint64_t hard) {
  const std::string text = std::to_string(hard) + " processes allowed";
  if (hard >= kProcessesMin) return good("limits", text);
  return wrong("limits", "only " + text,
               "ulimit -Hu " + std::to_string(kProcessesMin) + " (root), then leat down, leat up");
}

Finding judge_certificate(const std::string& name, std::int64_t end_s, std::int64_t now_s) {
  constexpr std::int64_t kDay = 24 * 3600;
  const std::int64_t days = (end_s - now_s) / kDay;
  const std::string remedy =
      name == "tls/authority"
          ? "the cluster has to be made anew: take its results, leat down, another --home"
          : "leat down, then leat up: certificates are made anew at every start";
  if (end_s <= now_s) return wrong("certificates", name + " is no longer valid", remedy);
  if (days < kDaysLeftMin)
    return wrong("certificates", name + " is valid for only " + std::to_string(days) + " days",
                 remedy);
  return good("certificates", name + " is valid for " + std::to_string(days) + " days");
}

Finding judge_clock(std::uint32_t node, Duration skew) {
  const Duration distance(std::abs(skew.count()));
  if (distance <= kSkewMax) return good("clock", node_text(node) + ": its clock agrees with ours");
  return wrong("clock",
               node_text(node) + ": its clock is " + definitions::show_duration(distance) +
                   (skew.count() > 0 ? " ahead of" : " behind") + " the head's",
               "set both clocks by NTP: tickets and certificates are refused otherwise");
}

Finding judge_cgroup(const CgroupView& view) {
  const std::string without = "memory limits are not enforced";
  switch (view.kind) {
    case CgroupView::Kind::kNone:
      return note("cgroup", "no cgroup file system: " + without,
                  "mount one at /sys/fs/cgroup, or do without");
    case CgroupView::Kind::kV1:
    case CgroupView::Kind::kV2:
      break;
  }
  const std::string version = view.kind == CgroupView::Kind::kV2 ? "cgroup v2" : "cgroup v1";
  if (view.writable && view.memory) return good("cgroup", version + ": memory limits are enforced");
  const std::string why = view.writable ? " without the memory controller" : " is not delegated";
  return note("cgroup", version + why + ": " + without,
              "systemd-run --user --scope -p Delegate=yes leat up, or run as root");
}

Finding judge_head(bool answers, bool socket_there, bool home_used) {
  if (answers) return good("head", "the head answers");
  if (socket_there)
    return wrong("head", "no head answers at its socket, which is left over",
                 "leat up starts a head, which goes on where the last one ended");
  if (home_used) return wrong("head", "no head runs", "leat up");
  return wrong("head", "no head has ever run here", "leat up, or name another --home");
}

Finding judge_agent(std::uint32_t node, const std::string& state, const std::string& host,
                    bool reachable) {
  const std::string who = node_text(node) + (host.empty() ? "" : " on " + host);
  if (state == "lost")
    return wrong("agents", who + " has not been heard from",
                 "look at that machine; if it is gone for good: leat node list");
  if (state == "up" && !reachable)
    return wrong("agents", who + ": its data port does not answer us",
                 "look for a firewall between; leat logs cannot read there");
  return good("agents", who + " is " + state);
}

Finding judge_store(bool runs) {
  if (runs) return good("store", "leat-store runs");
  return wrong("store", "leat-store does not run: inputs and results wait",
               "the head starts it again; see leat-scheduler.log in HOME/log");
}

}  // namespace leat::cli
