"""waits_test.py - jobs that wait: for each other, for a delay, for a person; and what did not
succeed, once more."""

from support import ClusterTest, main


class AfterTest(ClusterTest):
    def test_a_job_starts_when_the_one_before_it_has_succeeded(self):
        gate = self.pipe("gate")
        first = self.shell_job("read _ < gate; echo first >> ran")
        second = self.shell_job("echo second >> ran", "--after", "last")
        third = self.shell_job("echo third >> ran", "--after", f"{first}:any", "--after", second)
        why = self.cluster.json("why", second)["causes"]
        self.assertEqual([cause["reason"] for cause in why], ["dependency"])
        self.assertIn(f"job {first}", why[0]["message"])
        gate.release()
        self.cluster.wait(third)
        self.assertEqual(self.evidence(), ["first", "second", "third"])

    def test_dependants_of_a_failed_job_run_or_are_skipped_with_the_reason(self):
        gate = self.pipe("gate")
        first = self.shell_job("read _ < gate; exit 3")
        success = self.shell_job("echo success >> ran", "--after", first)
        chained = self.shell_job("echo chained >> ran", "--after", success)
        failure = self.shell_job("echo failure >> ran", "--after", f"{first}:failure")
        gate.release()
        self.cluster.wait(first, code=1)
        self.cluster.wait(failure)
        skipped = self.cluster.wait(success, code=1)
        self.assertEqual(skipped["state"], "skipped")
        self.assertEqual(skipped["skipped_for"], first)
        self.assertIn(f"job {first}", skipped["reason"])
        self.assertEqual(self.cluster.wait(chained, code=1)["skipped_for"], success)
        # What comes too late ends the same way.
        late = self.shell_job("echo late >> ran", "--after", first)
        self.assertEqual(self.cluster.wait(late, code=1)["state"], "skipped")
        self.assertEqual(self.evidence(), ["failure"])

    def test_task_by_task(self):
        gate = self.pipe("gate")
        script = 'echo "$LEAT_TASK_INDEX" >> ran; [ "$LEAT_TASK_INDEX" != 3 ]'
        first = self.shell_job('read _ < gate; [ "$LEAT_TASK_INDEX" != 2 ]', "--array", "1-4")
        second = self.shell_job(script, "--array", "1-4", "--after", f"{first}/element")
        gate.release(4)
        self.cluster.wait(first, code=1)
        self.cluster.wait(second, code=1)
        self.assertEqual(sorted(self.evidence()), ["1", "3", "4"])
        self.assert_counts(second, succeeded=2, failed=1, skipped=1)
        # The same of a job that has ended: history knows.
        third = self.shell_job('echo "x$LEAT_TASK_INDEX" >> ran', "--array", "1-4", "--after",
                               f"{second}/element")
        self.cluster.wait(third, code=1)
        self.assert_counts(third, succeeded=2, skipped=2)
        self.assertEqual(sorted(self.evidence())[3:], ["x1", "x4"])

    def test_a_head_that_dies_while_a_dependant_waits(self):
        gate = self.pipe("gate")
        first = self.shell_job("read _ < gate", "--array", "1-3")
        second = self.shell_job('echo "$LEAT_TASK_INDEX" >> ran', "--array", "1-3", "--after",
                                f"{first}/element")
        whole = self.shell_job("echo whole >> ran", "--after", first)
        self.cluster.kill_head()
        gate.release(1)
        self.cluster.up()
        gate.release(2)
        self.cluster.wait(whole)
        self.cluster.wait(second)
        self.assertEqual(sorted(self.evidence()), ["1", "2", "3", "whole"])

    def test_what_cannot_be_waited_for_is_refused(self):
        first = self.shell_job("true", "--array", "1-3")
        for code, after in ((2, "999999"), (2, str(first + 1)), (2, "0"), (2, "x"), (2, "1:soon"),
                            (2, "1/task"), (4, f"{first}/element")):
            before = self.cluster.json("job", "list")["jobs"]
            done = self.cluster.run("submit", "--after", after, "--", "/bin/true")
            self.assertEqual(done.returncode, code, (after, done.stderr))
            self.assertEqual(len(done.stderr.decode().strip().splitlines()), 1)
            self.assertEqual(len(self.cluster.json("job", "list")["jobs"]), len(before))


class RetryTest(ClusterTest):
    def test_a_failed_task_waits_before_it_is_tried_again(self):
        job = self.shell_job('echo "$LEAT_ATTEMPT" >> ran; [ "$LEAT_ATTEMPT" = 2 ]',
                             "--retries", "1", "--retry-delay", "2s")
        shown = self.cluster.wait(job)
        self.assertEqual(self.evidence(), ["1", "2"])
        self.assertGreaterEqual(shown["ended_us"] - shown["started_us"], 2_000_000)

    def test_why_says_when_it_is_due_and_a_cancellation_does_not_wait_for_that(self):
        job = self.shell_job("exit 1", "--retries", "1", "--retry-delay", "1h")
        why = self.cluster.until(
            lambda: [cause for cause in self.cluster.json("why", job)["causes"]
                     if cause["reason"] == "retry"], "the task is delayed")
        self.assertIn("due at", why[0]["message"])
        self.cluster.leat("cancel", job)
        self.cluster.wait(job, code=1)
        self.assert_counts(job, cancelled=1)

    def test_only_the_named_failures_are_tried_again(self):
        script = 'echo "$LEAT_ATTEMPT" >> ran; [ "$LEAT_ATTEMPT" = 1 ] && exit 75; exit 3'
        job = self.shell_job(script, "--retries", "5", "--retry-on", "70-80,SIGKILL")
        self.cluster.wait(job, code=1)
        self.assertEqual(self.evidence(), ["1", "2"])

    def test_failed_tasks_run_again_as_a_job_of_their_own(self):
        lines = self.folder / "lines"
        lines.write_text("".join(f"line {n}\n" for n in range(6)))
        script = ('read line; echo "$LEAT_TASK_INDEX/$LEAT_TASK_COUNT $line" >> ran; '
                  '[ -e fixed ] || [ $((LEAT_TASK_INDEX % 2)) = 0 ]')
        job = self.shell_job(script, "--each-line", lines, "--name", "odd")
        self.cluster.wait(job, code=1)
        self.assert_counts(job, succeeded=3, failed=3)
        (self.folder / "fixed").touch()
        (self.folder / "ran").unlink()
        again = int(self.cluster.leat("retry", job, "--failed"))
        shown = self.cluster.wait(again)
        self.assertEqual((shown["name"], shown["retry_of"]), ("odd", job))
        self.assertEqual(sorted(self.evidence()), ["1/6 line 1", "3/6 line 3", "5/6 line 5"])
        self.cluster.leat("retry", again, "--failed", code=4)

    def test_cancelled_tasks_run_again_too(self):
        gate = self.pipe("gate")
        job = self.shell_job("read _ < gate", "--array", "1-50")
        self.cluster.leat("cancel", f"{job}.40-50")
        again = int(self.cluster.leat("retry", job, "--failed"))
        self.assertEqual(self.cluster.job(again)["counts"]["total"], 11)
        gate.release(50)
        self.cluster.wait(job, code=1)
        self.cluster.wait(again)


class SignalTest(ClusterTest):
    def test_a_task_is_told_before_its_time_is_over(self):
        script = 'trap "echo told >> ran; exit 0" USR1; while :; do sleep 0.05; done'
        job = self.shell_job(script, "--time", "1h", "--signal", "USR1@3599s")
        self.cluster.wait(job)
        self.assertEqual(self.evidence(), ["told"])


class HoldTest(ClusterTest):
    nodes = 1

    def test_a_held_job_starts_nothing_until_it_is_released(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job('echo x > started; read _ < gate; echo "$LEAT_TASK_INDEX" >> ran',
                             "--array", "1-1000")
        started.lines(1)
        self.cluster.leat("hold", job)
        shown = self.cluster.job(job)
        self.assertEqual(shown["state"], "held")
        self.cluster.until(lambda: not any(node["queued"] for node in
                                           self.cluster.json("node", "list")["nodes"]),
                           "what was only queued has come back")
        running = self.cluster.job(job)["counts"]["running"]
        self.assertGreater(running, 0)
        self.cluster.leat("job", "set", job, "--priority", "7", "--name", "kept")
        gate.release(running)
        self.cluster.until(lambda: self.cluster.job(job)["counts"]["running"] == 0, "nothing runs")
        done = self.cluster.job(job)["counts"]["succeeded"]
        self.assertLess(done, 1000)
        other = self.shell_job("true")
        self.cluster.wait(other)  # the node is free for others
        self.assertEqual(self.cluster.job(job)["counts"]["succeeded"], done)
        why = self.cluster.json("why", job)["causes"]
        self.assertEqual(why[0]["reason"], "held")
        self.cluster.leat("release", job)
        gate.release(1000)
        shown = self.cluster.wait(job)
        self.assertEqual((shown["priority"], shown["name"]), (7, "kept"))
        self.assertEqual(len(self.evidence()), 1000)

    def test_patience_with_a_job_that_does_not_start_is_limited(self):
        gate = self.pipe("gate")
        blocker = self.shell_job("read _ < gate")
        job = self.shell_job("echo never >> ran", "--start-within", "1s", "--after", blocker)
        shown = self.cluster.wait(job, code=1)
        self.assertEqual(shown["state"], "skipped")
        self.assertIn("start", shown["reason"])
        gate.release()
        self.cluster.wait(blocker)
        self.assertEqual(self.evidence(), [])

    def test_wishes_for_what_is_over_or_never_was_are_refused(self):
        job = self.shell_job("true")
        self.cluster.wait(job)
        for command in (["hold", job], ["release", job], ["job", "set", job, "--priority", "1"]):
            self.cluster.leat(*command, code=4)
        for command in (["hold", 999999], ["release", 999999], ["retry", 999999, "--failed"],
                        ["job", "set", 999999, "--name", "x"], ["retry", job],
                        ["job", "set", job], ["job", "set", job, "--priority", "high"]):
            self.cluster.leat(*command, code=2)


class JobFileTest(ClusterTest):
    def test_a_printed_file_makes_the_same_job(self):
        script = 'echo "$LEAT_TASK_INDEX $GREETING"'
        words = ["--array", "1-5", "--env", "GREETING=hello you", "--reduce", "/usr/bin/sort",
                 "--name", "greet"]
        text = self.cluster.leat("submit", *words, "--print-file", "--", "/bin/sh", "-c", script)
        (self.folder / "greet.toml").write_text(text)
        job = self.submit(self.folder / "greet.toml")
        self.cluster.wait(job)
        self.assertEqual(self.cluster.job(job)["name"], "greet")
        self.assertEqual(self.cluster.result(job).decode(),
                         "".join(f"{n} hello you\n" for n in range(1, 6)))
        other = self.submit(self.folder / "greet.toml", "--env", "GREETING=bye", "--array", "2")
        self.cluster.wait(other)
        self.assertEqual(self.cluster.result(other), b"2 bye\n")

    def test_mistakes_in_a_file_are_named_by_line_and_column(self):
        bad = self.folder / "bad.toml"
        for text, place in (('command = ["/bin/true"]\ncpus = "many"\n', "bad.toml:2:8: cpus"),
                            ('command = ["/bin/true"]\ncolour = "red"\n', "bad.toml:2:1: unknown"),
                            ('command = "/bin/true"\n', "bad.toml:1:11: command"),
                            ('command = ["/bin/true"]\nafter = ["9999999"]\n', "job 9999999"),
                            ('command = ["/bin/true"\n', "bad.toml:1:24:")):
            bad.write_text(text)
            done = self.cluster.run("submit", bad)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(place, done.stderr.decode())


if __name__ == "__main__":
    main()
