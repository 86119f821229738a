#!/usr/bin/env python3
"""latency_test.py MPIEXEC LATENCY - the figures of a gang's network are there, and plausible."""

import json
import sys
import unittest

import ranks

ranks.RanksTest.mpiexec, LATENCY = sys.argv[1:3]
SIZES = [0, *(2 ** power for power in range(23))]


class LatencyTest(ranks.RanksTest):
    def measured(self, on: int) -> dict:
        return json.loads(self.ranks(on, LATENCY, "--json", "--effort", 0.001))

    def assert_plausible(self, told: dict) -> None:
        self.assertEqual((told["version"], told["pair"]), (1, [0, 1]))
        self.assertEqual([row["bytes"] for row in told["sizes"]], SIZES)
        for row in told["sizes"]:
            # Less than a second, and not faster than memory.
            self.assertTrue(0.01 < row["latency_us"] < 1e6, row)
            if row["bytes"]:
                self.assertTrue(0 < row["bandwidth_mb_s"] < 1e6, row)
        self.assertNotIn("bandwidth_mb_s", told["sizes"][0])
        self.assertGreater(told["sizes"][-1]["bandwidth_mb_s"], told["sizes"][1]["bandwidth_mb_s"])

    def test_two_ranks_have_all_sizes_and_no_worst_pair(self):
        told = self.measured(2)
        self.assert_plausible(told)
        self.assertEqual(told["ranks"], 2)
        self.assertNotIn("pairs", told)

    def test_of_more_ranks_the_worst_pair_is_named(self):
        told = self.measured(3)
        self.assert_plausible(told)
        pairs = told["pairs"]["all"]
        self.assertEqual([row["pair"] for row in pairs], [[0, 1], [0, 2], [1, 2]])
        self.assertTrue(all(0.01 < row["latency_us"] < 1e6 for row in pairs), pairs)
        self.assertEqual(told["pairs"]["slowest"], max(pairs, key=lambda row: row["latency_us"]))
        self.assertEqual(told["pairs"]["narrowest"],
                         min(pairs, key=lambda row: row["bandwidth_mb_s"]))

    def test_people_get_a_table_with_a_line_for_each_size(self):
        said = self.ranks(3, LATENCY, "--effort", 0.001).decode().splitlines()
        self.assertEqual(said[0], "ranks 0 and 1 of 3")
        self.assertEqual([int(line.split()[0]) for line in said[2:-1]], SIZES)
        self.assertRegex(said[-1], r"^worst of all pairs: 8 bytes [\d.]+ us \(ranks \d and \d\), ")

    def test_what_cannot_be_measured_is_refused_in_one_line(self):
        for options, why in (([], "needs two ranks or more"), (["--jsno"], "usage: latency"),
                             (["--effort", 0], "--effort needs a number above 0"),
                             (["--effort"], "--effort needs a number above 0")):
            self.ranks(1, LATENCY, *options, code=2)
            self.assertIn(why, self.written("err").decode())
            self.assertEqual(len(self.written("err").splitlines()), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
