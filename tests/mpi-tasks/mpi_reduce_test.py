#!/usr/bin/env python3
"""mpi_reduce_test.py MPIEXEC RANKS PI - reductions over the ranks of a real MPI program."""

import os
import subprocess
import sys
import unittest

MPIEXEC, RANKS, PI = sys.argv[1:4]
SIZES = (1, 2, 3, 5, 8)


def start(*args: object) -> list[str]:
    # The leaks are those of MPI.
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([str(arg) for arg in args], capture_output=True, text=True, timeout=200,
                          env=environment, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.replace("\r", "").splitlines()


class MpiReduceTest(unittest.TestCase):
    def ranks(self, size: int, program: str, *args: str) -> list[str]:
        return start(MPIEXEC, "--oversubscribe", "-n", size, program, *args)

    def assert_right(self, mode: str, *sizes: int) -> None:
        for size in sizes:
            self.assertEqual(sorted(self.ranks(size, RANKS, mode)),
                             [f"rank {rank} is right" for rank in range(size)])

    def test_ranks_are_reduced_in_order_at_any_root(self):
        self.assert_right("values", *SIZES)

    def test_an_element_that_comes_twice_is_refused_and_nobody_waits(self):
        self.assert_right("twice", 2, 3, 5)

    def test_values_of_a_megabyte_pass(self):
        self.assert_right("large", 3)

    def test_any_number_of_ranks_prints_the_digits_of_the_plain_program(self):
        # mpirun gives its ranks a terminal, so rank 0 prints for people.
        plain = self.ranks(1, PI)
        self.assertTrue(plain[0].startswith("pi 3.14159"), plain)
        for size in SIZES[1:]:
            self.assertEqual(self.ranks(size, PI), plain, size)

    def test_to_reduce_and_to_show_it_needs_no_ranks(self):
        one = subprocess.run([PI, "reduce"], input=b"", capture_output=True, timeout=60)
        self.assertEqual((one.returncode, one.stderr), (0, b""))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
