"""pool_life_test.py - pools and nodes in a person's hands: resize, drain, delete. No task is cut
short that was not meant to be."""

import unittest

from support import PROGRAMS, Cluster, ClusterTest, main

POOL = """name = "small"
provider = "local"
nodes = 2
cores = 1
memory = "64M"
"""
# Says where it is, waits until the test opens its own gate, and says that it has come through.
TASK = ('echo "$LEAT_TASK_INDEX $LEAT_NODE" > started; read _ < "gate.$LEAT_TASK_INDEX"; '
        'echo "$LEAT_TASK_INDEX" >> ran')


class PoolLifeTest(ClusterTest):
    def setUp(self):
        self.cluster = Cluster(PROGRAMS)
        self.addCleanup(self.cluster.close)
        self.cluster.pool = self.cluster.folder / "small.toml"
        self.cluster.pool.write_text(POOL)
        self.cluster.up()
        super().setUp()
        self.started = self.pipe("started")
        self.gates = {}

    @classmethod
    def setUpClass(cls):
        pass  # every test has a cluster of its own

    def blocked(self, tasks: int, *args) -> tuple[int, dict[str, str]]:
        """A job of tasks that wait; returns when `tasks` of them run: index -> node."""
        for n in range(1, tasks + 1):
            self.gates[n] = self.pipe(f"gate.{n}")
        job = self.shell_job(TASK, "--array", f"1-{tasks}", *args)
        return job, dict(line.split() for line in self.started.lines(tasks))

    def states(self) -> dict[str, str]:
        return {str(n["id"]): n["state"] for n in self.cluster.json("node", "list")["nodes"]}

    def pool(self, name: str = "small") -> dict:
        return self.cluster.json("pool", "show", name)

    def refused(self, code: int, *args) -> str:
        done = self.cluster.run(*args)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.decode().splitlines()), 1, done.stderr)
        return done.stderr.decode()

    def test_resize_takes_no_task_away(self):
        self.cluster.leat("pool", "resize", "small", 3)
        job, where = self.blocked(3)
        self.assertEqual(len(set(where.values())), 3)
        line = self.refused(4, "pool", "resize", "small", 1)
        self.assertIn("--wait", line)
        self.assertEqual(self.pool()["max"], 3)
        self.assertEqual(set(self.states().values()), {"up"})
        self.cluster.leat("pool", "resize", "small", 1, "--wait")
        self.assertEqual(sorted(self.states().values()), ["closing", "closing", "up"])
        for gate in self.gates.values():
            gate.release()
        self.cluster.wait(job)
        self.assertEqual(sorted(self.evidence()), ["1", "2", "3"])
        self.cluster.until(lambda: list(self.states().values()) == ["up"], "one node is left")
        self.assertEqual(self.cluster.job(job)["lost"], 0)

    def test_a_drained_node_completes_what_it_has_and_takes_no_more(self):
        job, where = self.blocked(2)
        self.cluster.leat("node", "drain", where["1"])
        self.assertEqual(self.states()[where["1"]], "draining")
        self.gates[2].release()
        more = self.shell_job('echo "$LEAT_NODE" >> more', "--array", "1-4")
        self.cluster.wait(more)
        self.assertNotIn(where["1"], self.evidence("more"))
        self.gates[1].release()
        self.cluster.wait(job)
        self.assertEqual(sorted(self.evidence()), ["1", "2"])
        self.assertEqual(self.cluster.job(job)["lost"], 0)
        self.assertEqual(self.states()[where["1"]], "drained")
        self.cluster.leat("node", "resume", where["1"])
        self.assertEqual(self.states()[where["1"]], "up")
        self.refused(2, "node", "drain", 4711)
        self.refused(2, "node", "resume", 4711)
        self.refused(2, "node", "remove", 4711)

    def test_a_drain_with_a_deadline_moves_what_is_left(self):
        job, where = self.blocked(1, "--retries", "0")
        self.cluster.leat("node", "drain", where["1"], "--deadline", "0s")
        again = dict(line.split() for line in self.started.lines(1))
        self.assertNotEqual(again["1"], where["1"])
        self.gates[1].release()
        self.cluster.wait(job)
        self.assertEqual(self.evidence(), ["1"])
        self.assertEqual(self.cluster.job(job)["retried"], 0)

    def test_a_pool_with_work_is_deleted_only_as_it_is_told(self):
        self.cluster.leat("pool", "create", "--name", "extra", "--nodes", 1, "--cores", 1,
                          "--memory", "64M")
        self.cluster.until(lambda: self.pool("extra")["nodes_up"] == 1, "the second pool is up")
        job, where = self.blocked(3)
        of_pool = {str(n["id"]): n["pool"] for n in self.cluster.json("node", "list")["nodes"]}
        there = next(index for index, node in where.items() if of_pool[node] == "extra")
        line = self.refused(4, "pool", "delete", "extra")
        self.assertIn("--requeue", line)
        self.assertEqual(self.pool("extra")["state"], "open")
        self.cluster.leat("pool", "delete", "extra", "--requeue")
        for index, gate in self.gates.items():
            if str(index) != there:
                gate.release()
        self.assertEqual([line.split()[0] for line in self.started.lines(1)], [there])
        self.gates[int(there)].release()
        self.cluster.wait(job)
        self.assertEqual(sorted(self.evidence()), ["1", "2", "3"])
        self.assertEqual(self.cluster.job(job)["retried"], 0)
        self.cluster.until(lambda: [p["name"] for p in self.cluster.json("pool", "list")["pools"]]
                           == ["small"], "the deleted pool has gone")
        self.refused(2, "pool", "delete", "extra")

    def test_a_key_makes_a_wish_once(self):
        self.cluster.leat("pool", "resize", "small", 3, "--key", "grow")
        self.cluster.until(lambda: self.pool()["nodes_up"] == 3, "three nodes")
        job, where = self.blocked(3)
        for gate in self.gates.values():
            gate.release()
        self.cluster.wait(job)
        self.cluster.leat("node", "remove", where["1"], "--key", "one")
        self.cluster.until(lambda: where["1"] not in self.states(), "the node is gone")
        self.cluster.until(lambda: self.pool()["nodes_up"] == 3, "another took its place")
        self.assertEqual(self.cluster.json("pool", "plan", "--name", "big", "--max", 4, "--cores",
                                           2, "--memory", "64M")["wanted"], 0)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
