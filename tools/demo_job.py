#!/usr/bin/env python3
"""demo_job.py BUILD [--keep] - the main job of the demo, and the kills during it.

Counts the identifiers of the C and C++ headers of this machine by a fan-out and a tree reduce, on
a pool that has no node until the job waits and none soon after it has ended. Kills the head, one
agent and one whole node on the way, and compares the result with grep, sort and uniq over the same
files. Exit code 0 only if both agree to the last count and the pool is empty again.
"""

import os
import pathlib
import select
import subprocess
import sys
import time

from cluster import Cluster, wait_for_end

# One core each: on a machine of many cores the job would else be over before the kills.
POOL = pathlib.Path(__file__).resolve().parents[1] / "examples" / "on_demand.toml"
BYTES_MAX = 100_000_000
FILES_PER_TASK = 1
REDUCE_WIDTH = 8
JOB_DEADLINE_S = 600
EMPTY_DEADLINE_S = 60
# Kills, at these shares of the fan-out.
HEAD_AT, AGENT_AT, NODE_AT = 0.20, 0.45, 0.70
SUFFIXES = (".h", ".hpp", ".hh", ".hxx", "")
IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"


def headers() -> list[str]:
    """Headers under /usr/include in the order of their names, BYTES_MAX of them at most."""
    found = []
    for folder, _, names in os.walk("/usr/include"):
        found += [os.path.join(folder, name) for name in names
                  if os.path.splitext(name)[1] in SUFFIXES and "\n" not in folder + name]
    chosen, total = [], 0
    for path in sorted(found, key=os.fsencode):
        if os.path.islink(path) or not os.path.isfile(path) or not os.access(path, os.R_OK):
            continue
        total += os.path.getsize(path)
        if total > BYTES_MAX:
            break
        chosen.append(path)
    return chosen


def say(text: str) -> None:
    print(("\r\033[K" if sys.stdout.isatty() else "") + text, flush=True)


def pool_of(cluster: Cluster) -> dict:
    return cluster.json("pool", "list")["pools"][0]


class Progress:
    """One line, rewritten on a terminal; a line per tenth elsewhere, and whenever the pool has
    another size."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.begin = time.monotonic()
        self.tenth = -1
        self.nodes = 0
        self.most = 0

    def show_pool(self) -> None:
        pool = pool_of(self.cluster)
        if pool["nodes_up"] == self.nodes:
            return
        say(f"  {time.monotonic() - self.begin:4.1f} s  pool {pool['name']}: {self.nodes} -> "
            f"{pool['nodes_up']} nodes, {pool['nodes_coming']} coming")
        self.nodes = pool["nodes_up"]
        self.most = max(self.most, self.nodes)

    def show(self, job: dict) -> None:
        self.show_pool()
        counts = job["counts"]
        total = sum(stage["total"] for stage in job["stages"])
        done = sum(stage["succeeded"] + stage["held"] for stage in job["stages"])
        line = (f"  {100 * done // total:3d} %  {done}/{total} tasks, {counts['running']} running, "
                f"{job['lost']} lost with a node, {time.monotonic() - self.begin:.0f} s")
        if sys.stdout.isatty():
            print("\r\033[K" + line, end="", flush=True)
        elif 10 * done // total != self.tenth:
            self.tenth = 10 * done // total
            print(line, flush=True)


class Kills:
    """What is done to the cluster, each once, when the fan-out has come so far."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.plan = [(HEAD_AT, self.head), (AGENT_AT, self.agent), (NODE_AT, self.node)]

    def at(self, share: float) -> None:
        if self.plan and share >= self.plan[0][0]:
            _, strike = self.plan.pop(0)
            strike()

    def head(self) -> None:
        pid = self.cluster.kill_head()
        say(f"  killed the head (process {pid}); leat up")
        self.cluster.up()

    def agent(self) -> None:
        node = self.cluster.node_ids()[0]
        say(f"  killed the agent of node {node} (process {self.cluster.kill_agent(node)})")

    def node(self) -> None:
        node = self.cluster.node_ids()[-1]
        agent, warden = self.cluster.kill_node(node)
        say(f"  killed node {node} whole (agent {agent}, warden {warden})")


def run_job(cluster: Cluster, build: pathlib.Path, listing: pathlib.Path) -> bytes:
    """Submits, watches, kills; the result's bytes."""
    programs = build.resolve() / "examples"
    job = cluster.submit("--each-line", listing, "--chunk", FILES_PER_TASK, "--retries", 2,
                         "--reduce", programs / "merge_counts", "--reduce-width", REDUCE_WIDTH,
                         "--name", "identifiers", "--", programs / "identifiers")
    say(f"job {job}: a task per {FILES_PER_TASK} file, merged {REDUCE_WIDTH} at a time")
    end = subprocess.Popen(cluster.command("wait", job, "--timeout", f"{JOB_DEADLINE_S}s"),
                           env=cluster.environment(), cwd=cluster.folder,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    progress, kills = Progress(cluster), Kills(cluster)
    while end.poll() is None:
        shown = cluster.job(job)
        progress.show(shown)
        counts = shown["counts"]
        kills.at((counts["succeeded"] + counts["held"]) / counts["total"])
        try:
            wait_for_end(end.pid, 0.1)  # the pace of the progress line
        except TimeoutError:
            pass
    last = cluster.job(job)
    progress.show(last)
    if end.returncode != 0:
        raise SystemExit("\ndemo: the job did not succeed: " + end.stderr.read().decode())
    if kills.plan:
        raise SystemExit("\ndemo: the job was over before everything was killed")
    say(f"  done: {sum(s['total'] for s in last['stages'])} tasks, {last['lost']} runs lost with "
        f"their node and run again, {last['retried']} retried")
    result = cluster.result(job)
    say("  nothing waits: the pool goes away again")
    give_up = time.monotonic() + EMPTY_DEADLINE_S
    while progress.nodes or cluster.json("node", "list")["nodes"]:
        if time.monotonic() > give_up:
            raise SystemExit("\ndemo: the pool is not empty again")
        progress.show_pool()
        select.select([], [], [], 0.1)  # the pace of the lines
    if progress.most < 2:
        raise SystemExit("\ndemo: the pool did not grow")
    return result


def by_pipeline(listing: pathlib.Path) -> bytes:
    """The same counts from tools that share nothing with Leat."""
    pipeline = (f"tr '\\n' '\\0' < '{listing}' | xargs -0 grep -ahoE '{IDENTIFIER}' | sort"
                " | uniq -c | awk '{print $2 \"\\t\" $1}'")
    done = subprocess.run(["/bin/sh", "-c", pipeline], env={**os.environ, "LC_ALL": "C"},
                          stdout=subprocess.PIPE, check=True)
    return done.stdout


def top(counts: bytes, number: int = 20) -> list[tuple[str, int]]:
    rows = [line.split("\t") for line in counts.decode().splitlines()]
    ordered = sorted(rows, key=lambda row: (-int(row[1]), row[0]))
    return [(name, int(count)) for name, count in ordered[:number]]


def main() -> int:
    build = pathlib.Path(sys.argv[1])
    with Cluster(build / "bin", keep="--keep" in sys.argv, pool=POOL) as cluster:
        files = headers()
        listing = cluster.folder / "headers"
        listing.write_text("".join(path + "\n" for path in files))
        say(f"up: a head, and a pool of {pool_of(cluster)['nodes_up']} nodes that may have "
            f"{pool_of(cluster)['max']}; {len(files)} headers, "
            f"{sum(os.path.getsize(path) for path in files) / 1e6:.0f} MB")
        ours = run_job(cluster, build, listing)
        theirs = by_pipeline(listing)
    exact = ours == theirs
    print("\n   leat                              grep | sort | uniq -c")
    for (name, count), (other, same) in zip(top(ours), top(theirs)):
        print(f"{count:9d} {name:<24}{same:9d} {other}")
    print(f"\n{len(ours.splitlines())} identifiers; exact: {'yes' if exact else 'no'}")
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
