"""slurm.py - a Slurm of the test's own: munged, slurmctld and slurmds on loopback ports, in a
directory that goes with them. Nothing of a Slurm that the machine may have is touched, and no root
is needed.
"""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from support import DEADLINE_S, Running, wait_for_end

PROGRAMS_NEEDED = ["munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue",
                   "sinfo"]
# Tasks are not confined: what they leave behind is seen.
CONFIGURATION = """
ClusterName=leat-test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SelectType=select/cons_tres
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
{nodes}
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def processes_with(word: str) -> set[int]:
    """Whose arguments or environment have it, other than this one."""
    found = set()
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            shown = (pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() +
                     pathlib.Path(f"/proc/{pid}/environ").read_bytes())
        except OSError:
            continue
        if word.encode() in shown and pid != os.getpid():
            found.add(pid)
    return found


class Slurm(Running):
    """`with Slurm() as slurm:` has a controller and nodes s1, s2… that are idle."""

    def __init__(self, nodes: int = 2, *, cpus: int = 4):
        missing = [name for name in PROGRAMS_NEEDED if not shutil.which(name, path=self.path())]
        if missing:
            raise RuntimeError(f"not installed: {', '.join(missing)}; run tools/setup")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="leat-slurm-", dir="/var/tmp"))
        self.names = [f"s{n}" for n in range(1, nodes + 1)]
        self.daemons: list[subprocess.Popen] = []
        ports = free_ports(nodes + 1)
        lines = [f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} "
                 f"CPUs={cpus}" for name, port in zip(self.names, ports[1:])]
        self.configuration = self.folder / "slurm.conf"
        self.configuration.write_text(CONFIGURATION.format(
            folder=self.folder, controller_port=ports[0], user=pwd.getpwuid(os.getuid()).pw_name,
            nodes="\n".join(lines)))

    @staticmethod
    def path() -> str:
        """Where Debian has daemons, too."""
        return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "PATH": self.path(), "SLURM_CONF": str(self.configuration), **more}

    def up(self) -> None:
        self.folder.chmod(0o755)  # munged wants its socket to be within everybody's reach
        for name in ("state", *(f"spool.{name}" for name in self.names)):
            (self.folder / name).mkdir(mode=0o755)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        socket_path = self.folder / "munge.socket"
        self.start("munged", "--foreground", f"--key-file={key}", f"--socket={socket_path}",
                   *(f"--{what}-file={self.folder}/munge.{what}"
                     for what in ("log", "pid", "seed")))
        self.until(lambda: self.run("munge", "-n", "-S", socket_path).returncode == 0,
                   "munged answers")
        self.start("slurmctld", "-D", "-i", "-f", self.configuration)
        for name in self.names:
            self.start("slurmd", "-D", "-N", name, "-f", self.configuration)
        self.until(lambda: self.states() == {name: "idle" for name in self.names},
                   "all nodes are idle")

    def start(self, *command) -> None:
        with open(self.folder / f"{command[0]}.out", "ab") as said:
            self.daemons.append(subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, env=self.environment(), cwd=self.folder))

    def run(self, *command, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=DEADLINE_S, cwd=self.folder, text=True,
                              env=self.environment(**variables), check=False)

    def tell(self, *command, **variables: str) -> str:
        """A command that must end well; what it writes."""
        done = self.run(*command, **variables)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr}\n"
                               f"{self.what_was_said()}")
        return done.stdout

    def states(self) -> dict[str, str]:
        """Of all nodes, once there is a controller."""
        done = self.run("sinfo", "--noheader", "--Node", "--format", "%N %t")
        return dict(line.split() for line in done.stdout.splitlines())

    def submit(self, script: str, *args) -> int:
        """An allocation of all nodes in which the batch script runs."""
        path = self.folder / "batch"
        path.write_text("#!/bin/sh\n" + script)
        return int(self.tell("sbatch", "--parsable", f"--nodes={len(self.names)}",
                             f"--output={self.folder}/batch.out", *args, path))

    def has_ended(self, job: int) -> bool:
        """Whether nothing of it is left on any node, as Slurm sees it."""
        done = self.run("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}")
        return done.stdout.strip() in ("CANCELLED", "COMPLETED", "FAILED", "TIMEOUT")

    def cancel(self, job: int) -> None:
        self.tell("scancel", job)

    def check(self) -> None:
        for daemon in self.daemons:
            if daemon.poll() is not None:
                raise RuntimeError(f"{daemon.args[0]} has ended with {daemon.returncode}\n"
                                   f"{self.what_was_said()}")

    def what_was_said(self) -> str:
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-2000:]}"
                         for pattern in ("*.log", "*.out") for path in self.folder.glob(pattern))

    def close(self) -> None:
        """Ends the daemons, and with them whatever runs in allocations."""
        for daemon in reversed(self.daemons):
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(DEADLINE_S / 4)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
        # Step daemons, and what they have started.
        for pid in processes_with(str(self.folder)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            wait_for_end(pid)
        if "LEAT_KEEP" in os.environ:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
