// Where cgroups may be made, by what the kernel's lists say.

#include <gtest/gtest.h>

#include "node-agent/warden/cgroup_places.h"

namespace leat::warden {
namespace {

constexpr const char* kVersion1 =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

TEST(CgroupPlaces, AreOursInEveryHierarchyOfVersion1) {
  const CgroupPlaces places =
      find_places(kVersion1, "6:freezer:/\n4:memory:/a/b\n2:cpu,cpuacct:/\n0::/user/me\n");
  EXPECT_EQ(places, (CgroupPlaces{"/sys/fs/cgroup/unified/user/me", "/sys/fs/cgroup/memory/a/b",
                                  "/sys/fs/cgroup/freezer"}));
}

TEST(CgroupPlaces, AreOneInVersion2) {
  const CgroupPlaces places =
      find_places("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",
                  "0::/user.slice/user-7.slice/leat.scope\n");
  EXPECT_EQ(places, (CgroupPlaces{"/sys/fs/cgroup/user.slice/user-7.slice/leat.scope", "", ""}));
}

TEST(CgroupPlaces, FollowAMountThatShowsAPartOfTheTree) {
  const std::string mounts = "9 8 0:1 /docker/ab /cg rw - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(find_places(mounts, "0::/docker/ab/x\n").unified, "/cg/x");
  EXPECT_EQ(find_places(mounts, "0::/docker/ab\n").unified, "/cg");
  EXPECT_EQ(find_places(mounts, "0::/docker/abc\n").unified, "");  // a neighbour's
  EXPECT_EQ(find_places(mounts, "0::/\n").unified, "");
}

TEST(CgroupPlaces, ReadPathsWithBlanks) {
  EXPECT_EQ(find_places("9 8 0:1 / /my\\040groups rw - cgroup2 none rw\n", "0::/\n").unified,
            "/my groups");
}

TEST(CgroupPlaces, AreNoneWhereTheListsMakeNoSense) {
  for (const char* mounts : {"", "-", "1 2 3", "9 8 0:1 / /cg rw - cgroup2", " - cgroup2 a b"})
    for (const char* own : {"", "0", "0::", "0::x", ":::", "\n\n"})
      EXPECT_EQ(find_places(mounts, own), CgroupPlaces{}) << mounts << own;
  EXPECT_EQ(find_places(kVersion1, "4:cpu:/a\n"), CgroupPlaces{});
}

}  // namespace
}  // namespace leat::warden
