"""elastic_pool_test.py - a pool grows from nothing when work waits, and goes when it is idle."""

import json
import os
import signal
import unittest

from support import PROGRAMS, Cluster, ClusterTest, main

POOL = """name = "burst"
provider = "local"
min = 0
max = 3
idle_timeout = "500ms"
cores = 1
memory = "64M"
"""


class ElasticPoolTest(ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(PROGRAMS)
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.pool = cls.cluster.folder / "burst.toml"
        cls.cluster.pool.write_text(POOL)
        cls.cluster.up()

    def pool(self) -> dict:
        return self.cluster.json("pool", "show", "burst")

    def agents(self) -> list[int]:
        """The agents of this cluster that are alive, told by nobody but the system."""
        return [pid for pid in self.cluster.processes() if b"leat-agent" in command_of(pid)]

    def wait_until_empty(self) -> None:
        self.cluster.until(lambda: not self.cluster.json("node", "list")["nodes"], "no node left")
        self.cluster.until(lambda: not self.agents(), "no agent left")

    def test_it_grows_from_zero_and_goes_away_again(self):
        self.wait_until_empty()
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job('echo "$LEAT_NODE" > started; read _ < gate; '
                             'echo "$LEAT_TASK_INDEX" >> ran', "--array", "1-6")
        nodes = started.lines(3)
        self.assertEqual(len(set(nodes)), 3)  # three at once, one core each
        shown = self.pool()
        self.assertEqual((shown["min"], shown["max"], shown["nodes_up"]), (0, 3, 3))
        self.assertEqual(len(self.agents()), 3)
        plan = self.cluster.json("pool", "plan", self.cluster.pool)
        self.assertEqual((plan["have"], plan["wanted"]), (3, 3))
        gate.release(6)
        self.cluster.wait(job)
        self.assertEqual(sorted(self.evidence()), [str(n) for n in range(1, 7)])
        self.wait_until_empty()
        self.assertEqual(self.pool()["state"], "open")

    def test_a_head_killed_while_it_grows_leaks_and_doubles_nothing(self):
        self.wait_until_empty()
        job = self.shell_job('echo "$LEAT_TASK_INDEX" >> ran', "--array", "1-50")
        for _ in range(3):
            os.kill(self.cluster.pid("leat-scheduler"), signal.SIGKILL)
            self.cluster.up()
        self.cluster.wait(job)
        self.assertEqual(sorted(map(int, self.evidence())), list(range(1, 51)))
        self.assert_counts(job, succeeded=50)
        self.assertLessEqual(len(self.agents()), 3)
        self.wait_until_empty()

    def test_a_job_can_bring_its_own_pool(self):
        own = self.folder / "own.toml"
        own.write_text(POOL.replace("burst", "mine").replace("max = 3", "max = 2"))
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job('echo "$LEAT_POOL" > started; read _ < gate', "--array", "1-2",
                             "--pool-file", own)
        self.assertEqual(started.lines(2), [f"mine-{job}"] * 2)
        pools = {pool["name"]: pool for pool in self.cluster.json("pool", "list")["pools"]}
        self.assertEqual(pools[f"mine-{job}"]["job"], job)
        refused = self.cluster.run("submit", "--pool", f"mine-{job}", "--", "/bin/true")
        self.assertEqual(refused.returncode, 4, refused.stderr)
        gate.release(2)
        self.cluster.wait(job)
        self.cluster.until(lambda: [p["name"] for p in self.cluster.json("pool", "list")["pools"]]
                           == ["burst"], "the job's pool has gone with it")


def command_of(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
