#!/usr/bin/env python3
"""ensemble_test.py MPIEXEC ENSEMBLE HEAT FOLDER - plates of many gangs, reduced exactly."""

import json
import pathlib
import statistics
import subprocess
import sys
import tomllib
import unittest
import xml.etree.ElementTree

import ranks

ranks.RanksTest.mpiexec, ENSEMBLE, HEAT, FOLDER = sys.argv[1:5]
SVG = "{http://www.w3.org/2000/svg}"
PLATES = [{"size": 16, "steps": 60, "conductivity": conductivity, "seed": seed}
          for conductivity in (0.1, 0.25) for seed in (1, 2, 3)]


def run(mode: str, text: bytes, **variables: object) -> subprocess.CompletedProcess:
    return subprocess.run([ENSEMBLE, mode], input=text, capture_output=True, timeout=60,
                          env={**ranks.ENVIRONMENT,
                               **{name: str(value) for name, value in variables.items()}})


def reduced(text: bytes) -> bytes:
    done = run("reduce", text)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    return done.stdout


def shown(text: bytes) -> dict[str, dict[str, float]]:
    """Of all, and of each conductivity."""
    done = run("show", text)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    lines = [line.removeprefix("conductivity ").split()
             for line in done.stdout.decode().splitlines()]
    return {of: dict(zip(rest[::2], map(float, rest[1::2]))) for of, *rest in lines}


class EnsembleTest(ranks.RanksTest):
    def plate(self, index: int, gang: int = 1) -> bytes:
        result = self.ranks(gang, ENSEMBLE, LEAT_JOB_ID=17, LEAT_STAGE=0, LEAT_TASK_INDEX=index,
                            LEAT_TASK_COUNT=len(PLATES), LEAT_INPUT=json.dumps(PLATES[index]),
                            LEAT_CHECKPOINT_DIR="kept")
        for rank in range(1, gang):
            self.assertEqual(self.written("out", rank), b"")
        return result

    def mean_of(self, plate: dict) -> float:
        said = self.ranks(1, HEAT, "--input", json.dumps(plate)).split()
        return float(said[said.index(b"mean") + 1])

    def assert_is(self, moments: dict[str, float], values: list[float]) -> None:
        self.assertEqual(moments["runs"], len(values))
        self.assertAlmostEqual(moments["mean"], statistics.fmean(values), places=12)
        self.assertAlmostEqual(moments["variance"], statistics.pvariance(values), places=12)
        self.assertEqual((moments["lowest"], moments["highest"]), (min(values), max(values)))

    def test_gangs_and_their_reduce_make_the_statistics_of_single_runs(self):
        results = [self.plate(index, gang=2 if index < 2 else 1) for index in range(len(PLATES))]
        means = [self.mean_of(plate) for plate in PLATES]
        whole = reduced(b"".join(results))
        of = shown(whole)
        self.assertEqual(list(of), ["all", "0.1", "0.25"])
        self.assert_is(of["all"], means)
        self.assert_is(of["0.1"], means[:3])
        self.assert_is(of["0.25"], means[3:])
        self.assert_any_tree_gives(whole, results)
        self.assert_exact(results)
        self.assert_drawn(run("plot", whole).stdout, of)

    def assert_any_tree_gives(self, whole: bytes, results: list[bytes]) -> None:
        for width in (2, 4):
            level = results
            while len(level) > 1:
                level = [reduced(b"".join(level[at:at + width]))
                         for at in range(0, len(level), width)]
            self.assertEqual(level, [whole])
        # A gang of another size, run again after a loss, is the same plate.
        self.assertEqual(self.plate(5, gang=4), results[5])

    def assert_exact(self, results: list[bytes]) -> None:
        last = {"LEAT_JOB_ID": 17, "LEAT_STAGE": 1, "LEAT_TASK_COUNT": 1}
        for text, why in ((results + results[3:4], b"counted twice: 3"),
                          (results[:5], b"not the whole: covers 5 of 6 elements (0-4)")):
            done = run("reduce", b"".join(text), **last)
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            self.assertIn(why, done.stderr)

    def assert_drawn(self, drawing: bytes, of: dict[str, dict[str, float]]) -> None:
        root = xml.etree.ElementTree.fromstring(drawing)
        titles = [title.text for title in root.iter(SVG + "title")]
        self.assertEqual([title.split(":")[0] for title in titles],
                         ["conductivity 0.1", "conductivity 0.25"])
        self.assertIn(f"3 runs, mean {of['0.1']['mean']:.6g}, ", titles[0])
        # The further up, the warmer.
        left, right = [float(point.get("cy")) for point in root.iter(SVG + "circle")]
        self.assertEqual(left < right, of["0.1"]["mean"] > of["0.25"]["mean"])
        self.assertNotEqual(left, right)

    def test_a_cancelled_plate_is_no_result(self):
        fd = self.listen()
        started = self.start(2, ENSEMBLE, "--size", 60, "--steps", 1_000_000_000)
        self.progress(fd)
        self.kill(1, ranks.signal.SIGTERM)
        self.assertEqual(started.wait(ranks.DEADLINE_S), 143)
        self.assertEqual(self.written("out"), b"")

    def test_its_job_file_names_plates_that_can_be_run(self):
        folder = pathlib.Path(FOLDER)
        job = tomllib.loads((folder / "ensemble.toml").read_text())
        lines = (folder / job["from_json"]).read_text().splitlines()
        plates = [json.loads(line) for line in lines]
        self.assertEqual(len({line for line in lines}), 20)
        self.assertEqual({frozenset(plate) for plate in plates},
                         {frozenset(("size", "steps", "conductivity", "seed"))})
        self.assertEqual([job["command"], job["reduce"], job["reduce_arg"]],
                         [["ensemble"], "ensemble", ["reduce"]])
        self.ranks(1, ENSEMBLE, "--input", json.dumps({**plates[-1], "steps": 1}))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
