"""reduce_tree_test.py - one exact result from many outputs, flat and as a tree, with nodes lost
while their outputs are needed."""

from support import ClusterTest, main


class ReduceTreeTest(ClusterTest):
    nodes = 3

    def add_up(self, script: str, array: str, *args) -> int:
        return self.shell_job(script, "--array", array, "--reduce", "/usr/bin/awk", "--reduce-arg",
                              "{ n += $1 } END { printf \"%d\\n\", n }", *args)

    def test_a_flat_reduce_gets_outputs_in_index_order(self):
        job = self.shell_job('echo "$LEAT_TASK_INDEX"', "--array", "1-300:2", "--reduce",
                             "/bin/cat")
        self.cluster.wait(job)
        self.assertEqual(self.cluster.result(job),
                         b"".join(b"%d\n" % n for n in range(1, 301, 2)))

    def test_a_tree_gives_the_same_as_a_flat_reduce(self):
        for width in (2, 7, 64):
            job = self.shell_job('echo "$LEAT_TASK_INDEX"', "--array", "1-200", "--reduce",
                                 "/bin/cat", "--reduce-width", width)
            self.cluster.wait(job)
            self.assertEqual(self.cluster.result(job),
                             b"".join(b"%d\n" % n for n in range(1, 201)), width)

    def test_outputs_of_a_lost_node_are_made_again(self):
        # With all nodes there each gets a share; a test before this one may have killed some.
        self.cluster.until(lambda: len(self.cluster.node_ids()) == self.nodes, "every node up")
        started, gate = self.pipe("started"), self.pipe("gate")
        # The last task holds the reduce back until a node with outputs is gone.
        script = ('echo "$LEAT_TASK_INDEX" >> ran; echo "$LEAT_TASK_INDEX"; '
                  'if [ "$LEAT_TASK_INDEX" = 60 ]; then echo x > started; read _ < gate; fi')
        job = self.add_up(script, "1-60", "--reduce-width", "60")
        started.lines(1)
        self.cluster.until(lambda: self.cluster.job(job)["counts"]["held"] >= 50, "held outputs")
        holder = next(node for node in self.cluster.json("node", "list")["nodes"]
                      if node["state"] == "up" and node["running"] == 0)
        self.cluster.kill_node(holder["id"])
        gate.release(2)
        self.cluster.wait(job, seconds=120)
        self.assertEqual(self.cluster.result(job), b"1830\n")
        self.assertEqual(self.cluster.job(job)["retried"], 0)
        self.assertGreater(len(self.evidence()), 60)  # some ran twice, none counts twice

    def test_a_tree_is_exact_while_nodes_die(self):
        job = self.add_up('echo "$LEAT_TASK_INDEX" >> ran; echo "$LEAT_TASK_INDEX"', "1-1500",
                          "--reduce-width", "8", "--retries", "0")
        for share in (200, 700, 1200):
            self.cluster.until(lambda done=share: len(self.evidence()) >= done, "progress")
            self.cluster.kill_node(self.cluster.node_ids()[-1])
        self.cluster.wait(job, seconds=180)
        self.assertEqual(self.cluster.result(job), b"%d\n" % (1500 * 1501 // 2))

    def test_only_the_accepted_attempt_counts(self):
        # The first attempt prints and fails; its output must not be in the result.
        job = self.add_up('echo "$LEAT_ATTEMPT"; [ "$LEAT_ATTEMPT" = 2 ]', "1-20", "--retries", "1",
                          "--reduce-width", "4")
        self.cluster.wait(job)
        self.assertEqual(self.cluster.result(job), b"40\n")

    def test_a_result_outlives_every_node(self):
        job = self.add_up("echo 7", "1-10")
        self.cluster.wait(job)
        for node in self.cluster.node_ids():
            self.cluster.kill_node(node)
        self.assertEqual(self.cluster.result(job), b"70\n")

    def test_a_failing_task_fails_the_job_and_skips_its_reduce(self):
        job = self.add_up('[ "$LEAT_TASK_INDEX" != 5 ]', "1-20", "--reduce-width", "4")
        self.cluster.wait(job, code=1)
        stages = self.cluster.job(job)["stages"]
        self.assertEqual(stages[0]["failed"], 1)
        self.assertGreaterEqual(sum(stage["skipped"] for stage in stages[1:]), 1)
        done = self.cluster.run("result", job)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)

    def test_a_failing_reduce_fails_the_job(self):
        job = self.shell_job("true", "--array", "1-4", "--reduce", "/bin/false")
        self.cluster.wait(job, code=1)
        self.assertEqual(self.cluster.job(job)["stages"][1]["failed"], 1)


if __name__ == "__main__":
    main()
