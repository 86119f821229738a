#pragma once

// cgroups.h - a group for each slot whose runs have a memory limit, where the machine lets us.
//
// A slot's group is made at its first such run and used again by the next: moving a process costs
// less than making a group. Runs without a limit are in no group of ours.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "node-agent/warden/cgroup_places.h"
#include "node-agent/warden/fd.h"
#include "node-agent/warden/records.h"

namespace leat::warden {

// What a new process needs to be in the groups of its slot from its first instruction.
struct GroupDoors {
  Fd unified;               // a directory for CLONE_INTO_CGROUP; none: not in version 2
  std::array<Fd, 2> procs;  // files that the process itself writes "0" to
};

// What became of the last run of a slot's group.
struct GroupUse {
  std::uint64_t peak_bytes = 0;  // page cache counts; 0: not known
  bool out_of_memory = false;    // the kernel has killed something in it for its limit
};

// Owns: a group named after the node in each hierarchy it uses, locked against others, and what is
// below. Thread: one. The constructor really makes and removes a group to see what works, ends what
// an earlier warden of this node has left in its groups, and removes groups whose warden is dead.
class Cgroups {
 public:
  Cgroups(const CgroupPlaces& places, std::string_view node_token);
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;
  // Removes what it made, but for groups in which something still lives.
  ~Cgroups();

  Enforcement enforcement() const { return enforcement_; }

  // Makes the slot's group ready for a run with this limit. 0, or errno: then the run must not
  // start. Precondition: not kPlain; nothing lives in the slot's group.
  int prepare(std::uint16_t slot, std::uint64_t limit_bytes, GroupDoors& doors);

  // Precondition for these: prepare() has succeeded for the slot.
  GroupUse use(std::uint16_t slot);
  bool is_empty(std::uint16_t slot) const;
  // SIGKILL to everything that is in the group now. What is born meanwhile, without version 2 and
  // without a freezer, needs another round.
  void kill_all(std::uint16_t slot) const;

 private:
  enum Hierarchy : std::size_t { kUnifiedTree, kMemoryTree, kFreezerTree };
  static constexpr std::size_t kTrees = 3;
  // More left in a reused group than this would blur the next run's peak.
  static constexpr std::uint64_t kLeftOverBytesMax = 1u << 20;

  struct Group {
    bool made = false;
    std::uint64_t limit_bytes = 0;
    std::uint64_t oom_kills = 0;  // that were before the run
    Fd peak;                      // version 2 resets it for this descriptor alone
  };

  bool open_tree(Hierarchy tree, const std::string& place);
  bool make(const std::string& name, Group& group);
  void remove(const std::string& name) const;
  bool reset(const std::string& name, Group& group);
  int set_limit(const std::string& name, std::uint64_t limit_bytes) const;
  std::uint64_t oom_kills(const std::string& name) const;
  bool probe();
  void close_trees();
  void close_tree(Hierarchy tree);
  int memory_fd() const;
  std::string processes_in(const std::string& name) const;
  bool is_empty(const std::string& name) const;
  void kill_all(const std::string& name) const;
  void clear_left_overs();

  std::string name_;
  Enforcement enforcement_ = Enforcement::kPlain;
  std::array<std::string, kTrees> bases_;  // empty: not used
  std::array<Fd, kTrees> trees_;
  std::vector<Group> groups_;  // by slot
};

}  // namespace leat::warden
