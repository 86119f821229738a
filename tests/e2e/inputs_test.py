"""inputs_test.py - what tasks are made of and read: files, JSON lines, one standard input; and
plain files of output."""

import json
import os

from support import ClusterTest, main


class InputsTest(ClusterTest):
    def test_each_file_is_a_task(self):
        data = self.folder / "data"
        (data / "sub").mkdir(parents=True)
        for name in ("a.txt", "b b.txt", "c.dat"):
            (data / name).write_text(f"content of {name}\n")
        job = self.submit("--each-file", "data/*.txt", "--each-file", "data/*", "--", "/bin/sh",
                          "-c", 'echo "$LEAT_INPUT"; cat "$1"; cat', "sh", "{}")
        self.cluster.wait(job)
        self.assertEqual(self.cluster.job(job)["counts"]["total"], 3)
        for index, name in enumerate(("a.txt", "b b.txt", "c.dat")):
            self.assertEqual(self.log(f"{job}.{index}").decode(),
                             f"{data / name}\ncontent of {name}\n")

    def test_each_json_object_is_a_task(self):
        objects = [{"seed": 7, "name": "it's"}, {"seed": 8.5, "name": "", "more": [1, 2]}]
        text = "\n\n".join(json.dumps(o) for o in objects)
        (self.folder / "sweep").write_text(text)
        job = self.submit("--from-json", "sweep", "--", "/bin/sh", "-c",
                          'echo "$1|$2|$3"; cat', "sh", "seed={seed}", "{name}", "{other}")
        self.cluster.wait(job)
        first, second = self.log(f"{job}.0").decode(), self.log(f"{job}.1").decode()
        self.assertTrue(first.startswith("seed=7|it's|{other}\n"), first)
        self.assertEqual(json.loads(first.split("\n", 1)[1]), objects[0])
        self.assertTrue(second.startswith("seed=8.5||{other}\n"), second)
        self.assertEqual(json.loads(second.split("\n", 1)[1]), objects[1])

    def test_one_standard_input_for_all_tasks(self):
        text = "".join(f"line {n}\n" for n in range(50_000)).encode()
        (self.folder / "in").write_bytes(text)
        job = self.submit("--stdin", "in", "--array", "0-19", "--", "/usr/bin/cksum")
        self.cluster.wait(job)
        self.assertEqual(len({self.log(f"{job}.{n}") for n in range(20)}), 1)
        other = self.cluster.submit("--stdin", "-", "--", "/bin/cat", stdin=b"piped")
        self.cluster.wait(other)
        self.assertEqual(self.log(f"{other}.0"), b"piped")

    def test_inputs_survive_a_store_that_is_killed(self):
        (self.folder / "lines").write_text("".join(f"{n}\n" for n in range(2000)))
        job = self.submit("--each-line", "lines", "--reduce", "/bin/cat", "--", "/bin/cat")
        os.kill(self.cluster.pid("leat-store"), 9)
        self.cluster.wait(job)
        self.assertEqual(self.cluster.result(job).decode(), "".join(f"{n}\n" for n in range(2000)))

    def test_output_also_as_plain_files(self):
        job = self.submit("--array", "1-20", "--output-dir", "out/of/today", "--", "/bin/sh", "-c",
                          "echo out $LEAT_TASK_INDEX; echo err >&2; [ $LEAT_TASK_INDEX != 7 ]")
        self.cluster.wait(job, code=1)
        names = {f"{job}.{n}.{end}" for n in range(1, 21) for end in ("out", "err")}
        self.assertEqual({path.name for path in (self.folder / "out/of/today").iterdir()}, names)
        self.assertEqual((self.folder / "out/of/today" / f"{job}.7.out").read_text(), "out 7\n")
        self.assertEqual(self.log(f"{job}.7"), b"out 7\n")

    def test_bad_inputs_change_nothing(self):
        (self.folder / "bad.json").write_text('{"n": 1}\n\nnot json\n')
        (self.folder / "empty").write_text("")
        before = self.cluster.json("job", "list")["jobs"]
        for code, saying, args in (
                (2, "line 3: is not JSON", ["--from-json", "bad.json"]),
                (2, "empty", ["--from-json", "empty"]),
                (2, "matches no file", ["--each-file", "*.none"]),
                (2, "No such file", ["--stdin", "none"]),
                (2, "give one of them", ["--stdin", "empty", "--each-line", "bad.json"])):
            done = self.cluster.run("submit", *args, "--", "/bin/true", cwd=str(self.folder))
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertEqual(done.stdout, b"")
            self.assertIn(saying, done.stderr.decode())
            self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertEqual(self.cluster.json("job", "list")["jobs"], before)


class QuotaTest(ClusterTest):
    def test_a_blob_over_quota_is_refused_in_one_line(self):
        self.cluster.leat("up", "--store-quota", "100K")
        (self.folder / "large").write_bytes(b"x" * 200_000)
        (self.folder / "small").write_bytes(b"x" * 50_000)
        done = self.cluster.run("submit", "--stdin", "large", "--", "/usr/bin/wc", "-c",
                                cwd=str(self.folder))
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(done.stdout, b"")
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn(b"large: leat-store has no room", done.stderr)
        self.assertEqual(self.cluster.json("job", "list")["jobs"], [])
        self.cluster.leat("submit", "--stdin", "small", "--wait", "--", "/usr/bin/wc", "-c",
                          cwd=str(self.folder))
        self.cluster.leat("up", "--store-quota", "1M")
        self.cluster.leat("submit", "--stdin", "large", "--wait", "--", "/usr/bin/wc", "-c",
                          cwd=str(self.folder))


if __name__ == "__main__":
    main()
