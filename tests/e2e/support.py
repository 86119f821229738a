"""support.py - what every end-to-end test has: a cluster, and pipes that tasks write to."""

import glob
import os
import pathlib
import select
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

from cluster import (  # noqa: E402,F401
    DEADLINE_S, Cluster, Running, is_alive, kill, process_file, wait_for_end)

PROGRAMS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/dev/bin")


class Pipe:
    """A named pipe that the test holds open at both ends.

    Tasks tell by it that they have come so far (`echo … > PIPE`), or wait at it (`read _ < PIPE`)
    until the test lets them go on. So nobody sleeps and nobody polls.
    """

    def __init__(self, path: pathlib.Path):
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""

    def lines(self, number: int, seconds: float = DEADLINE_S) -> list[str]:
        """The next `number` lines. Raises TimeoutError."""
        give_up = time.monotonic() + seconds
        while self.rest.count(b"\n") < number:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, give_up - time.monotonic()))
            if not ready:
                raise TimeoutError(f"{self.path.name}: {self.rest!r}, not {number} lines")
            self.rest += os.read(self.fd, 65536)
        taken = self.rest.split(b"\n", number)
        self.rest = taken.pop()
        return [line.decode() for line in taken]

    def release(self, number: int = 1) -> None:
        """Lets `number` waiting tasks go on, now or when they come."""
        os.write(self.fd, b"\n" * number)

    def write(self, text: str) -> None:
        """To whoever reads at it."""
        os.write(self.fd, text.encode())

    def close(self) -> None:
        os.close(self.fd)


def left_by_mpi() -> set[str]:
    """What MPI or we may leave behind outside of our folders."""
    shared = {name for name in os.listdir("/dev/shm") if name.startswith(("leat-", "vader"))}
    # All of a user share one folder of Open MPI's, which may have been there before.
    sessions = {path for pattern in ("ompi.*", "ompi.*/*", "pmix-*", "prte.*")
                for path in glob.glob(f"/tmp/{pattern}")}
    return shared | sessions


class ClusterTest(unittest.TestCase):
    """One cluster for all tests of a class."""

    nodes = 2
    cluster: Cluster

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(PROGRAMS, cls.nodes)
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.up()

    def setUp(self):
        self.folder = self.cluster.folder / self.id().rsplit(".", 1)[1]
        self.folder.mkdir()

    def pipe(self, name: str) -> Pipe:
        pipe = Pipe(self.folder / name)
        self.addCleanup(pipe.close)
        return pipe

    def evidence(self, name: str = "ran") -> list[str]:
        """Lines that tasks have appended to a file of ours."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def submit(self, *args, **options) -> int:
        """A job whose directory is this test's folder."""
        return self.cluster.submit(*args, cwd=str(self.folder), **options)

    def shell_job(self, script: str, *args, **options) -> int:
        return self.submit(*args, "--", "/bin/sh", "-c", script, **options)

    def assert_counts(self, job: int, **expected: int) -> None:
        counts = self.cluster.job(job)["counts"]
        shown = {name: number for name, number in counts.items() if number and name != "total"}
        self.assertEqual(shown, expected)
        self.assertEqual(sum(shown.values()), counts["total"])

    def log(self, task: str, *args) -> bytes:
        done = self.cluster.run("logs", task, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


def main() -> None:
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
