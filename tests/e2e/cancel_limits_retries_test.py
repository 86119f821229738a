"""cancel_limits_retries_test.py - ends that somebody wants: cancel, limits of time and of output,
retries, and programs that resist."""

from support import ClusterTest, main, wait_for_end


class CancelTest(ClusterTest):
    def test_cancelling_a_job_ends_what_runs_and_drops_what_waits(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job("echo $$ > started; read _ < gate", "--array", "1-100000")
        pids = [int(pid) for pid in started.lines(2)]
        self.cluster.leat("cancel", job)
        self.cluster.wait(job, code=1)
        self.assertEqual(self.cluster.job(job)["state"], "cancelled")
        self.assert_counts(job, cancelled=100000)
        for pid in pids:
            wait_for_end(pid, 20)

    def test_cancelling_some_leaves_the_rest(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job('echo x > started; read _ < gate; echo "$LEAT_TASK_INDEX" >> ran',
                             "--array", "1-20")
        started.lines(2)
        self.cluster.leat("cancel", f"{job}.15")
        self.cluster.leat("cancel", f"{job}.16-20:2")
        gate.release(40)
        self.cluster.wait(job, code=1)
        self.assert_counts(job, succeeded=16, cancelled=4)
        self.assertEqual(sorted(int(n) for n in self.evidence()),
                         [n for n in range(1, 21) if n not in (15, 16, 18, 20)])

    def test_cancelling_twice_or_too_late_changes_nothing(self):
        job = self.shell_job("true")
        self.cluster.wait(job)
        before = self.cluster.job(job)
        done = self.cluster.run("cancel", job)
        self.assertIn(done.returncode, (0, 4))
        self.assertEqual(self.cluster.job(job)["state"], before["state"])

    def test_a_million_waiting_tasks_are_gone_at_once(self):
        job = self.submit("--array", "1-1000000", "--memory", "1M", "--", "/bin/sleep", "1000")
        self.cluster.leat("cancel", job)
        self.cluster.wait(job, code=1)
        self.assert_counts(job, cancelled=1000000)


class LimitsTest(ClusterTest):
    def test_the_time_limit_ends_a_whole_tree_that_ignores_sigterm(self):
        started = self.pipe("started")
        script = ('trap "" TERM; setsid sh -c "trap \\"\\" TERM; echo \\$\\$ > started; '
                  'while :; do sleep 1; done" & echo $$ > started; while :; do sleep 1; done')
        job = self.shell_job(script, "--time", "1s")
        pids = [int(pid) for pid in started.lines(2)]
        self.cluster.wait(job, code=1)
        failure = self.cluster.job(job)["failures"][0]
        self.assertEqual(failure["outcome"], "time_limit")
        for pid in pids:
            wait_for_end(pid, 20)

    def test_output_over_the_limit_is_cut_and_marked(self):
        job = self.shell_job("head -c 1073741824 /dev/zero", "--output-limit", "1M")
        self.cluster.wait(job)
        self.assertEqual(self.log(f"{job}.0"), b"\0" * (1 << 20))
        used = sum(f.stat().st_blocks * 512 for f in self.cluster.home.glob("nodes/*/spool/*"))
        self.assertLess(used, 64 << 20)

    def test_truncating_standard_output_harms_nobody(self):
        first = self.shell_job('echo "kept $LEAT_TASK_INDEX"', "--array", "1-8")
        self.cluster.wait(first)
        second = self.shell_job("echo lost; : > /dev/stdout; echo seen", "--array", "1-8")
        self.cluster.wait(second)
        for index in range(1, 9):
            self.assertEqual(self.log(f"{first}.{index}"), b"kept %d\n" % index)
            self.assertTrue(self.log(f"{second}.{index}").endswith(b"seen\n"))

    def test_what_a_task_leaves_behind_is_ended(self):
        started = self.pipe("started")
        # In a session of its own, and its task is gone.
        job = self.shell_job('setsid sh -c "echo \\$\\$ > started; while :; do sleep 1; done" & '
                             "sleep 0.2; exit 0")
        pid = int(started.lines(1)[0])
        self.cluster.wait(job)
        wait_for_end(pid, 20)

    def test_an_orphan_that_fills_no_pipe_does_not_hold_its_task(self):
        job = self.shell_job("(trap '' HUP; while :; do sleep 1; done) & exit 0")
        self.cluster.wait(job)
        self.assert_counts(job, succeeded=1)


class RetriesTest(ClusterTest):
    def test_a_failing_task_is_tried_again_as_often_as_asked(self):
        script = 'echo "$LEAT_TASK_INDEX $LEAT_ATTEMPT" >> ran; [ "$LEAT_ATTEMPT" = 3 ]'
        job = self.shell_job(script, "--array", "1-3", "--retries", "2")
        self.cluster.wait(job)
        self.assertEqual(self.cluster.job(job)["retried"], 6)
        self.assertEqual(sorted(self.evidence()),
                         [f"{task} {attempt}" for task in (1, 2, 3) for attempt in (1, 2, 3)])

    def test_another_attempt_finds_what_the_last_has_left_wherever_it_runs(self):
        script = ('mkdir -p "$LEAT_CHECKPOINT_DIR"; cd "$LEAT_CHECKPOINT_DIR"; cat left; '
                  'echo "${PWD##*/} $LEAT_ATTEMPT" >> left; [ "$LEAT_ATTEMPT" = 3 ]')
        job = self.shell_job(script, "--array", "7", "--retries", "2", "--env",
                             f"LEAT_CHECKPOINT_DIR={self.folder}/checkpoints")
        self.cluster.wait(job)
        self.assertEqual(self.log(f"{job}.7").decode(), f"{job}.0.7 1\n{job}.0.7 2\n")

    def test_and_not_once_more(self):
        script = 'echo "$LEAT_ATTEMPT" >> ran; exit 9'
        job = self.shell_job(script, "--retries", "1")
        done = self.cluster.run("wait", job)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"leat logs {job}".encode(), done.stderr)
        self.assertEqual(self.evidence(), ["1", "2"])
        failure = self.cluster.job(job)["failures"][0]
        self.assertEqual((failure["outcome"], failure["code"]), ("exit", 9))

    def test_the_end_by_a_signal_is_told_as_such(self):
        job = self.shell_job("kill -11 $$")
        self.cluster.wait(job, code=1)
        failure = self.cluster.job(job)["failures"][0]
        self.assertEqual((failure["outcome"], failure["code"]), ("signal", 11))

    def test_a_program_that_went_away_could_not_start(self):
        program = self.folder / "gone"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        gate = self.pipe("gate")
        first = self.shell_job("read _ < gate", "--array", "1-8")
        job = self.submit("--", program)
        program.unlink()
        gate.release(8)
        self.cluster.wait(first)
        self.cluster.wait(job, code=1)
        failure = self.cluster.job(job)["failures"][0]
        self.assertEqual((failure["outcome"], failure["code"]), ("could_not_start", 2))

    def test_waiting_may_time_out(self):
        gate = self.pipe("gate")
        job = self.shell_job("read _ < gate")
        self.cluster.leat("wait", job, "--timeout", "100ms", code=124)
        gate.release()
        self.cluster.wait(job)


if __name__ == "__main__":
    main()
