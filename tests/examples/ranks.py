"""ranks.py - starts programs of ranks by mpirun, as the tests of the MPI examples need it."""

import os
import pathlib
import select
import signal
import subprocess
import tempfile
import unittest

DEADLINE_S = 60
ENVIRONMENT = {**{name: value for name, value in os.environ.items()
                  if not name.startswith("LEAT_")},
               # The leaks are those of MPI.
               "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "ASAN_OPTIONS": "detect_leaks=0",
               # A program that runs without mpirun needs no daemon beside it.
               "OMPI_MCA_ess_singleton_isolated": "1"}
# mpirun gives rank 0 a terminal and closes descriptors; so a shell opens what the program needs.
RANK = """
rank=${OMPI_COMM_WORLD_RANK:-0}
echo $$ > pid.$rank
[ -p progress ] && [ $rank = 0 ] && exec 9<>progress && export LEAT_PROGRESS_FD=9
exec "$@" > out.$rank 2> err.$rank
"""


class RanksTest(unittest.TestCase):
    mpiexec = ""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, ranks: int, *command: object, **variables: object) -> subprocess.Popen:
        """By mpirun; a single rank as a plain program."""
        mpirun = [self.mpiexec, "--oversubscribe", "-n", str(ranks)] if ranks > 1 else []
        started = subprocess.Popen(
            [*mpirun, "sh", "-c", RANK, "rank", *map(str, command)], cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**ENVIRONMENT, **{name: str(value) for name, value in variables.items()}})
        self.addCleanup(started.wait, DEADLINE_S)
        self.addCleanup(started.terminate)
        return started

    def written(self, name: str, rank: int = 0) -> bytes:
        return (self.folder / f"{name}.{rank}").read_bytes()

    def ranks(self, ranks: int, *command: object, code: int = 0, **variables: object) -> bytes:
        """What rank 0 has written to its standard output."""
        started = self.start(ranks, *command, **variables)
        self.assertEqual(started.wait(DEADLINE_S), code, self.written("err"))
        return self.written("out")

    def listen(self) -> int:
        """Where the progress of programs that are started from now on can be read."""
        os.mkfifo(self.folder / "progress")
        fd = os.open(self.folder / "progress", os.O_RDWR | os.O_NONBLOCK)
        self.addCleanup(os.close, fd)
        return fd

    def progress(self, fd: int) -> list[str]:
        """The lines there are, at least one."""
        text = b""
        while not text.endswith(b"\n"):
            self.assertTrue(select.select([fd], [], [], DEADLINE_S)[0], "no progress")
            text += os.read(fd, 65536)
        return text.decode().splitlines()

    def kill(self, rank: int, number: signal.Signals) -> None:
        os.kill(int(self.written("pid", rank)), number)
