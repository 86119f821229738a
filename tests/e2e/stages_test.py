"""stages_test.py - a job of several stages from one file: exact, through kills of head and node."""

from support import ClusterTest, main

PIPELINE = """
name = "pipeline"
retries = 3

[[stage]]
name = "prepare"
command = ["sh", "-c", "echo prepared >> prepared; echo x > started; read _ < gate"]

[[stage]]
name = "simulate"
after = ["prepare"]
array = "1-400"
command = ["sh", "-c", "test -s prepared || exit 1; echo $LEAT_TASK_INDEX | tee -a ran"]

[[stage]]
name = "look"
after = [{stage = "simulate", each = true}]
array = "1-400"
command = ["sh", "-c", "grep -qx $LEAT_TASK_INDEX ran && echo $LEAT_TASK_INDEX >> looked"]

[[stage]]
name = "sum"
reduces = "simulate"
width = 8
command = ["awk", "{ n += $1 } END { printf \\"%d\\\\n\\", n }"]

[[stage]]
name = "report"
reduces = "sum"
command = ["sed", "s/^/the sum is /"]
result = true

[[stage]]
name = "clean-up"
after = [{stage = "report", on = "any"}]
command = ["sh", "-c", "echo clean >> cleaned"]

[[stage]]
name = "mourn"
after = [{stage = "report", on = "failure"}]
command = ["sh", "-c", "echo alas >> cleaned"]
"""

TO_MEND = """
[[stage]]
name = "first"
command = ["sh", "-c", "echo first >> ran"]

[[stage]]
name = "a"
after = ["first"]
array = "1-4"
command = ["sh", "-c", "echo a$LEAT_TASK_INDEX >> ran; [ -e mended ] || [ $LEAT_TASK_INDEX != 3 ]"]

[[stage]]
name = "b"
after = [{stage = "a", each = true}]
array = "1-4"
command = ["sh", "-c", "[ ! -e mended ] || echo b$LEAT_TASK_INDEX >> said"]

[[stage]]
name = "c"
after = ["b"]
command = ["sh", "-c", "echo done >> said"]

[[stage]]
name = "mourn"
after = [{stage = "a", on = "failure"}]
command = ["sh", "-c", "echo alas >> said"]
"""


class StagesTest(ClusterTest):
    nodes = 3

    def submit_file(self, text: str, name: str) -> int:
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.submit(name)

    def stages(self, job: int) -> dict[str, dict]:
        return {stage.get("name"): stage for stage in self.cluster.job(job)["stages"]}

    def test_a_pipeline_is_exact_whoever_dies(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.submit_file(PIPELINE, "pipeline.toml")
        started.lines(1)
        self.assertEqual(self.stages(job)["simulate"]["waiting"], 400)
        self.assertIn("waits for stage prepare: 1 of 1 tasks left", self.cluster.leat("why", job))
        self.cluster.kill_head()
        gate.release(1)
        self.cluster.up()
        for share in (50, 150, 300):
            self.cluster.until(lambda done=share: len(self.evidence()) >= done, "progress")
            self.cluster.kill_head()
            self.cluster.up()
        self.cluster.kill_node(self.cluster.node_ids()[-1])
        self.cluster.wait(job, seconds=180)
        self.assertEqual(self.cluster.result(job), b"the sum is 80200\n")
        stages = self.stages(job)
        self.assertEqual(stages["look"]["succeeded"], 400)
        self.assertEqual(set(self.evidence("looked")), {str(n) for n in range(1, 401)})
        self.assertEqual(self.evidence("cleaned"), ["clean"])
        self.assertEqual(stages["mourn"]["skipped"], 1)
        self.assertEqual(self.cluster.job(job)["state"], "succeeded")
        self.assertIn("simulate", self.cluster.leat("job", "show", job))

    def test_a_failed_stage_fails_the_job_and_runs_what_is_there_for_it(self):
        job = self.submit_file(
            '[[stage]]\nname = "a"\narray = "0-3"\n'
            'command = ["sh", "-c", "exit $LEAT_TASK_INDEX"]\n'
            '[[stage]]\nname = "b"\nafter = [{stage = "a", each = true}]\narray = "0-3"\n'
            'command = ["true"]\n'
            '[[stage]]\nname = "c"\nafter = [{stage = "a", on = "failure"}]\n'
            'command = ["true"]\n', "failing.toml")
        self.cluster.wait(job, code=1)
        stages = self.stages(job)
        self.assertEqual(self.cluster.job(job)["state"], "failed")
        self.assertEqual((stages["b"]["succeeded"], stages["b"]["skipped"]), (1, 3))
        self.assertEqual(stages["c"]["succeeded"], 1)

    def test_a_retry_runs_what_did_not_succeed_and_what_comes_after_it(self):
        job = self.submit_file(TO_MEND, "to_mend.toml")
        self.cluster.wait(job, code=1)
        self.assertEqual(self.evidence("said"), ["alas"])
        (self.folder / "mended").touch()
        (self.folder / "ran").unlink()
        self.cluster.kill_head()
        self.cluster.up()
        retry = ("retry", job, "--failed", "--wait", "--key", "mended")
        again = int(self.cluster.leat(*retry))
        self.cluster.kill_head()
        self.cluster.up()
        self.assertEqual(int(self.cluster.leat(*retry)), again)
        self.assertEqual(self.evidence(), ["a3"])
        self.assertEqual(self.evidence("said"), ["alas", "b3", "done"])
        shown = self.cluster.job(again)
        self.assertEqual((shown["retry_of"], shown["state"]), (job, "succeeded"))
        self.assertEqual([(stage["name"], stage["total"], stage["skipped"])
                          for stage in shown["stages"]],
                         [("a", 1, 0), ("b", 1, 0), ("c", 1, 0), ("mourn", 1, 1)])
        self.assertIn("no task that ended without success",
                      self.cluster.run("retry", again, "--failed").stderr.decode())

    def test_a_reduce_is_retried_with_all_that_it_reads(self):
        job = self.submit_file(
            'command = ["sh", "-c", "echo $LEAT_TASK_INDEX >> ran; echo $LEAT_TASK_INDEX; '
            '[ -e mended ] || [ $LEAT_TASK_INDEX != 3 ]"]\n'
            'array = "1-5"\nreduce = "awk"\n'
            'reduce_arg = ["{ n += $1 } END { print n }"]\nreduce_width = 2\n', "sum.toml")
        self.cluster.wait(job, code=1)
        (self.folder / "mended").touch()
        (self.folder / "ran").unlink()
        retried = self.cluster.run("retry", job, "--failed")
        self.assertEqual(retried.returncode, 0, retried.stderr)
        self.assertIn(b"leat: runs again although it had succeeded: 4 tasks of stage 0",
                      retried.stderr)
        again = int(retried.stdout)
        self.cluster.wait(again)
        self.assertEqual(self.cluster.result(again), b"15\n")
        self.assertEqual(sorted(self.evidence()), ["1", "2", "3", "4", "5"])

    def test_a_file_prints_as_it_was(self):
        (self.folder / "first.toml").write_text(PIPELINE, encoding="utf-8")
        printed = self.cluster.leat("submit", "--print-file", self.folder / "first.toml")
        (self.folder / "again.toml").write_text(printed, encoding="utf-8")
        self.assertEqual(self.cluster.leat("submit", "--print-file", self.folder / "again.toml"),
                         printed)


if __name__ == "__main__":
    main()
