#!/usr/bin/env python3
"""hpcc_test.py MPIEXEC FOLDER - Debian's hpcc takes our input file, and its results are right."""

import pathlib
import re
import shutil
import sys
import tomllib
import unittest

import ranks

ranks.RanksTest.mpiexec, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
HPCC = shutil.which("hpcc")


class HpccTest(ranks.RanksTest):
    @unittest.skipUnless(HPCC, "there is no hpcc; tools/setup installs it")
    def test_its_checks_pass_on_as_many_ranks_as_the_job_file_says(self):
        job = tomllib.loads((FOLDER / "hpcc.toml").read_text())
        self.assertEqual(job["command"], ["hpcc"])
        shutil.copy(FOLDER / "hpccinf.txt", self.folder)
        self.ranks(job["nodes"] * job["ranks_per_node"], HPCC)
        told = (self.folder / "hpccoutf.txt").read_text()
        self.assertIn("\nSuccess=1\n", told)
        self.assertIn("\nCommWorldProcs=4\n", told)
        self.assertIn("\nHPL_N=400\n", told)
        self.assertGreater(len(re.findall(r"PASSED|passed", told)), 5)
        self.assertEqual(re.findall(r"FAILED|\b[1-9]\d* tests completed and failed", told), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
