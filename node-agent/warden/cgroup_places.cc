#include "node-agent/warden/cgroup_places.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <vector>

#include "node-agent/warden/small_file.h"

namespace leat::warden {

namespace {

// Moving the processes of a group: those that are born meanwhile need another look.
constexpr int kMoveRoundsMax = 10;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool has_word(std::string_view list, char separator, std::string_view word) {
  const std::vector<std::string_view> words = split(list, separator);
  return std::find(words.begin(), words.end(), word) != words.end();
}

// In mountinfo, blanks and the like are written as a backslash and three octal digits.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr ==
            text.data() + i + 4) {
      plain += static_cast<char>(code);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Our place of a hierarchy that is mounted at `mount` and shows what is below `root` of it.
std::string place_at(const std::string& mount, const std::string& root, std::string_view own) {
  if (root == "/") return own == "/" ? mount : mount + std::string(own);
  if (own == root) return mount;
  if (own.size() > root.size() && own.starts_with(root) && own[root.size()] == '/')
    return mount + std::string(own.substr(root.size()));
  return {};
}

struct Membership {
  std::string_view controllers;  // empty: version 2
  std::string_view path;
};

// One line of /proc/self/cgroup: "4:memory:/a/b", "0::/a".
bool parse_membership(std::string_view line, Membership& member) {
  const std::size_t first = line.find(':');
  const std::size_t second = first == line.npos ? first : line.find(':', first + 1);
  if (second == line.npos) return false;
  member = {line.substr(first + 1, second - first - 1), line.substr(second + 1)};
  return member.path.starts_with('/');
}

bool is_delegated(const std::string& group) {
  struct stat status {};
  if (stat(group.c_str(), &status) != 0) return false;
  if (geteuid() != 0 && status.st_uid == geteuid()) return true;
  // What systemd writes at Delegate=yes.
  std::array<char, 2> mark{};
  for (const char* name : {"user.delegate", "trusted.delegate"})
    if (getxattr(group.c_str(), name, mark.data(), mark.size()) == 1 && mark[0] == '1') return true;
  return false;
}

bool has_controller(const std::string& group, std::string_view file, std::string_view controller) {
  std::string list = read_small_file(group + "/" + std::string(file));
  std::replace(list.begin(), list.end(), '\n', ' ');
  return has_word(list, ' ', controller);
}

int switch_on(const std::string& group, std::string_view controller) {
  return write_small_file(group + "/cgroup.subtree_control", "+" + std::string(controller));
}

void move_processes_in(const std::string& group) {
  const std::string inner = group + "/" + std::string(kInnerGroup);
  if (mkdir(inner.c_str(), 0755) != 0 && errno != EEXIST) return;
  for (int round = 0; round < kMoveRoundsMax; ++round) {
    const std::string processes = read_small_file(group + "/cgroup.procs");
    if (processes.empty()) return;
    for (const std::string_view pid : split(processes, '\n'))
      write_small_file(inner + "/cgroup.procs", pid);
  }
}

// Where the process may make groups of one hierarchy, if that is what this mount shows.
void note_place(const Membership& member, std::string_view type, std::string_view options,
                const std::string& mount, const std::string& root, CgroupPlaces& places) {
  if (type == "cgroup2" && member.controllers.empty() && places.unified.empty())
    places.unified = place_at(mount, root, member.path);
  if (type != "cgroup") return;
  for (const auto& [controller, place] :
       {std::pair{"memory", &places.memory}, std::pair{"freezer", &places.freezer}})
    if (place->empty() && has_word(member.controllers, ',', controller) &&
        has_word(options, ',', controller))
      *place = place_at(mount, root, member.path);
}

}  // namespace

CgroupPlaces find_places(std::string_view mountinfo, std::string_view memberships) {
  std::vector<Membership> members;
  for (const std::string_view line : split(memberships, '\n'))
    if (Membership member; parse_membership(line, member)) members.push_back(member);
  CgroupPlaces places;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::size_t dash = line.find(" - ");
    if (dash == line.npos) continue;
    const std::vector<std::string_view> head = split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> tail = split(line.substr(dash + 3), ' ');
    if (head.size() < 6 || tail.size() < 3) continue;
    const std::string root = unescape(head[3]);
    const std::string mount = unescape(head[4]);
    for (const Membership& member : members)
      note_place(member, tail[0], tail[2], mount, root, places);
  }
  return places;
}

CgroupPlaces own_places() {
  return find_places(read_small_file("/proc/self/mountinfo"), read_small_file("/proc/self/cgroup"));
}

std::string delegated_base(const std::string& place, std::string_view controller) {
  std::string base = place;
  // An earlier one of us has moved us here.
  const std::string inner = "/" + std::string(kInnerGroup);
  if (base.ends_with(inner)) base.resize(base.size() - inner.size());
  if (!has_controller(base, "cgroup.controllers", controller)) return {};
  if (has_controller(base, "cgroup.subtree_control", controller)) return base;
  if (switch_on(base, controller) == 0) return base;
  if (!is_delegated(base)) return {};
  move_processes_in(base);
  return switch_on(base, controller) == 0 ? base : std::string();
}

}  // namespace leat::warden
