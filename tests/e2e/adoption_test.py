"""adoption_test.py - an agent dies and no task notices; a warden dies and nothing stays behind."""

import os

from support import ClusterTest, is_alive, kill, main, process_file, wait_for_end


class AdoptionTest(ClusterTest):
    def start_two(self, script_after: str = "") -> tuple[int, list[int], object]:
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job("echo $$ > started; read _ < gate; " + script_after
                             + 'echo "$LEAT_TASK_INDEX $LEAT_ATTEMPT" >> ran', "--array", "1-2")
        return job, [int(pid) for pid in started.lines(2)], gate

    def kill_agents(self) -> None:
        """All of them, and waits until new ones have joined."""
        nodes = self.cluster.node_ids()
        old = {self.cluster.kill_agent(node) for node in nodes}
        self.cluster.until(
            lambda: all(self.cluster.pid("leat-agent", node) not in old for node in nodes),
            "agents back")

    def test_the_next_agent_adopts_what_runs(self):
        job, pids, gate = self.start_two()
        self.kill_agents()
        for pid in pids:
            self.assertTrue(is_alive(pid))
        gate.release(2)
        self.cluster.wait(job)
        self.assertEqual(sorted(self.evidence()), ["1 1", "2 1"])
        self.assertEqual(self.cluster.job(job)["lost"], 0)

    def test_output_written_while_no_agent_looks_is_whole(self):
        job, pids, gate = self.start_two("seq 1 200000; ")
        for node in self.cluster.node_ids():
            self.cluster.kill_agent(node)
        gate.release(2)
        for pid in pids:  # more than any pipe holds, so somebody drained it
            wait_for_end(pid)
        self.cluster.wait(job)
        expected = b"".join(b"%d\n" % n for n in range(1, 200001))
        for index in (1, 2):
            self.assertEqual(self.log(f"{job}.{index}"), expected)

    def test_ends_that_nobody_saw_are_counted_once(self):
        job = self.shell_job('echo "$LEAT_TASK_INDEX" >> ran', "--array", "1-1500")
        for share in (100, 500, 900):
            self.cluster.until(lambda done=share: len(self.evidence()) >= done, "progress")
            self.cluster.kill_agent(self.cluster.node_ids()[0])
        self.cluster.wait(job)
        self.assertEqual(sorted(int(n) for n in self.evidence()), list(range(1, 1501)))
        self.assert_counts(job, succeeded=1500)

    def test_nothing_outlives_a_warden(self):
        started = self.pipe("started")
        # A child in a session of its own, and its parent gone: reachable by its token only.
        job = self.shell_job('setsid sh -c "sleep 1000 & echo \\$! > started; wait" & '
                             "echo $$ > started; wait")
        pids = [int(pid) for pid in started.lines(2)]
        self.cluster.leat("cancel", job)  # so that it is not run again
        self.cluster.wait(job, code=1)
        for pid in pids:
            wait_for_end(pid, 20)

    def test_tasks_die_with_their_warden_and_run_again(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job('setsid sleep 1000 & echo "$$ $!" > started; read _ < gate; exit 0')
        first = [int(pid) for pid in started.lines(1)[0].split()]
        parent = int(process_file(first[0], "stat").rsplit(")", 1)[1].split()[1])
        self.assertNotEqual(parent, os.getpid())
        kill(parent)
        for pid in first:
            wait_for_end(pid, 20)
        second = [int(pid) for pid in started.lines(1)[0].split()]
        gate.release()
        self.cluster.wait(job)
        self.assertEqual(self.cluster.job(job)["lost"], 1)
        for pid in second:  # what it left in the background has gone with it
            wait_for_end(pid, 20)


if __name__ == "__main__":
    main()
