"""readme_test.py - what README.md tells a newcomer to type works, word for word."""

import pathlib
import re
import subprocess
import tempfile
import unittest

from support import PROGRAMS, Cluster, main

ROOT = pathlib.Path(__file__).resolve().parents[2]


def indented_block(heading: str) -> list[str]:
    """The first indented block below a heading of the README."""
    text = (ROOT / "README.md").read_text().split(f"\n## {heading}\n", 1)[1]
    block = re.search(r"(?:^    .*\n)+", text, re.M)[0]
    return [line[4:] for line in block.splitlines()]


class ReadmeTest(unittest.TestCase):
    def test_a_newcomer_gets_the_reduced_result_of_a_sweep(self):
        lines = indented_block("Your own sweep")
        self.assertTrue(lines[0].startswith("export PATH="))
        cluster = Cluster(PROGRAMS)
        self.addCleanup(cluster.close)
        script = "\n".join([f"export PATH={PROGRAMS.resolve()}:$PATH", *lines[1:]])
        done = subprocess.run(["bash", "-euc", script], cwd=ROOT, env=cluster.environment(),
                              capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        result = [line for line in done.stdout.decode().splitlines()
                  if re.fullmatch(r"\d+ \d+ 3\.\d+", line)]
        self.assertEqual(len(result), 1, done.stdout.decode())
        hits, throws, pi = result[0].split()
        self.assertEqual(int(throws), 1000 * 10000)
        self.assertAlmostEqual(float(pi), 4 * int(hits) / int(throws), places=5)
        self.assertEqual(cluster.processes(), [])

    def test_a_pool_comes_and_goes(self):
        cluster = Cluster(PROGRAMS)
        self.addCleanup(cluster.close)
        lines = indented_block("Pools that come and go, and other machines")
        script = "\n".join([f"export PATH={PROGRAMS.resolve()}:$PATH", *lines])
        done = subprocess.run(["bash", "-euc", script], cwd=ROOT, env=cluster.environment(),
                              capture_output=True, timeout=240, check=False)
        self.assertEqual(done.returncode, 0, done.stdout.decode() + done.stderr.decode())
        self.assertEqual(cluster.processes(), [])

    def test_what_is_installed_runs_from_where_it_is_put(self):
        folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(folder.cleanup)
        build = PROGRAMS.resolve().parent
        self.assertIn("cmake --install build/release --prefix", (ROOT / "README.md").read_text())
        done = subprocess.run(["cmake", "--install", build, "--prefix", folder.name],
                              capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        installed = pathlib.Path(folder.name) / "bin"
        self.assertEqual({path.name for path in installed.iterdir()},
                         {path.name for path in PROGRAMS.iterdir()})
        with Cluster(installed, 2) as cluster:
            job = cluster.submit("--nodes", 2, "--gang", "--", "/bin/sh", "-c",
                                 'echo "$LEAT_NODE_COUNT"')
            cluster.wait(job)
            self.assertEqual(cluster.run("logs", f"{job}.0").stdout, b"2\n")

    def test_the_two_commands_are_there(self):
        for command in ("demo", "test"):
            self.assertIn(f"tools/{command}", "\n".join(indented_block("Two commands")))
            self.assertTrue((ROOT / "tools" / command).stat().st_mode & 0o111)
        self.assertIn("tools/test", (ROOT / ".ci" / "run").read_text())


if __name__ == "__main__":
    main()
