"""examples_test.py - the examples, typed as their READMEs say, make what these promise."""

import datetime
import json
import pathlib
import re
import shutil
import struct
import subprocess
import xml.etree.ElementTree
import zlib

from support import DEADLINE_S, PROGRAMS, ClusterTest, left_by_mpi, main

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
SVG = "{http://www.w3.org/2000/svg}"
MPI_BLOCKS = 7  # of the README of examples/mpi


def indented_blocks(readme: pathlib.Path) -> list[str]:
    blocks = re.findall(r"(?:^    .*\n)+", readme.read_text(), re.M)
    return ["".join(line[4:] + "\n" for line in block.splitlines()) for block in blocks]


def rows_of_png(data: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and the rows with their filters, of a picture of 8 bits and three colours."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", data[:8]
    chunks, at = {b"IDAT": b""}, 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + body), kind
        chunks[kind] = chunks[kind] + body if kind == b"IDAT" else body
        at += size + 12
    assert kind == b"IEND", kind
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [8, 2, 0, 0, 0], form
    raw = zlib.decompress(chunks[b"IDAT"])
    rows = [raw[at:at + 3 * width + 1] for at in range(0, len(raw), 3 * width + 1)]
    assert len(rows) == height and all(len(row) == 3 * width + 1 for row in rows)
    return width, height, rows


def pixels_of_png(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and the rows of such a picture without filters."""
    width, height, rows = rows_of_png(data)
    assert all(row[0] == 0 for row in rows)
    return width, height, b"".join(row[1:] for row in rows)


def pixels_of_ppm(data: bytes) -> tuple[int, int, bytes]:
    kind, size, depth, pixels = data.split(b"\n", 3)
    assert (kind, depth) == (b"P6", b"255")
    width, height = map(int, size.split())
    assert len(pixels) == 3 * width * height
    return width, height, pixels


class ExampleTest(ClusterTest):
    """Types commands in a copy of the examples, so that what they make goes with the test."""

    def setUp(self):
        super().setUp()
        self.examples = self.folder / "examples"
        shutil.copytree(EXAMPLES, self.examples)

    def start(self, folder: str, script: str) -> subprocess.Popen:
        started = self.enterContext(subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c",
             f"export PATH={PROGRAMS.resolve()}:$PATH\n{script}"],
            cwd=self.examples / folder, env=self.cluster.environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        self.addCleanup(started.kill)
        return started

    def end(self, started: subprocess.Popen, code: int = 0) -> tuple[str, str]:
        out, err = started.communicate(timeout=2 * DEADLINE_S)
        self.assertEqual(started.returncode, code, out + err)
        return out, err

    def type(self, folder: str, script: str, code: int = 0) -> tuple[str, str]:
        return self.end(self.start(folder, script), code)

    def blocks(self, folder: str, number: int) -> list[str]:
        found = indented_blocks(self.examples / folder / "README.md")
        self.assertEqual(len(found), number)
        return found

    def jobs(self) -> list[dict]:
        """The oldest first."""
        return self.cluster.json("job", "list")["jobs"][::-1]


class FirstPageTest(ExampleTest):
    def test_the_first_page_leads_to_a_picture(self):
        self.cluster.leat("down")
        self.type(".", self.blocks(".", 1)[0])
        whole = self.type("tiles", "./render_stripe 480 320 | ./to_png | sha256sum")
        self.assertEqual(self.type("tiles", "sha256sum < mandelbrot.png"), whole)
        self.assertEqual(self.cluster.processes(), [])
        self.cluster.up()

    def test_every_folder_and_pool_is_on_it(self):
        page = (EXAMPLES / "README.md").read_text()
        for path in EXAMPLES.iterdir():
            if path.is_dir():
                self.assertIn(f"| [{path.name}/]({path.name}) |", page)
            elif path.suffix == ".toml":
                self.assertIn(f"]({path.name})", page)


class TilesTest(ExampleTest):
    def whole(self, width: int, height: int) -> tuple[int, int, bytes]:
        """As one stripe, without Leat."""
        done = subprocess.run([EXAMPLES / "tiles" / "render_stripe", str(width), str(height)],
                              capture_output=True, check=True, timeout=DEADLINE_S)
        return pixels_of_ppm(done.stdout)

    def test_the_stripes_become_the_picture(self):
        small, large = self.blocks("tiles", 2)
        self.type("tiles", small)
        made = (self.examples / "tiles" / "mandelbrot.png").read_bytes()
        picture = pixels_of_png(made)
        self.assertEqual(picture[:2], (480, 320))
        self.assertTrue(picture == self.whole(480, 320), "not the picture in one piece")
        # What everybody knows of it: black in the middle of the cardioid, not black beside it.
        at = 3 * (160 * 480 + 330)
        self.assertEqual(picture[2][at:at + 3], b"\0\0\0")
        self.assertGreater(len(set(struct.iter_unpack("3s", picture[2]))), 30)

        self.type("tiles", large)
        large = pixels_of_ppm((self.examples / "tiles" / "large.ppm").read_bytes())
        self.assertTrue(large == self.whole(960, 640), "not the picture in one piece")
        trees = [[stage["total"] for stage in self.cluster.job(job["id"])["stages"]]
                 for job in self.jobs()]
        self.assertEqual(trees, [[16, 4, 1], [64, 16, 4, 1]])

    def test_a_stripe_that_is_cut_off_makes_no_picture(self):
        self.type("tiles", "./render_stripe 60 40 > whole; head -c 5000 whole > cut")
        for script in ("./stack < cut", "cat whole cut | ./stack", "./stack < /dev/null",
                       "{ cat whole; echo more; } | ./stack", "./to_png < cut",
                       "{ cat whole; ./render_stripe 61 40; } | ./stack"):
            out, err = self.type("tiles", script, code=1)
            self.assertEqual(out, "")
            self.assertEqual(len(err.splitlines()), 1, err)


class SweepTest(ExampleTest):
    def test_the_plot_has_a_point_for_each_line_of_the_file(self):
        by_line, _ = self.blocks("sweep", 2)
        out, _ = self.type("sweep", by_line)
        parameters = [json.loads(line)
                      for line in (EXAMPLES / "sweep" / "sweep.jsonl").read_text().splitlines()]
        root = xml.etree.ElementTree.parse(self.examples / "sweep" / "percolation.svg").getroot()
        circles = root.findall(f"{SVG}circle")
        said = [circle.find(f"{SVG}title").text.split() for circle in circles]
        self.assertEqual(
            sorted((int(size), float(density), int(trials)) for size, density, trials, _ in said),
            sorted((p["size"], p["density"], p["trials"]) for p in parameters))
        # The higher the share, the higher the point.
        for circle, (_, _, trials, crossed) in zip(circles, said):
            self.assertAlmostEqual(float(circle.get("cy")),
                                   350 - 300 * int(crossed) / int(trials), places=1)
        self.assertEqual(len(root.findall(f"{SVG}polyline")), len({p["size"] for p in parameters}))

        shown = [line.split() for line in out.splitlines() if len(line.split()) == 4]
        self.assertEqual(len(shown), 1, out)
        here = parameters[17]
        again = subprocess.run(
            [EXAMPLES / "sweep" / "percolate", *(json.dumps(here[name]) for name in
                                                 ("size", "density", "trials", "seed"))],
            capture_output=True, check=True, timeout=DEADLINE_S)
        self.assertEqual(shown[0], again.stdout.decode().split())
        self.assertIn(shown[0], said)

    def test_the_sweep_by_number_estimates_pi(self):
        _, by_number = self.blocks("sweep", 2)
        out, _ = self.type("sweep", by_number)
        hits, throws, pi = out.splitlines()[-1].split()
        self.assertEqual(int(throws), 1000 * 10_000)
        self.assertAlmostEqual(float(pi), 4 * int(hits) / int(throws), places=5)
        self.assertAlmostEqual(float(pi), 3.1416, places=2)


class PiTest(ExampleTest):
    def test_tasks_and_their_tree_have_the_digits_of_the_plain_program(self):
        _, by_hand, *_ = self.blocks("mpi", MPI_BLOCKS)
        built = (PROGRAMS.parent / "examples").resolve()
        out, _ = self.type("mpi", f"export PATH={built}:$PATH\n{by_hand}")
        lines = out.splitlines()
        plain = lines[:6]
        self.assertTrue(plain[0].startswith("pi 3.14159265358979"), out)
        self.assertEqual(lines[-6:], plain)
        job = self.cluster.job(self.jobs()[-1]["id"])
        self.assertEqual([stage["total"] for stage in job["stages"]], [16, 4, 1])

    def test_what_is_not_the_whole_is_no_result(self):
        pi = str((PROGRAMS.parent / "examples" / "pi").resolve())
        # Three tasks that believe there is a fourth.
        job = self.submit("--array", "0-2", "--reduce", pi, "--reduce-arg", "reduce",
                          "--reduce-width", 2, "--", "/usr/bin/env", "LEAT_TASK_COUNT=4", pi)
        self.cluster.wait(job, code=1)
        self.assertIn(b"reduce: not the whole: covers 192 of 256 elements (0-191)\n",
                      self.log(f"{job}.2.0", "--stderr"))


class GangsTest(ExampleTest):
    """What examples/mpi says of job files, typed on nodes of one core."""

    def block(self, number: int) -> str:
        built = (PROGRAMS.parent / "examples").resolve()
        typed = self.blocks("mpi", MPI_BLOCKS)[number]
        self.assertIn("leat submit ", typed)
        # Open MPI leaks, which a sanitizer would call our programs' fault.
        return (f"export PATH={built}:$PATH\n"
                "export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0\n" +
                typed.replace("leat submit ", "leat submit --cpus 1 "))

    def type_mpi(self, folder: str, number: int) -> str:
        before = left_by_mpi()
        out, _ = self.type(f"mpi/{folder}", self.block(number))
        self.cluster.until(lambda: left_by_mpi() <= before,
                           f"nothing is left: {left_by_mpi() - before}")
        return out

    def assert_joined(self, shown: str, plates: list[dict]):
        """One line of all, and one for each conductivity; numbers that are of those plates."""
        lines = shown.splitlines()
        conductivities = sorted({plate["conductivity"] for plate in plates})
        self.assertEqual([line.split("  ")[0] for line in lines],
                         ["all", *(f"conductivity {c:g}" for c in conductivities)])
        for line, of in zip(lines, [plates, *([plate for plate in plates
                                               if plate["conductivity"] == c]
                                              for c in conductivities)]):
            words = line.split("  ")[1:]
            said = {name: float(number) for name, number in map(str.split, words)}
            self.assertEqual(said["runs"], len(of), line)
            self.assertLess(0, said["lowest"], line)
            self.assertLessEqual(said["lowest"], said["mean"], line)
            self.assertLessEqual(said["mean"], said["highest"], line)

    def test_an_ensemble_is_joined_and_drawn(self):
        folder = self.examples / "mpi" / "ensemble"
        out = self.type_mpi("ensemble", 3)
        plates = [json.loads(line) for line in (folder / "ensemble.jsonl").read_text().splitlines()]
        self.assert_joined(out[out.index("all  "):], plates)
        root = xml.etree.ElementTree.parse(folder / "ensemble.svg").getroot()
        self.assertEqual(len(root.findall(f".//{SVG}circle")),
                         len({plate["conductivity"] for plate in plates}))
        stages = self.cluster.job(self.jobs()[-1]["id"])["stages"]
        self.assertEqual([stage["succeeded"] for stage in stages], [len(plates), 3, 1])

    def test_a_pipeline_ends_in_a_report(self):
        folder = self.examples / "mpi" / "pipeline"
        out = self.type_mpi("pipeline", 4)
        plates = [json.loads(line) for line in (folder / "plates.jsonl").read_text().splitlines()]
        self.assert_joined(out[out.index("all  "):], plates)
        stages = self.cluster.job(self.jobs()[-1]["id"])["stages"]
        self.assertEqual([stage["succeeded"] for stage in stages], [1, 6, 2, 1, 1])
        self.assertEqual(stages[-1]["name"], "report")
        for plate in plates:
            name = f"{plate['conductivity']}-{plate['seed']}.png"
            width, height, _ = rows_of_png((folder / "plates" / name).read_bytes())
            self.assertEqual((width, height), (plate["size"], plate["size"]))
        xml.etree.ElementTree.parse(folder / "pipeline.svg")

    def test_the_hpc_challenge_passes_its_own_checks(self):
        summary = self.type_mpi("hpcc", 6)
        self.assertIn("\nSuccess=1\n", summary)
        self.assertIn("\nCommWorldProcs=4\n", summary)


class NightlyTest(ExampleTest):
    def setUp(self):
        super().setUp()
        self.here = self.examples / "nightly"
        self.before = len(self.jobs())

    def new_jobs(self) -> list[dict]:
        return self.jobs()[self.before:]

    def new_names(self) -> list[str]:
        return [job["name"] for job in self.new_jobs()]

    def expected(self, day: str) -> str:
        """The report by other means."""
        lines = [f"{'station':12} {'readings':>8} {'lowest':>8} {'mean':>8} {'highest':>8}"]
        everything = []
        for path in [*sorted((self.here / "inbox" / day).iterdir()), None]:
            if path is None:
                name, values = "all", everything
            else:
                name = path.stem
                values = [float(line.split()[1]) for line in path.read_text().splitlines()[:-1]]
                everything += values
            mean = round(sum(values), 1) / len(values)
            lines.append(f"{name:12} {len(values):8} {min(values):8.1f} {mean:8.1f} "
                         f"{max(values):8.1f}")
        return "\n".join(lines) + "\n"

    def report(self, day: str) -> str:
        return (self.here / "reports" / f"{day}.txt").read_text()

    def test_one_day_is_one_batch_however_often_it_is_started(self):
        self.cluster.leat("down")  # as after a reboot
        out, err = self.type("nightly", self.blocks("nightly", 3)[0])
        self.cluster.status()  # to know the daemons that it has started
        self.assertEqual((out, err), (self.expected("2024-03-09"), ""))  # else cron would mail
        self.assertEqual(self.report("2024-03-09"), self.expected("2024-03-09"))
        self.assertEqual(self.new_names(), ["ingest-2024-03-09", "report-2024-03-09"])
        ingest = self.new_jobs()[0]
        self.assertEqual(ingest["counts"]["succeeded"], 3)
        names = {path.name for path in (self.here / "summaries" / "2024-03-09").iterdir()}
        self.assertEqual(names, {f"{ingest['id']}.{n}.{end}" for n in range(3)
                                 for end in ("out", "err")})

    def test_a_wrong_file_makes_no_report_until_it_is_mended(self):
        out, err = self.type("nightly", self.blocks("nightly", 3)[2])
        self.assertIn("exit code 1\n", out, err)
        self.assertIn("2024-03-10/south.txt:6: is not HH:MM DEGREES", err)
        self.assertEqual(list((self.here / "reports").iterdir()), [])
        ingest, report = self.new_jobs()
        self.assertEqual((ingest["counts"]["succeeded"], ingest["counts"]["failed"]), (2, 1))
        self.assertEqual(self.cluster.job(ingest["id"])["retried"], 0)
        self.assertEqual(report["state"], "skipped")

        south = self.here / "inbox" / "2024-03-10" / "south.txt"
        south.write_text(south.read_text().replace("--.-", "7.2"))
        self.type("nightly", "./nightly.sh 2024-03-10", code=1)  # the day is still that batch
        self.assertEqual(len(self.new_jobs()), 2)
        self.type("nightly", "./nightly.sh 2024-03-10 mended")
        self.assertEqual(self.report("2024-03-10"), self.expected("2024-03-10"))
        self.assertEqual(len(self.new_jobs()), 4)

    def test_a_late_upload_is_tried_again_and_two_starts_at_once_are_one(self):
        day = self.here / "inbox" / "2024-03-11"
        shutil.copytree(self.here / "inbox" / "2024-03-09", day)
        whole = (day / "north.txt").read_text()
        (day / "north.txt").write_text(whole.removesuffix("end\n"))
        starts = [self.start("nightly", "./nightly.sh 2024-03-11") for _ in range(2)]
        ingest = self.cluster.until(self.new_jobs, "the batch is submitted")[0]["id"]
        self.cluster.until(lambda: "retry" in [cause["reason"] for cause in
                                               self.cluster.json("why", ingest)["causes"]],
                           "a task waits for its next try")
        (day / "north.txt").write_text(whole)
        for start in starts:
            self.end(start)
        self.assertEqual(self.report("2024-03-11"), self.expected("2024-03-11"))
        self.assertEqual(self.new_names(), ["ingest-2024-03-11", "report-2024-03-11"])
        self.assertGreaterEqual(self.cluster.job(ingest)["retried"], 1)

    def test_without_a_day_it_is_yesterday_and_without_files_there_is_no_batch(self):
        before = datetime.date.today()
        _, err = self.type("nightly", "./nightly.sh", code=2)
        looked_for = re.search(r"inbox/(\S+)/\*\.txt: matches no file", err)
        self.assertIsNotNone(looked_for, err)
        one = datetime.timedelta(days=1)  # and midnight may have struck
        self.assertIn(datetime.date.fromisoformat(looked_for[1]),
                      (before - one, datetime.date.today() - one))
        self.assertEqual(self.new_jobs(), [])

    def test_its_line_for_cron_is_one(self):
        line = self.blocks("nightly", 3)[1]
        self.assertRegex(line, r"^0 2 \* \* \*  PATH=\S+ \S+/nightly\.sh\n$")


if __name__ == "__main__":
    main()
