"""node_loss_test.py - nodes die; their work runs elsewhere, costs the user nothing, and a task
that takes its nodes along is set aside."""

from support import ClusterTest, main


class NodesTest(ClusterTest):
    def wait_for_nodes(self):
        self.cluster.until(lambda: len(self.cluster.node_ids()) == self.nodes, "all nodes up")


class NodeLossTest(NodesTest):
    def test_work_of_a_lost_node_runs_elsewhere(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job('echo "$LEAT_TASK_INDEX" > started; read _ < gate; '
                             'echo "$LEAT_TASK_INDEX $LEAT_ATTEMPT" >> ran', "--array", "1-4")
        started.lines(2)
        self.cluster.kill_node(self.cluster.node_ids()[0])
        gate.release(8)
        self.cluster.wait(job)
        ended = self.cluster.job(job)
        self.assert_counts(job, succeeded=4)
        self.assertGreaterEqual(ended["lost"], 1)
        self.assertEqual(ended["retried"], 0)  # nothing the user's program did
        self.assertEqual({line.split()[0] for line in self.evidence()}, {"1", "2", "3", "4"})
        self.wait_for_nodes()

    def test_a_lost_node_is_replaced_under_a_new_name(self):
        self.wait_for_nodes()
        before = {(n["id"], n["epoch"]) for n in self.cluster.json("node", "list")["nodes"]
                  if n["state"] == "up"}
        victim = min(before)
        self.cluster.kill_node(victim[0])
        self.cluster.until(lambda: victim[0] not in self.cluster.node_ids(), "the node lost")
        self.wait_for_nodes()
        after = {(n["id"], n["epoch"]) for n in self.cluster.json("node", "list")["nodes"]
                 if n["state"] == "up"}
        self.assertEqual(len(after - before), 1)
        self.assertGreater(max(epoch for _, epoch in after), max(epoch for _, epoch in before))


# Clusters of their own: a pool that loses node after node makes the next one later and later.
class QuarantineTest(NodesTest):
    def test_a_task_that_takes_three_nodes_along_is_set_aside(self):
        job = self.shell_job("echo x >> ran; kill -9 $PPID")  # a task's parent is its warden
        self.cluster.wait(job, code=1, seconds=120)
        self.assert_counts(job, quarantined=1)
        self.assertEqual(self.evidence(), ["x", "x", "x"])
        failure = self.cluster.job(job)["failures"][0]
        self.assertEqual((failure["index"], failure["outcome"]), (0, "node_lost"))
        self.wait_for_nodes()


class LostLogsTest(NodesTest):
    def test_logs_of_a_lost_node_say_so(self):
        self.wait_for_nodes()
        job = self.shell_job("echo here", "--array", "1-40")
        self.cluster.wait(job)
        for node in self.cluster.node_ids():
            self.cluster.kill_node(node)
        self.wait_for_nodes()
        done = self.cluster.run("logs", f"{job}.1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"lost", done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)


if __name__ == "__main__":
    main()
