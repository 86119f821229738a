#!/usr/bin/env python3
"""program_test.py PI - a program of the SDK alone, as tasks, and as the steps of their reduce."""

import math
import os
import pty
import subprocess
import sys
import unittest

PI = sys.argv[1]
SLICES = 256


def run(*args: str, text: bytes = b"", **variables: object) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("LEAT_")}
    environment.update({name: str(value) for name, value in variables.items()})
    return subprocess.run([PI, *args], input=text, capture_output=True, timeout=120,
                          env=environment)


def task(index: int, count: int, job: int = 17) -> bytes:
    done = run(LEAT_JOB_ID=job, LEAT_STAGE=0, LEAT_TASK_INDEX=index, LEAT_TASK_COUNT=count,
               LEAT_ATTEMPT=1, LEAT_CPUS=1)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    return done.stdout


def reduced(text: bytes, **variables: object) -> bytes:
    done = run("reduce", text=text, **variables)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    return done.stdout


def shown(text: bytes) -> str:
    done = run("show", text=text)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    return done.stdout.decode()


class ProgramTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        done = run()
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        cls.plain = shown(done.stdout)

    def refused(self, why: str, *args: str, **options) -> None:
        done = run(*args, **options)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(why, done.stderr.decode())
        self.assertEqual(len(done.stderr.decode().splitlines()), 1)

    def test_alone_it_knows_pi(self):
        lines = dict(line.split() for line in self.plain.splitlines())
        self.assertAlmostEqual(float(lines["pi"]), math.pi, places=12)
        self.assertEqual(int(lines["points"]), SLICES * 20_000)
        # The mean of the square is 16 times the integral of (1 + x^2)^-2.
        self.assertAlmostEqual(float(lines["variance"]), 2 * math.pi + 4 - math.pi ** 2, places=9)
        self.assertAlmostEqual(float(lines["lowest"]), 2, places=6)
        self.assertAlmostEqual(float(lines["highest"]), 4, places=6)

    def test_at_a_terminal_it_is_readable(self):
        ours, its = pty.openpty()
        done = subprocess.run([PI], stdin=subprocess.DEVNULL, stdout=its, timeout=120)
        os.close(its)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(os.read(ours, 4096).decode().replace("\r\n", "\n"), self.plain)
        os.close(ours)

    def test_as_tasks_of_any_number_it_has_the_same_digits(self):
        for count in (1, 3, 16):
            outputs = [task(index, count) for index in range(count)]
            self.assertEqual(shown(reduced(b"".join(outputs))), self.plain)
            for width in (2, 5):
                level = outputs
                while len(level) > 1:
                    level = [reduced(b"".join(level[at:at + width]))
                             for at in range(0, len(level), width)]
                self.assertEqual(shown(level[0]), self.plain, (count, width))

    def test_with_more_tasks_than_slices_some_have_nothing(self):
        self.assertLess(len(task(SLICES, SLICES + 1)), len(task(0, SLICES + 1)))
        self.assertEqual(shown(reduced(task(SLICES, SLICES + 1) + task(0, 1))), self.plain)

    def test_what_comes_twice_or_from_elsewhere_is_refused(self):
        first, second = task(0, 4), task(1, 4)
        self.refused("reduce: counted twice: 0-63\n", "reduce", text=first + second + first)
        self.refused("reduce: results of different jobs: 17.0 and 18.0\n", "reduce",
                     text=first + task(1, 4, job=18))
        self.refused("envelope 2: does not begin as one", "reduce", text=first + b"hello\n")
        self.refused("envelope 2: the stream ends after", "reduce", text=first + second[:-1])

    def test_only_the_last_step_needs_the_whole(self):
        parts = task(0, 4) + task(2, 4)
        step = {"LEAT_JOB_ID": 17, "LEAT_TASK_INDEX": 0, "LEAT_ATTEMPT": 1, "LEAT_CPUS": 2}
        between = reduced(parts, **step, LEAT_STAGE=1, LEAT_TASK_COUNT=2)
        why = "not the whole: covers 128 of 256 elements (0-63, 128-191)\n"
        self.refused(why, "reduce", text=between, **step, LEAT_STAGE=2, LEAT_TASK_COUNT=1)
        self.refused(why, "show", text=between)
        whole = reduced(task(3, 4) + between + task(1, 4), **step, LEAT_STAGE=2, LEAT_TASK_COUNT=1)
        self.assertEqual(shown(whole), self.plain)

    def test_an_array_that_does_not_begin_at_zero_is_refused(self):
        self.refused("number the tasks from 0 (--array 0-3)", LEAT_JOB_ID=17, LEAT_TASK_INDEX=4,
                     LEAT_TASK_COUNT=4)

    def test_a_full_disk_is_not_success(self):
        with open("/dev/full", "wb") as full:
            for args in ([], ["reduce"]):
                done = subprocess.run([PI, *args], input=b"", stdout=full, stderr=subprocess.PIPE,
                                      timeout=120)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"standard output", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
