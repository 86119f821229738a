#!/usr/bin/env python3
"""mpi_launch.py - how long a small MPI job takes, by leat-mpi-launcher and by mpirun, in one run.

    benchmarks/mpi_launch.py BUILD_DIRECTORY [ROUNDS]

Needs root: nodes are network namespaces joined by a bridge, each with a host name of its own for
mpirun. The contenders alternate; printed are medians with quartiles in milliseconds, and then jobs
per second of a loop of two-rank jobs. The program is MPI_Init, MPI_Barrier, MPI_Finalize. The
nodes share this machine's CPUs evenly; mpirun is as it comes (without binding it is no faster).

Budgets: over two nodes at most 0.25 of mpirun as shipped; two-rank jobs at least 12/s one after
the other, at least 35/s four at a time.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SHAPES = [(1, 2), (2, 1), (2, 2), (3, 8)]
LOOP_JOBS = 200
CPUS = len(os.sched_getaffinity(0))


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Hosts:
    """Network namespaces on one bridge: 10.78.0.1 and so on."""

    def __init__(self, count: int):
        self.bridge = f"leatbr{os.getpid() % 10000}"
        self.names = [f"leat-h{i + 1}-{os.getpid()}" for i in range(count)]

    def __enter__(self) -> "Hosts":
        ip("link", "add", self.bridge, "type", "bridge")
        ip("link", "set", self.bridge, "up")
        for i, name in enumerate(self.names):
            ip("netns", "add", name)
            outside = f"{self.bridge}p{i}"
            ip("link", "add", outside, "type", "veth", "peer", "name", "leat0", "netns", name)
            ip("link", "set", outside, "master", self.bridge, "up")
            ip("-n", name, "addr", "add", f"10.78.0.{i + 1}/24", "dev", "leat0")
            ip("-n", name, "link", "set", "leat0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False)
        subprocess.run(["ip", "link", "del", self.bridge], check=False)


class Contest:
    def __init__(self, build: pathlib.Path, hosts: Hosts, folder: pathlib.Path):
        self.gang_run = build / "tests/mpi-tasks/gang_run"
        self.program = build / "tests/mpi-tasks/rank_program"
        self.hosts = hosts
        # mpirun's way to another host: into its namespaces.
        self.agent = folder / "agent"
        names = " ".join(hosts.names)
        self.agent.write_text(
            "#!/bin/bash\n"
            f"names=({names})\n"
            "host=$1; shift\n"
            "number=${host##*.}\n"
            "exec ip netns exec ${names[$((number - 1))]} unshare -u "
            "sh -c \"hostname leat-h$number; $*\"\n")
        self.agent.chmod(0o755)

    def ours(self, nodes: int, ranks: int, count: int = 1, at_once: int = 1) -> float:
        netns = ",".join(self.hosts.names[:nodes]) if nodes > 1 else "-"
        done = subprocess.run(
            [self.gang_run, str(nodes), str(ranks), str(count), str(at_once), netns,
             str(max(1, CPUS // nodes)), self.program, "hello"],
            check=True, capture_output=True, text=True)
        return float(done.stdout)

    def mpirun(self, nodes: int, ranks: int, *options: str) -> float:
        where = ",".join(f"10.78.0.{i + 1}:{ranks}" for i in range(nodes))
        command = ["ip", "netns", "exec", self.hosts.names[0], "unshare", "-u", "sh", "-c",
                   "hostname leat-h1; exec \"$@\"", "sh",
                   "mpirun", "--allow-run-as-root", "--oversubscribe", "-np", str(nodes * ranks),
                   "--host", where, "-mca", "plm_rsh_agent", str(self.agent),
                   "-mca", "btl_tcp_if_include", "leat0", "-mca", "oob_tcp_if_include", "leat0",
                   *options, str(self.program), "hello"]
        start = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return 1000 * (time.monotonic() - start)


def spread(times: list[float]) -> str:
    first, middle, last = statistics.quantiles(times, n=4)
    return f"{middle:7.1f} ({first:.0f}-{last:.0f})"


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    with tempfile.TemporaryDirectory() as folder, Hosts(3) as hosts:
        contest = Contest(build, hosts, pathlib.Path(folder))
        contenders = {
            "leat": contest.ours,
            "mpirun": contest.mpirun,
            "mpirun, ob1": lambda n, r: contest.mpirun(n, r, "-mca", "pml", "ob1"),
        }
        print(f"load {os.getloadavg()[0]:.1f}, {CPUS} CPUs, {rounds} rounds; "
              "ms: median (quartiles)")
        for nodes, ranks in SHAPES:
            times: dict[str, list[float]] = {name: [] for name in contenders}
            for _ in range(rounds):
                for name, contender in contenders.items():
                    times[name].append(contender(nodes, ranks))
            share = statistics.median(times["leat"]) / statistics.median(times["mpirun"])
            print(f"{nodes} x {ranks}  " +
                  "  ".join(f"{name} {spread(each)}" for name, each in times.items()) +
                  f"  leat/mpirun {share:.2f}", flush=True)
        for at_once in (1, 4):
            took = contest.ours(1, 2, LOOP_JOBS, at_once)
            print(f"{LOOP_JOBS} jobs of 2 ranks, {at_once} at a time: "
                  f"{1000 * LOOP_JOBS / took:.1f} jobs/s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
