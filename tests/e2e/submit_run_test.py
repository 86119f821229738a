"""submit_run_test.py - programs run once each, with the right surroundings, and their output comes
back byte by byte."""

import json
import subprocess
import sys
import time

from support import DEADLINE_S, ClusterTest, main


class SubmitRunTest(ClusterTest):
    def test_every_task_of_an_array_runs_once(self):
        job = self.shell_job('echo "$LEAT_TASK_INDEX" >> ran', "--array", "1-100,200-299:3")
        self.cluster.wait(job)
        expected = [*range(1, 101), *range(200, 300, 3)]
        self.assertEqual(sorted(int(line) for line in self.evidence()), expected)
        self.assert_counts(job, succeeded=len(expected))
        self.assertEqual(self.cluster.job(job)["state"], "succeeded")

    def test_submit_prints_the_id_and_nothing_else(self):
        done = self.cluster.run("submit", "--", "/bin/true")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, rb"\A[0-9]+\n\Z")
        self.assertEqual(done.stderr, b"")

    def test_output_comes_back_byte_by_byte(self):
        script = r"printf 'out\000\377\n%s' $LEAT_TASK_INDEX; printf 'err %s' $LEAT_TASK_INDEX >&2"
        job = self.shell_job(script, "--array", "5-40")
        self.cluster.wait(job)
        for index in (5, 17, 40):
            self.assertEqual(self.log(f"{job}.{index}"), b"out\0\xff\n%d" % index)
            self.assertEqual(self.log(f"{job}.{index}", "--stderr"), b"err %d" % index)

    def test_large_output_comes_back_whole(self):
        job = self.shell_job("seq 1 1000000")
        self.cluster.wait(job)
        self.assertEqual(self.log(f"{job}.0"), b"".join(b"%d\n" % n for n in range(1, 1000001)))

    def test_logs_can_be_followed_while_the_task_runs(self):
        gate = self.pipe("gate")
        job = self.shell_job("echo first; read _ < gate; echo second")
        following = subprocess.Popen(self.cluster.command("logs", f"{job}.0", "-f"),
                                     env=self.cluster.environment(), stdout=subprocess.PIPE)
        self.addCleanup(following.kill)
        self.assertEqual(following.stdout.readline(), b"first\n")
        gate.release()
        self.assertEqual(following.communicate(timeout=60)[0], b"second\n")
        self.assertEqual(following.returncode, 0)

    def test_cores_are_bound_when_asked(self):
        job = self.submit("--array", "1-4", "--bind", "--", "/usr/bin/nproc")
        self.cluster.wait(job)
        for index in range(1, 5):
            self.assertEqual(self.log(f"{job}.{index}"), b"1\n")

    def test_a_task_may_have_a_directory_of_its_own(self):
        job = self.shell_job('cd "$LEAT_TASK_DIR" && ls -A | wc -l && touch mine && pwd', "--array",
                             "1-6", "--task-dir")
        self.cluster.wait(job)
        texts = [self.log(f"{job}.{n}").decode().split() for n in range(1, 7)]
        self.assertEqual([empty for empty, _ in texts], ["0"] * 6)
        self.assertEqual(len({place for _, place in texts}), 6)

    def test_a_task_has_the_surroundings_that_were_asked_for(self):
        script = ('cat > /dev/null; pwd; echo "$LEAT_JOB_ID $LEAT_TASK_INDEX $LEAT_TASK_COUNT '
                  '$LEAT_ATTEMPT $MINE $LEAT_HOME"; ls /proc/self/fd | wc -l')
        job = self.submit("--array", "7-9", "--env", "MINE=yes", "--", "/bin/sh", "-c", script)
        self.cluster.wait(job)
        lines = self.log(f"{job}.8").decode().splitlines()
        self.assertEqual(lines[0], str(self.folder))
        self.assertEqual(lines[1], f"{job} 8 3 1 yes ")  # and nothing of the agent's own
        self.assertEqual(lines[2], "4")  # 0, 1, 2, and the one that ls reads with

    def test_what_a_task_tells_of_itself_is_shown_while_it_runs(self):
        told, gate = self.pipe("told"), self.pipe("gate")
        program = (
            "import os, socket\n"
            "names = ('JOB_ID', 'STAGE', 'TASK_INDEX', 'ATTEMPT')\n"
            "run = '.'.join(os.environ['LEAT_' + name] for name in names)\n"
            "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(\n"
            "    f'1 {run} 420 solving'.encode(), os.environ['LEAT_PROGRESS_SOCKET'])\n"
            "open('told', 'w').write('x\\n')\n"
            "open('gate').readline()\n")
        job = self.submit("--array", "7", "--", sys.executable, "-c", program)
        told.lines(1)
        deadline = time.monotonic() + DEADLINE_S
        progress = []
        while not progress and time.monotonic() < deadline:
            progress = self.cluster.job(job)["progress"]
        self.assertEqual([(p["task"], p["percent"], p["message"]) for p in progress],
                         [(f"{job}.7", 42.0, "solving")])
        gate.release()
        self.cluster.wait(job)
        self.assertEqual(self.cluster.job(job)["progress"], [])

    def test_lines_arrive_in_chunks_and_in_order(self):
        lines = [b"line %d" % n for n in range(1000)]
        (self.folder / "lines").write_bytes(b"\n".join(lines))  # the last has no newline
        job = self.submit("--each-line", "lines", "--chunk", 7, "--reduce", "/bin/cat", "--",
                          "/bin/cat")
        self.cluster.wait(job)
        self.assertEqual(self.cluster.job(job)["counts"]["total"], 143)
        self.assertEqual(self.log(f"{job}.142"), b"\n".join(lines[994:]))
        self.assertEqual(self.cluster.result(job), b"\n".join(lines))

    def test_lines_may_come_from_standard_input(self):
        job = self.cluster.submit("--each-line", "-", "--", "/bin/cat", stdin=b"a\nb\nc\n")
        self.cluster.wait(job)
        self.assertEqual([self.log(f"{job}.{n}") for n in range(3)], [b"a\n", b"b\n", b"c\n"])

    def test_a_key_means_one_job_however_often_it_is_sent(self):
        jobs = {self.shell_job("echo x >> ran", "--key", "once") for _ in range(3)}
        self.assertEqual(len(jobs), 1)
        self.cluster.wait(jobs.pop())
        self.assertEqual(self.evidence(), ["x"])

    def test_tasks_share_nodes_up_to_their_cores(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job('echo "$LEAT_NODE" > started; read _ < gate', "--array", "1-6")
        cores = sum(node["capacity"]["millicores"] // 1000
                    for node in self.cluster.json("node", "list")["nodes"])
        first = started.lines(min(cores, 6))
        self.assertEqual(len(set(first)), self.nodes)
        self.assertEqual(self.cluster.job(job)["counts"]["running"], min(cores, 6))
        gate.release(6)
        self.cluster.wait(job)

    def test_why_explains_what_waits(self):
        gate = self.pipe("gate")
        first = self.shell_job("read _ < gate", "--array", "1-20", "--priority", "5")
        second = self.shell_job("true")
        causes = self.cluster.json("why", second)["causes"]
        self.assertTrue(causes)
        for cause in causes:
            self.assertTrue(cause["message"])
        gate.release(20)
        self.cluster.wait(first)
        self.cluster.wait(second)

    def test_readers_speak_json_and_know_the_last_job(self):
        job = self.shell_job("true", "--name", "readers")
        self.cluster.wait(job)
        self.assertEqual(self.cluster.json("job", "show", "last")["id"], job)
        listed = self.cluster.json("job", "list")["jobs"]
        self.assertEqual(listed[0]["id"], job)
        self.assertEqual(listed[0]["name"], "readers")
        for command in (["status"], ["node", "list"], ["job", "list"], ["job", "show", "last"]):
            self.assertIn("version", json.loads(self.cluster.leat(*command, "--json")))
            self.assertTrue(self.cluster.leat(*command))

    def test_progress_in_a_pipe_is_one_line(self):
        done = self.cluster.run("submit", "--array", "1-50", "--wait", "--progress", "--",
                                "/bin/true")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertLessEqual(len(done.stderr.splitlines()), 1)
        self.assertNotIn(b"\r", done.stderr)

    def test_many_short_tasks_leave_nothing_behind(self):
        job = self.submit("--array", "1-3000", "--", "/bin/true")
        self.cluster.wait(job)
        self.assert_counts(job, succeeded=3000)
        slots = list(self.cluster.home.glob("nodes/*/spool/*"))
        self.assertLess(len(slots), 100)  # no file per task


if __name__ == "__main__":
    main()
