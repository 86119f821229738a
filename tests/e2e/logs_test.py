"""logs_test.py - logs that outlive their nodes, and readers that are slow or early."""

import os
import pathlib
import subprocess

from support import ClusterTest, main, process_file


def kib(pid: int, line: str) -> int:
    status = process_file(pid, "status") or ""
    return int(status.split(line, 1)[1].split()[0])


class LogsTest(ClusterTest):
    def follow(self, task: str, **options) -> subprocess.Popen:
        following = subprocess.Popen(self.cluster.command("logs", task, "-f"),
                                     env=self.cluster.environment(), stdout=subprocess.PIPE,
                                     **options)
        self.addCleanup(following.kill)
        self.addCleanup(following.stdout.close)
        return following

    def test_a_whole_job_in_the_order_of_its_indices(self):
        job = self.shell_job("echo task $LEAT_TASK_INDEX; printf end", "--array", "3-12:3")
        self.cluster.wait(job)
        self.assertEqual(self.log(job, "--label").decode().splitlines(),
                         [line for n in (3, 6, 9, 12)
                          for line in (f"{job}.{n}: task {n}", f"{job}.{n}: end")])
        self.assertEqual(self.log(f"{job}.6-9:3"), b"task 6\nendtask 9\nend")

    def test_following_waits_for_the_start(self):
        gate = self.pipe("gate")
        first = self.shell_job("read _ < gate", "--array", "1-40", "--priority", "5")
        second = self.shell_job("echo at last", "--name", "later")
        done = self.cluster.run("logs", f"{second}.0")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"has not run yet", done.stderr)
        following = self.follow(f"{second}.0")
        gate.release(40)
        self.assertEqual(following.communicate(timeout=60)[0], b"at last\n")
        self.cluster.wait(first)

    def test_a_slow_reader_holds_up_nobody_and_costs_nothing(self):
        gate, back = self.pipe("gate"), self.pipe("back")
        job = self.shell_job("head -c 200000000 /dev/zero; echo there > gate; read _ < back")
        following = self.follow(f"{job}.0")  # nobody reads its pipe
        gate.lines(1)
        self.assertEqual(self.cluster.job(job)["counts"]["running"], 1)  # answered as ever
        self.assertEqual(len(following.stdout.read1(1)), 1)
        for name in ("leat-agent", "leat-scheduler"):
            for daemon in self.cluster.status()["daemons"]:
                if daemon["name"] == name:
                    self.assertLess(kib(daemon["pid"], "VmHWM:"), 400_000, name)
        self.assertLess(kib(following.pid, "VmHWM:"), 400_000)
        back.release()
        left = 0
        while chunk := following.stdout.read(1 << 20):
            left += len(chunk)
        self.assertEqual(left, 200_000_000 - 1)
        self.assertEqual(following.wait(timeout=60), 0)
        self.cluster.wait(job)

    def test_sudden_loss_is_told_with_node_and_time(self):
        job = self.shell_job('echo "$LEAT_NODE"', "--array", "1-8")
        self.cluster.wait(job)
        node = int(self.log(f"{job}.1"))
        self.cluster.kill_node(node)
        self.cluster.until(lambda: node not in self.cluster.node_ids(), f"node {node} is gone")

        def answer():
            done = self.cluster.run("logs", f"{job}.1")
            return done if done.returncode == 1 else None
        done = self.cluster.until(answer, "its output is lost")
        self.assertRegex(done.stderr.decode(),
                         rf"\Aleat: output lost with node {node} at 20[0-9-]+ [0-9:]+ UTC\n\Z")


class OutlivingTest(ClusterTest):
    def test_logs_are_there_after_the_nodes_have_left(self):
        job = self.shell_job('echo "out $LEAT_TASK_INDEX"; echo err >&2', "--array", "0-99")
        silent = self.shell_job("true")
        self.cluster.wait(job)
        self.cluster.wait(silent)
        before = {node["id"] for node in self.cluster.json("node", "list")["nodes"]}
        self.cluster.leat("down")
        self.assertTrue(list((self.cluster.home / "outputs").iterdir()))
        self.cluster.leat("up")
        self.assertTrue(before.isdisjoint(self.cluster.node_ids()))
        for index in (0, 42, 99):
            self.assertEqual(self.log(f"{job}.{index}"), b"out %d\n" % index)
        self.assertEqual(self.log(f"{job}.5", "--stderr"), b"err\n")
        self.assertEqual(self.log(f"{silent}.0"), b"")
        self.assertEqual(self.log(job).decode().splitlines(), [f"out {n}" for n in range(100)])
        # The head that saw them go is not needed for it, nor is this leat-store.
        self.cluster.kill_head()
        os.kill(self.cluster_store_pid(), 9)
        self.cluster.up()
        self.assertEqual(self.log(f"{job}.42"), b"out 42\n")

    def cluster_store_pid(self) -> int:
        return int(pathlib.Path(self.cluster.home / "store.pid").read_text().split()[0])


if __name__ == "__main__":
    main()
