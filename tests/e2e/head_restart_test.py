"""head_restart_test.py - the head dies at any moment; nothing acknowledged is lost, nothing runs
twice."""

import fcntl
import os
import socket
import struct
import subprocess

from support import ClusterTest, kill, main, wait_for_end


class HeadRestartTest(ClusterTest):
    def restart(self):
        old = self.cluster.kill_head()
        self.cluster.up()
        self.assertNotEqual(self.cluster.pid("leat-scheduler"), old)

    def test_running_tasks_do_not_notice(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job('echo $$ > started; read _ < gate; echo "$LEAT_TASK_INDEX" >> ran; '
                             'echo "out $LEAT_TASK_INDEX"', "--array", "1-6")
        pids = [int(pid) for pid in started.lines(2)]
        self.cluster.kill_head()
        gate.release(2)
        for pid in pids:  # they end while there is no head
            wait_for_end(pid)
        gate.release(4)
        self.cluster.up()
        self.cluster.wait(job)
        self.assertEqual(sorted(self.evidence()), ["1", "2", "3", "4", "5", "6"])
        self.assert_counts(job, succeeded=6)
        for index in range(1, 7):
            self.assertEqual(self.log(f"{job}.{index}"), b"out %d\n" % index)

    def test_whoever_waits_goes_on_waiting(self):
        gate = self.pipe("gate")
        job = self.shell_job("read _ < gate")
        waiting = subprocess.Popen(self.cluster.command("wait", job), stderr=subprocess.PIPE,
                                   env=self.cluster.environment())
        self.restart()
        self.assertIsNone(waiting.poll())
        gate.release()
        _, errors = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0, errors)

    def test_up_outlasts_a_head_that_is_just_dying(self):
        self.cluster.kill_head()
        home = self.cluster.home
        os.unlink(home / "head.sock")
        # What is left of a killed head for a moment: it takes connections, and holds the directory.
        with open(home / "head.lock", "r+", encoding="utf-8") as held, \
                socket.socket(socket.AF_UNIX) as dying:
            fcntl.fcntl(held, fcntl.F_OFD_SETLK,
                        struct.pack("hhxxxxqqixxxx", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            dying.bind(str(home / "head.sock"))
            dying.listen()
            dying.settimeout(60)
            up = subprocess.Popen(self.cluster.command("up", "--local", self.cluster.nodes),
                                  stderr=subprocess.PIPE, env=self.cluster.environment())
            for _ in range(2):  # the second time it has found the directory held
                dying.accept()[0].close()
        _, errors = up.communicate(timeout=60)
        self.assertEqual(up.returncode, 0, errors)
        self.cluster.status()

    def test_an_acknowledged_job_is_there_after_every_kill(self):
        jobs = []
        for number in range(5):
            jobs.append(self.shell_job(f"echo {number} >> ran", "--key", f"kill-{number}"))
            kill(self.cluster.pid("leat-scheduler"))  # right after the answer
            self.cluster.up()
            again = self.shell_job(f"echo {number} >> ran", "--key", f"kill-{number}")
            self.assertEqual(again, jobs[-1])
        for job in jobs:
            self.cluster.wait(job)
        self.assertEqual(sorted(self.evidence()), ["0", "1", "2", "3", "4"])

    def test_a_long_job_survives_many_kills_and_every_task_runs_once(self):
        job = self.shell_job('echo "$LEAT_TASK_INDEX" >> ran', "--array", "1-2000", "--reduce",
                             "/usr/bin/wc", "--reduce-arg", "-l")
        for share in (100, 600, 1100):
            self.cluster.until(lambda done=share: len(self.evidence()) >= done, "progress")
            self.restart()
        self.cluster.wait(job)
        self.assertEqual(sorted(int(n) for n in self.evidence()), list(range(1, 2001)))
        self.assert_counts(job, succeeded=2000)

    def test_the_history_of_old_jobs_stays(self):
        job = self.shell_job("echo kept; exit 3")
        self.cluster.wait(job, code=1)
        before = self.cluster.job(job)
        self.restart()
        after = self.cluster.job(job)
        for field in ("state", "counts", "failures"):
            self.assertEqual(after[field], before[field], field)
        for field in ("submitted_us", "ended_us"):  # wall clocks are adjusted, but not by much
            self.assertAlmostEqual(after[field], before[field], delta=20_000, msg=field)
        self.assertEqual(self.log(f"{job}.0"), b"kept\n")

    def test_the_store_of_bytes_comes_back(self):
        job = self.shell_job("echo 42", "--array", "1-4", "--reduce", "/bin/cat")
        self.cluster.wait(job)
        store = self.cluster.pid("leat-store")
        kill(store)
        self.cluster.until(lambda: self.cluster.find_pid("leat-store") not in (0, store),
                           "a new leat-store")
        self.assertEqual(self.cluster.result(job), b"42\n" * 4)
        self.restart()
        self.assertEqual(self.cluster.result(job), b"42\n" * 4)

    def test_down_is_refused_while_tasks_run_and_loses_nothing_by_force(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job("echo x > started; read _ < gate; echo done >> ran", "--array", "1-4")
        started.lines(2)
        done = self.cluster.run("down")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)
        self.cluster.leat("down", "--force")
        self.assertEqual(self.cluster.processes(), [])
        self.cluster.up()
        gate.release(4)
        self.cluster.wait(job)
        self.assertEqual(self.evidence(), ["done"] * 4)
        self.assert_counts(job, succeeded=4)

    def test_up_twice_changes_nothing(self):
        before = self.cluster.status()["daemons"]
        self.cluster.up()
        self.assertEqual(self.cluster.status()["daemons"], before)

    def test_a_second_head_is_refused(self):
        done = subprocess.run([str(self.cluster.programs / "leat-scheduler"), "--home",
                               str(self.cluster.home)], capture_output=True, timeout=30,
                              check=False)
        self.assertIn(done.returncode, (2, 4))
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.cluster.status()


if __name__ == "__main__":
    main()
