"""resources_test.py - what nodes have is given once, and memory limits are kept where possible."""

import collections
import pathlib
import tempfile

from support import PROGRAMS, Cluster, ClusterTest, main

WHOLE = """
name = "whole"
provider = "local"
nodes = 2
cores = 4
memory = "2G"
gpus = 2
labels = ["fast", "rack=7"]

[counters]
licence = 2
"""

BARE = """
name = "bare"
provider = "local"
nodes = 2
cores = 8
memory = "2G"
tasks_per_node = 2
memory_limits = "off"
"""

# A task that asks for more than its limit, whatever the limit.
GREEDY = ["/usr/bin/python3", "-c", "bytearray(300 << 20); print('it fitted')"]
# Tells when it starts and ends at which node, in lines that cannot mix.
DIARY = 'echo "+ $LEAT_NODE {0}" >> ran; sleep 0.0$((LEAT_TASK_INDEX % 5)); ' \
        'echo "- $LEAT_NODE {0}" >> ran'


class PoolTest(ClusterTest):
    definition: str

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="leat-pool-")
        cls.addClassCleanup(folder.cleanup)
        file = pathlib.Path(folder.name) / "pool.toml"
        file.write_text(cls.definition)
        cls.cluster = Cluster(PROGRAMS, cls.nodes, pool=file)
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.up()
        labels = cls.cluster.json("node", "list")["nodes"][0]["labels"]
        cls.backend = next(label for label in labels if label.startswith("leat:cgroup="))
        print(f"{cls.__name__}: memory limits are kept by {cls.backend.partition('=')[2]}")

    def crowds(self) -> dict[str, list[collections.Counter]]:
        """Per node, who ran there at once, after each line of the diary."""
        now: dict[str, collections.Counter] = {}
        seen: dict[str, list[collections.Counter]] = {}
        for line in self.evidence():
            what, node, who = line.split()
            now.setdefault(node, collections.Counter())[who] += 1 if what == "+" else -1
            seen.setdefault(node, []).append(+now[node])
        return seen

    def causes(self, job: int) -> dict[str, str]:
        return {cause["reason"]: cause["message"]
                for cause in self.cluster.json("why", job)["causes"]}


class WholeTest(PoolTest):
    definition = WHOLE

    def test_nodes_show_what_they_have(self):
        for node in self.cluster.json("node", "list")["nodes"]:
            self.assertEqual(node["capacity"]["gpus"], 2)
            self.assertEqual(node["capacity"]["counters"], {"licence": 2})
            self.assertLess({"fast", "rack=7"}, set(node["labels"]))

    def test_a_gpu_belongs_to_one_task_at_a_time(self):
        script = ('[ "$LEAT_GPUS" = "$CUDA_VISIBLE_DEVICES" ] || echo differ >> clash; '
                  'mkdir "gpu$LEAT_GPUS" || echo "$LEAT_GPUS" >> clash; '
                  'echo "$LEAT_NODE $LEAT_GPUS" >> ran; rmdir "gpu$LEAT_GPUS"')
        job = self.shell_job(script, "--array", "1-40", "--gpus", "1")
        self.cluster.wait(job)
        self.assertEqual(self.evidence("clash"), [])
        devices = {line.split()[1] for line in self.evidence()}
        # Local nodes share a machine: each has devices of its own.
        self.assertLessEqual(devices, {"0", "1", "2", "3"})
        self.assertEqual(len(self.evidence()), 40)

    def test_a_task_without_gpus_sees_none_and_a_wide_one_sees_two(self):
        none = self.shell_job('echo "[$CUDA_VISIBLE_DEVICES]"')
        both = self.shell_job('echo "[$LEAT_GPUS]"', "--gpus", "2")
        self.cluster.wait(none)
        self.cluster.wait(both)
        self.assertEqual(self.log(f"{none}.0"), b"[]\n")
        self.assertIn(self.log(f"{both}.0"), (b"[0,1]\n", b"[2,3]\n"))

    def test_a_counter_is_never_given_twice(self):
        job = self.shell_job(DIARY.format("licence"), "--array", "1-40", "--resource", "licence=1")
        self.cluster.wait(job)
        crowds = self.crowds()
        self.assertTrue(crowds)
        for node, moments in crowds.items():
            self.assertLessEqual(max(sum(crowd.values()) for crowd in moments), 2, node)

    def test_an_exclusive_task_is_alone(self):
        others = self.shell_job(DIARY.format("other"), "--array", "1-60")
        alone = self.shell_job(DIARY.format("alone"), "--array", "1-6", "--exclusive",
                               "--priority", "5")
        self.cluster.wait(others)
        self.cluster.wait(alone)
        met = [crowd for moments in self.crowds().values() for crowd in moments if crowd["alone"]]
        self.assertGreaterEqual(len(met), 6)
        for crowd in met:
            self.assertEqual(crowd, {"alone": 1})

    def test_a_job_waits_for_a_label_that_nobody_has_and_says_so(self):
        here = self.shell_job("true", "--requires", "fast,rack=7,!slow")
        self.cluster.wait(here)
        job = self.shell_job("true", "--requires", "slow")
        self.assertIn("slow", self.causes(job)["labels"])
        refused = self.cluster.run("submit", "--requires", "!fast", "--", "true")
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.assertEqual(len(refused.stderr.decode().splitlines()), 1)
        self.cluster.leat("cancel", job)

    def test_what_no_node_has_is_refused(self):
        for options in (["--gpus", "3"], ["--resource", "licence=3"], ["--resource", "other=1"]):
            refused = self.cluster.run("submit", *options, "--", "true")
            self.assertEqual(refused.returncode, 4, refused.stderr)
            self.assertIn(b"the largest node", refused.stderr)

    def test_a_task_over_its_memory_ends_so_and_its_neighbour_lives(self):
        gate, started = self.pipe("gate"), self.pipe("started")
        neighbour = self.shell_job("echo x > started; read _ < gate", "--memory", "64M")
        started.lines(1)
        enforced = self.submit("--memory", "100M", "--memory-enforce", "--", *GREEDY)
        if self.backend == "leat:cgroup=plain":
            self.assertIn("labels", self.causes(enforced))
            self.cluster.leat("cancel", enforced)
        else:
            shown = self.cluster.wait(enforced, code=1)
            self.assertEqual(shown["state"], "failed")
            self.assertEqual(shown["failures"][0]["outcome"], "out_of_memory")
            self.assertIn("out of memory", self.cluster.leat("job", "show", enforced))
        self.assert_counts(neighbour, running=1)
        gate.release()
        self.cluster.wait(neighbour)


class BareTest(PoolTest):
    definition = BARE

    def test_without_cgroups_a_limit_is_a_wish_and_enforcing_it_is_refused(self):
        self.assertEqual(self.backend, "leat:cgroup=plain")
        job = self.submit("--memory", "100M", "--", *GREEDY)
        self.cluster.wait(job)
        self.assertEqual(self.log(f"{job}.0"), b"it fitted\n")
        refused = self.cluster.run("submit", "--memory", "100M", "--memory-enforce", "--", "true")
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.assertIn(b"memory_limits", refused.stderr)
        self.assertEqual(len(refused.stderr.decode().splitlines()), 1)

    def test_a_node_never_has_more_tasks_than_its_pool_allows(self):
        gate, started = self.pipe("gate"), self.pipe("started")
        job = self.shell_job("echo x > started; read _ < gate", "--array", "1-9", "--spread")
        started.lines(4)
        self.assertIn("tasks_per_node", self.causes(job)["cap"])
        self.assertEqual([node["running"] for node in self.cluster.json("node", "list")["nodes"]],
                         [2, 2])
        gate.release(9)
        self.cluster.wait(job)


if __name__ == "__main__":
    main()
