#include "node-agent/warden/cgroups.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <utility>

#include "base/check.h"
#include "node-agent/warden/small_file.h"

namespace leat::warden {

namespace {

constexpr std::string_view kPrefix = "leat-";
// Ending what is left in a group: 200 looks, 5 ms apart.
constexpr int kClearRoundsMax = 200;
constexpr unsigned kClearPauseUs = 5'000;
constexpr int kLockAttemptsMax = 20;
// Other wardens' groups that are looked at; what is beyond is left to the next start.
constexpr std::size_t kStrangersMax = 1024;

// The same things under the names of the two versions.
struct MemoryFiles {
  const char* limit;
  const char* usage;
  const char* peak;
  const char* events;  // has a line "oom_kill N"
  std::string_view reset_peak;
};
constexpr MemoryFiles kVersion1{"/memory.limit_in_bytes", "/memory.usage_in_bytes",
                                "/memory.max_usage_in_bytes", "/memory.oom_control", "0"};
constexpr MemoryFiles kVersion2{"/memory.max", "/memory.current", "/memory.peak", "/memory.events",
                                "reset"};

const MemoryFiles& files_of(Enforcement enforcement) {
  return enforcement == Enforcement::kUnified ? kVersion2 : kVersion1;
}

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string slot_name(std::uint16_t slot) {
  return "slot-" + std::to_string(slot);
}

// The token is a mark that tasks carry, not a secret; but it needs not stand in a path.
std::string name_of(std::string_view node_token) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : node_token) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::array<char, 16> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), hash, 16);
  LEAT_CHECK(error == std::errc{});
  return std::string(kPrefix) + std::string(digits.data(), end);
}

Fd open_directory(const std::string& path, int at = AT_FDCWD) {
  return Fd(openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

std::vector<std::string> groups_below(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  closedir(directory);
  return names;
}

std::set<int> pids_in(std::string_view text) {
  std::set<int> pids;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (const std::uint64_t pid = number_in(text.substr(0, end)); pid != 0)
      pids.insert(static_cast<int>(pid));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return pids;
}

// Directories are removed there: nothing that only looks like groups may be taken for them.
bool is_of_groups(const std::string& place) {
  struct statfs status {};
  return statfs(place.c_str(), &status) == 0 &&
         (status.f_type == CGROUP2_SUPER_MAGIC || status.f_type == CGROUP_SUPER_MAGIC);
}

// A group whose lock is free belongs to nobody: its warden is dead.
void remove_if_dead(const std::string& path) {
  const Fd group = open_directory(path);
  if (!group || flock(group.get(), LOCK_EX | LOCK_NB) != 0) return;
  std::string inner = path + "/";
  for (const std::string& name : groups_below(path)) {
    rmdir(inner.append(name).c_str());
    inner.resize(path.size() + 1);
  }
  rmdir(path.c_str());
}

}  // namespace

Cgroups::Cgroups(const CgroupPlaces& places, std::string_view node_token)
    : name_(name_of(node_token)) {
  const std::string base =
      places.unified.empty() ? std::string() : delegated_base(places.unified, "memory");
  if (!base.empty() && open_tree(kUnifiedTree, base) &&
      write_small_file("cgroup.subtree_control", "+memory", trees_[kUnifiedTree].get()) == 0) {
    enforcement_ = Enforcement::kUnified;
    if (probe()) return;
  }
  close_trees();
  if (!places.memory.empty() && open_tree(kMemoryTree, places.memory)) {
    enforcement_ = Enforcement::kHybrid;
    if (!places.unified.empty()) open_tree(kUnifiedTree, places.unified);
    // Version 2 without cgroup.kill (before Linux 5.14) is no better than nothing.
    if (!trees_[kUnifiedTree] && !places.freezer.empty()) open_tree(kFreezerTree, places.freezer);
    if (probe()) return;
  }
  close_trees();
}

Cgroups::~Cgroups() {
  close_trees();
}

int Cgroups::memory_fd() const {
  return trees_[enforcement_ == Enforcement::kUnified ? kUnifiedTree : kMemoryTree].get();
}

bool Cgroups::open_tree(Hierarchy tree, const std::string& place) {
  if (!is_of_groups(place)) return false;
  std::size_t strangers = 0;
  for (const std::string& name : groups_below(place)) {
    if (!name.starts_with(kPrefix) || name == name_ || name == kInnerGroup) continue;
    if (++strangers > kStrangersMax) break;
    std::string stranger = place;
    remove_if_dead(stranger.append("/").append(name));
  }
  const std::string path = place + "/" + name_;
  // Until we hold the lock, another warden may take our group for a dead one's and remove it.
  for (int attempt = 0; attempt < kLockAttemptsMax; ++attempt) {
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return false;
    Fd group = open_directory(path);
    if (!group || flock(group.get(), LOCK_EX | LOCK_NB) != 0) continue;
    struct stat held {};
    struct stat there {};
    if (fstat(group.get(), &held) != 0 || stat(path.c_str(), &there) != 0) continue;
    if (held.st_ino != there.st_ino) continue;
    bases_[tree] = path;
    trees_[tree] = std::move(group);
    return true;
  }
  return false;
}

// Makes a group as a run would have it, so that what does not work is known before a run needs it.
bool Cgroups::probe() {
  clear_left_overs();
  Group group;
  const std::string name = "probe";
  remove(name);
  const bool works = make(name, group) && set_limit(name, std::uint64_t{1} << 30) == 0;
  remove(name);
  return works;
}

void Cgroups::clear_left_overs() {
  std::set<std::string> names;
  for (const std::string& base : bases_)
    if (!base.empty())
      for (std::string& name : groups_below(base)) names.insert(std::move(name));
  for (const std::string& name : names) {
    for (int round = 0; round < kClearRoundsMax && !is_empty(name); ++round) {
      kill_all(name);
      usleep(kClearPauseUs);
    }
    remove(name);
  }
}

void Cgroups::close_trees() {
  for (std::size_t slot = 0; slot < groups_.size(); ++slot)
    if (groups_[slot].made) remove(slot_name(static_cast<std::uint16_t>(slot)));
  groups_.clear();
  for (const Hierarchy tree : {kUnifiedTree, kMemoryTree, kFreezerTree}) close_tree(tree);
  enforcement_ = Enforcement::kPlain;
}

void Cgroups::close_tree(Hierarchy tree) {
  if (trees_[tree]) rmdir(bases_[tree].c_str());
  trees_[tree].reset();
  bases_[tree].clear();
}

bool Cgroups::make(const std::string& name, Group& group) {
  for (const Fd& tree : trees_)
    if (tree && mkdirat(tree.get(), name.c_str(), 0755) != 0 && errno != EEXIST) return false;
  const MemoryFiles& files = files_of(enforcement_);
  const std::string peak = name + files.peak;
  group = {};
  group.made = true;
  // Not writable, or not there at all: then its value is of the group's whole life.
  group.peak = Fd(openat(memory_fd(), peak.c_str(), O_RDWR | O_CLOEXEC));
  if (!group.peak) group.peak = Fd(openat(memory_fd(), peak.c_str(), O_RDONLY | O_CLOEXEC));
  return faccessat(memory_fd(), (name + files.limit).c_str(), W_OK, AT_EACCESS) == 0;
}

void Cgroups::remove(const std::string& name) const {
  for (const Fd& tree : trees_)
    if (tree) unlinkat(tree.get(), name.c_str(), AT_REMOVEDIR);
}

// False if the group has to be made anew to serve another run.
bool Cgroups::reset(const std::string& name, Group& group) {
  const MemoryFiles& files = files_of(enforcement_);
  const std::uint64_t left = number_in(read_small_file(name + files.usage, memory_fd()));
  if (left > kLeftOverBytesMax || !group.peak) return false;
  const std::string_view text = files.reset_peak;
  return write(group.peak.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

int Cgroups::set_limit(const std::string& name, std::uint64_t limit_bytes) const {
  const std::string limit = std::to_string(limit_bytes);
  const int fd = memory_fd();
  if (enforcement_ == Enforcement::kUnified) {
    // A program that goes to swap instead is no better off, and half a program is none.
    write_small_file(name + "/memory.swap.max", "0", fd);
    write_small_file(name + "/memory.oom.group", "1", fd);
    return write_small_file(name + kVersion2.limit, limit, fd);
  }
  // With swap it must never be the smaller one; there may be no accounting of swap at all.
  write_small_file(name + "/memory.memsw.limit_in_bytes", "-1", fd);
  const int error = write_small_file(name + kVersion1.limit, limit, fd);
  if (error == 0) write_small_file(name + "/memory.memsw.limit_in_bytes", limit, fd);
  return error;
}

std::uint64_t Cgroups::oom_kills(const std::string& name) const {
  constexpr std::string_view kKey = "oom_kill ";
  const std::string text = read_small_file(name + files_of(enforcement_).events, memory_fd());
  for (std::size_t at = text.find(kKey); at != text.npos; at = text.find(kKey, at + 1))
    if (at == 0 || text[at - 1] == '\n')
      return number_in(std::string_view(text).substr(at + kKey.size()));
  return 0;
}

int Cgroups::prepare(std::uint16_t slot, std::uint64_t limit_bytes, GroupDoors& doors) {
  LEAT_CHECK(enforcement_ != Enforcement::kPlain);
  if (slot >= groups_.size()) groups_.resize(slot + std::size_t{1});
  Group& group = groups_[slot];
  const std::string name = slot_name(slot);
  if (!group.made || !reset(name, group)) {
    if (group.made) remove(name);
    if (!make(name, group)) return errno == 0 ? EIO : errno;
  }
  if (group.limit_bytes != limit_bytes) {
    if (const int error = set_limit(name, limit_bytes); error != 0) return error;
    group.limit_bytes = limit_bytes;
  }
  group.oom_kills = oom_kills(name);
  if (trees_[kUnifiedTree]) {
    doors.unified = open_directory(name, trees_[kUnifiedTree].get());
    if (!doors.unified) return errno;
  }
  for (const Hierarchy tree : {kMemoryTree, kFreezerTree}) {
    if (!trees_[tree]) continue;
    Fd& door = doors.procs[tree == kMemoryTree ? 0 : 1];
    door = Fd(openat(trees_[tree].get(), (name + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    if (!door) return errno;
  }
  return 0;
}

GroupUse Cgroups::use(std::uint16_t slot) {
  LEAT_CHECK(slot < groups_.size() && groups_[slot].made);
  const Group& group = groups_[slot];
  GroupUse use;
  std::array<char, 32> text{};
  const ssize_t got = group.peak ? pread(group.peak.get(), text.data(), text.size(), 0) : 0;
  if (got > 0) use.peak_bytes = number_in({text.data(), static_cast<std::size_t>(got)});
  use.out_of_memory = oom_kills(slot_name(slot)) > group.oom_kills;
  return use;
}

std::string Cgroups::processes_in(const std::string& name) const {
  const Fd& tree = trees_[enforcement_ == Enforcement::kUnified ? kUnifiedTree : kMemoryTree];
  return read_small_file(name + "/cgroup.procs", tree.get());
}

bool Cgroups::is_empty(const std::string& name) const {
  // The file of version 1 also names what a task has moved out of version 2, and the reverse.
  if (trees_[kUnifiedTree]) {
    const std::string events = read_small_file(name + "/cgroup.events", trees_[kUnifiedTree].get());
    if (events.find("populated 1") != events.npos) return false;
  }
  return processes_in(name).empty();
}

void Cgroups::kill_all(const std::string& name) const {
  const Fd& unified = trees_[kUnifiedTree];
  if (unified && write_small_file(name + "/cgroup.kill", "1", unified.get()) == 0 &&
      processes_in(name).empty())
    return;
  const std::string state = name + "/freezer.state";
  // A frozen process cannot beget others; the signal takes effect when it thaws.
  const Fd& freezer = trees_[kFreezerTree];
  if (freezer) write_small_file(state, "FROZEN", freezer.get());
  std::vector<std::pair<int, Fd>> held;
  for (const int pid : pids_in(processes_in(name)))
    held.emplace_back(pid, Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))));
  // A pid may have become another's: what counts is that it is in the group while we hold it.
  const std::set<int> still = pids_in(processes_in(name));
  for (const auto& [pid, pidfd] : held)
    if (still.contains(pid)) syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  if (freezer) write_small_file(state, "THAWED", freezer.get());
}

bool Cgroups::is_empty(std::uint16_t slot) const {
  return is_empty(slot_name(slot));
}

void Cgroups::kill_all(std::uint16_t slot) const {
  kill_all(slot_name(slot));
}

}  // namespace leat::warden
