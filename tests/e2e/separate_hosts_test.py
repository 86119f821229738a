"""separate_hosts_test.py - nodes that cannot see each other's files, nor the head's: what a reduce
needs travels from agent to agent, and no byte of it passes the head."""

import os
import shutil
import unittest

from support import PROGRAMS, Cluster, ClusterTest, main

# Stands where leat-agent stands. Gives the agent a mount namespace in which the home holds nothing
# but this node's own directory, and then becomes the agent: same process, same arguments.
WRAPPER = """#!/bin/sh
set -e
[ "$1" = --dir ]
if [ -z "$LEAT_TEST_ALONE" ]; then
  user=
  [ "$(id -u)" = 0 ] || user="--user --map-root-user"
  LEAT_TEST_ALONE=1 exec unshare $user --mount --propagation private "$0" "$@"
fi
unset LEAT_TEST_ALONE
home=$(dirname "$(dirname "$2")")
mount -t tmpfs -o mode=0700 none /mnt
mkdir /mnt/own
mount --bind "$2" /mnt/own
mount -t tmpfs -o mode=0700 none "$home"
mkdir -p "$2"
chmod 0700 "$home/nodes" "$2"
mount --bind /mnt/own "$2"
umount /mnt/own
umount /mnt
exec {agent} "$@"
"""


class SeparateHostsTest(ClusterTest):
    nodes = 3

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(PROGRAMS, cls.nodes)
        cls.addClassCleanup(cls.cluster.close)
        alone = cls.cluster.folder / "bin"
        shutil.copytree(cls.cluster.programs, alone, symlinks=False)
        agent = alone / "leat-agent.real"
        (alone / "leat-agent").rename(agent)
        (alone / "leat-agent").write_text(WRAPPER.replace("{agent}", str(agent)))
        (alone / "leat-agent").chmod(0o755)
        cls.cluster.programs = alone
        cls.cluster.up()

    def test_every_node_sees_only_itself(self):
        # The positive control: were the wrapper not at work, this would show every node.
        job = self.shell_job(f'echo "$LEAT_NODE"; ls "{self.cluster.home}" '
                             f'"{self.cluster.home}/nodes"', "--array", "1-12")
        self.cluster.wait(job)
        for index in range(1, 13):
            text = self.log(f"{job}.{index}").decode()
            self.assertEqual(text.count("nodes"), 2, text)
            self.assertEqual(len(text.split("nodes:\n")[1].split()), 1, text)
        self.assertGreater(len(os.listdir(self.cluster.home / "nodes")), 1)

    def test_no_output_byte_passes_the_head(self):
        tasks, size = 60, 200_000
        before = self.cluster.status()
        job = self.shell_job(f'head -c {size} /dev/zero | tr "\\0" "$(printf x)"; echo', "--array",
                             f"1-{tasks}", "--reduce", "/bin/cat", "--reduce-width", "4")
        self.cluster.wait(job)
        expected = (b"x" * size + b"\n") * tasks
        self.assertEqual(self.cluster.result(job), expected)
        after = self.cluster.status()
        passed = sum(after[name] - before[name] for name in ("agent_bytes_in", "agent_bytes_out"))
        self.assertGreater(passed, 0)  # the counters count
        self.assertLess(passed, len(expected) // 20)

    def test_lines_reach_nodes_that_share_no_files_with_the_head(self):
        text = b"".join(b"%d\n" % n for n in range(5000))
        job = self.cluster.submit("--each-line", "-", "--chunk", 50, "--reduce", "/bin/cat",
                                  "--reduce-width", 5, "--", "/bin/cat", stdin=text)
        self.cluster.wait(job)
        self.assertEqual(self.cluster.result(job), text)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
