"""ranks.py - starts programs of ranks by mpirun, as the tests of the MPI examples need it."""

import os
import pathlib
import select
import signal
import socket
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
# What a task finds that is to tell how far it has come (docs/sdk.md).
TASK = {"LEAT_JOB_ID": "1", "LEAT_STAGE": "0", "LEAT_TASK_INDEX": "0", "LEAT_TASK_COUNT": "1",
        "LEAT_ATTEMPT": "1", "LEAT_PROGRESS_SOCKET": "progress"}
# mpirun gives rank 0 a terminal and collects what ranks write; so a shell opens files.
RANK = """
rank=${OMPI_COMM_WORLD_RANK:-0}
echo $$ > pid.$rank
exec "$@" > out.$rank 2> err.$rank
"""


class RanksTest(unittest.TestCase):
    mpiexec = ""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, ranks: int, *command: object, **variables: object) -> subprocess.Popen:
        """By mpirun; a single rank as a plain program. Once listen() was called, as a task."""
        if (self.folder / "progress").exists():
            variables = {**TASK, **variables}
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

    def listen(self) -> socket.socket:
        """Where the progress of programs that are started from now on comes."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(listener.close)
        listener.bind(str(self.folder / "progress"))
        return listener

    def progress(self, listener: socket.socket) -> list[str]:
        """The messages there are, at least one."""
        self.assertTrue(select.select([listener], [], [], DEADLINE_S)[0], "no progress")
        messages = []
        while select.select([listener], [], [], 0)[0]:
            messages.append(listener.recv(4096).decode().split(" ", 3)[3])
        return messages

    def kill(self, rank: int, number: signal.Signals) -> None:
        os.kill(int(self.written("pid", rank)), number)
