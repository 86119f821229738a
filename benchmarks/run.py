#!/usr/bin/env python3
"""run.py - Leat beside its peers, in one run, interleaved, medians of five.

    tools/bench [--quick] [--rounds N] [--tasks N]

Prints one table. Everything lives in a private directory under /var/tmp (refused on tmpfs).
Output mode of Leat: the default, packed spool files; of the peers: /dev/null.
"""
import argparse
import json
import os
import pathlib
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEADLINE_S = 600


def run(command, **more):
    return subprocess.run(command, check=True, timeout=DEADLINE_S, **more)


class Cluster:
    """A head with local nodes in a home of its own."""

    def __init__(self, bin_dir, home, nodes, mock=False):
        self.bin = bin_dir
        self.env = dict(os.environ, LEAT_HOME=str(home), PATH=f"{bin_dir}:{os.environ['PATH']}")
        home.mkdir(mode=0o700)
        self.home = home
        self.nodes = nodes
        if mock:
            self.start_head("--mock-agents")
        self.leat("up", "--local", str(nodes))

    def start_head(self, *flags):
        ready, theirs = os.pipe()
        log = open(self.home / "bench.log", "ab")
        head = subprocess.Popen(
            [str(self.bin / "leat-scheduler"), "--home", str(self.home), "--ready-fd", str(theirs),
             *flags], pass_fds=[theirs], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True)
        os.close(theirs)
        with os.fdopen(ready) as pipe:
            line = pipe.readline().strip()
        if line != "ready":
            sys.exit(f"bench: the head says: {line}")
        return head

    def leat(self, *arguments):
        return run([str(self.bin / "leat"), *arguments], env=self.env, stdout=subprocess.PIPE,
                   stderr=subprocess.DEVNULL, text=True).stdout

    def head_pid(self):
        daemons = json.loads(self.leat("status", "--json"))["daemons"]
        return next(d["pid"] for d in daemons if d["name"] == "leat-scheduler")

    def stop(self):
        subprocess.run([str(self.bin / "leat"), "down", "--force"], env=self.env,
                       timeout=DEADLINE_S, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def timed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


def make_file(directory, tasks, program):
    path = directory / f"Makefile.{pathlib.Path(program).name}"
    names = " ".join(f"t{n}" for n in range(tasks))
    path.write_text(f".PHONY: all {names}\nall: {names}\n{names}:\n\t@{program}\n")
    return path


def rates(options, bin_dir, directory, musl_true):
    """Tasks per second for each contestant, interleaved."""
    # Two nodes of one core each, as README's `leat up --local 2` makes them.
    cluster = Cluster(bin_dir, directory / "rate", 2)
    results = {}
    spawn_loop = bin_dir.parent / "benchmarks" / "spawn_loop"
    try:
        for program in ("/bin/true", str(musl_true)):
            makefile = make_file(directory, options.tasks, program)
            items = "".join(f"{n}\n" for n in range(options.tasks))
            quiet = {"stdout": subprocess.DEVNULL}
            contestants = {
                "bare spawn loop": lambda: run([str(spawn_loop), str(options.tasks), program],
                                               **quiet),
                "make -j2": lambda: run(["make", "-s", "-j2", "-f", str(makefile)], **quiet),
                "xargs -P2": lambda: run(["xargs", "-P2", "-n1", program], input=items, text=True,
                                         **quiet),
                "Leat": lambda: cluster.leat("submit", "--array", f"1-{options.tasks}", "--wait",
                                             "--", program),
            }
            cluster.leat("submit", "--array", "1-500", "--wait", "--", program)
            for _ in range(options.rounds):
                for name, action in contestants.items():
                    rate = options.tasks / timed(action)
                    results.setdefault((program, name), []).append(rate)
                    progress(f"{program} {name}: {rate:.0f}/s")
    finally:
        cluster.stop()
    return {key: statistics.median(values) for key, values in results.items()}


def mock_rate_and_recovery(options, bin_dir, directory):
    """Mock tasks per second, and how long a head needs to come back after a million of them."""
    cluster = Cluster(bin_dir, directory / "mock", 2, mock=True)
    tasks = options.mock_tasks
    try:
        values = []
        for _ in range(options.rounds):
            seconds = timed(lambda: cluster.leat("submit", "--array", f"1-{tasks}", "--wait", "--",
                                                 "/bin/true"))
            values.append(tasks / seconds)
            progress(f"mock: {values[-1]:.0f}/s")
        pid = cluster.head_pid()
        recoveries = []
        for _ in range(3):
            gone = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                # Not a child of ours: its pidfd becomes readable when it is gone.
                select.select([gone], [], [], DEADLINE_S)
            os.close(gone)
            head = []
            recoveries.append(timed(lambda: head.append(cluster.start_head("--mock-agents"))))
            pid = head[0].pid
        return statistics.median(values), statistics.median(recoveries)
    finally:
        cluster.stop()


def submit_and_latency(options, bin_dir, directory, clock):
    cluster = Cluster(bin_dir, directory / "submit", 1)
    try:
        submits = []
        for _ in range(options.rounds):
            seconds = timed(
                lambda: cluster.leat("submit", "--array", "1-1000000", "--", "/bin/true"))
            submits.append(seconds)
            cluster.leat("cancel", "last")
            subprocess.run([str(bin_dir / "leat"), "wait", "last"], env=cluster.env,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           timeout=DEADLINE_S)
        typed, accepted = [], []
        for _ in range(options.latency_jobs):
            before = time.clock_gettime(time.CLOCK_REALTIME)
            job = cluster.leat("submit", "--wait", "--", str(clock)).strip()
            started = int(cluster.leat("logs", f"{job}.0")) / 1e9
            typed.append(started - before)
            # The head's own word, taken before it stores the job.
            shown = json.loads(cluster.leat("job", "show", job, "--json"))
            accepted.append(started - shown["submitted_us"] / 1e6)
        return statistics.median(submits), quantiles(typed), quantiles(accepted)
    finally:
        cluster.stop()


def quantiles(delays):
    """Median and 99th percentile, in ms."""
    delays = sorted(delays)
    return [1e3 * delays[min(len(delays) - 1, len(delays) * part // 100)] for part in (50, 99)]


def core(options, bin_dir):
    program = bin_dir.parent / "benchmarks" / "core_drain"
    lines = [run([str(program)], stdout=subprocess.PIPE, text=True).stdout
             for _ in range(options.rounds)]
    return statistics.median(float(line.split(": ")[2].split(" s")[0]) for line in lines)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


MUSL_TRUE = "int main(void) { return 0; }\n"
CLOCK = """#include <stdio.h>
#include <time.h>
int main(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  printf("%lld\\n", (long long)t.tv_sec * 1000000000 + t.tv_nsec);
  return 0;
}
"""


def compile_musl(directory, name, text):
    source = directory / f"{name}.c"
    source.write_text(text)
    run(["musl-gcc", "-static", "-O2", "-o", str(directory / name), str(source)])
    return directory / name


def check_disk(directory):
    kind = run(["stat", "-f", "-c", "%T", str(directory)], stdout=subprocess.PIPE,
               text=True).stdout.strip()
    if kind == "tmpfs":
        sys.exit(f"bench: {directory} is on tmpfs; set TMPDIR to a real disk")
    return kind


def print_rates(results, musl_true):
    for program, label in (("/bin/true", "/bin/true"), (str(musl_true), "musl-static true")):
        bare = results[(program, "bare spawn loop")]
        for name in ("bare spawn loop", "make -j2", "xargs -P2", "Leat"):
            rate = results[(program, name)]
            print(f"| {label} | {name} | {rate:,.0f} tasks/s | {rate / bare:.2f} x bare |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=20000)
    parser.add_argument("--mock-tasks", type=int, default=1_000_000)
    parser.add_argument("--latency-jobs", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="one small round of each")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.tasks, options.mock_tasks, options.latency_jobs = 1, 500, 20000, 5
    bin_dir = pathlib.Path(options.build) / "bin"
    if not (bin_dir / "leat").exists():
        sys.exit(f"bench: {bin_dir}/leat is missing: build it first (tools/bench does)")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="leat-bench-", dir="/var/tmp"))
    try:
        kind = check_disk(directory)
        musl_true = compile_musl(directory, "true", MUSL_TRUE)
        clock = compile_musl(directory, "clock", CLOCK)
        results = rates(options, bin_dir, directory, musl_true)
        mock, recovery = mock_rate_and_recovery(options, bin_dir, directory)
        submit, typed, accepted = submit_and_latency(options, bin_dir, directory, clock)
        seconds = core(options, bin_dir)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    progress("")
    print(f"{options.rounds} rounds of {options.tasks} tasks, {os.cpu_count()} cores, on {kind}; "
          "output of Leat: packed spool, of the others: /dev/null")
    print("| work | who | median | |\n|---|---|---|---|")
    print_rates(results, musl_true)
    print(f"| mock tasks, {options.mock_tasks:,} | Leat | {mock:,.0f} tasks/s | |")
    print(f"| submit of 1,000,000 tasks | Leat | {submit * 1e3:.0f} ms | command included |")
    print(f"| command typed to task running, idle pool | Leat | p50 {typed[0]:.1f} ms "
          f"| p99 {typed[1]:.1f} ms |")
    print(f"| head has the job to task running | Leat | p50 {accepted[0]:.1f} ms "
          f"| p99 {accepted[1]:.1f} ms |")
    print(f"| head back after {options.rounds * options.mock_tasks:,} finished tasks | Leat "
          f"| {recovery * 1e3:.0f} ms | kill -9 to ready |")
    print(f"| core, 10^6 tasks on 10^3 nodes | Leat | {seconds:.2f} s | virtual clock |")


if __name__ == "__main__":
    main()
