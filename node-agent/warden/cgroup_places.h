#pragma once

// cgroup_places.h - where in the cgroup file systems this process may make groups of its own.

#include <string>
#include <string_view>

namespace leat::warden {

// Directories, each the place of one process in one hierarchy. Empty: there is no such hierarchy,
// or it shows us a part of the tree in which we are not.
struct CgroupPlaces {
  std::string unified;  // version 2
  std::string memory;   // the controllers of version 1
  std::string freezer;

  friend bool operator==(const CgroupPlaces&, const CgroupPlaces&) = default;
};

// From the texts of /proc/self/mountinfo and /proc/self/cgroup. What is not understood is skipped.
CgroupPlaces find_places(std::string_view mountinfo, std::string_view memberships);

// The same of this very process.
CgroupPlaces own_places();

// The group, at or above `place` in version 2, below which groups may be made that have
// `controller`; empty if nobody has given us such a one. Version 2 wants a group to have either
// processes or groups with controllers: so in a group that was delegated to us, and in no other,
// the processes are moved into a group of their own, kInnerGroup, first. Repeating it is harmless.
std::string delegated_base(const std::string& place, std::string_view controller);

inline constexpr std::string_view kInnerGroup = "leat-daemons";

}  // namespace leat::warden
