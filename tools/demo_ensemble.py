"""demo_ensemble.py - an ensemble of MPI runs, reduced to one result and a picture.

    python3 tools/demo_ensemble.py BUILD [--keep]

Two virtual nodes; each task is a gang of ranks on both of them (examples/mpi/ensemble), started
without mpirun. The head is killed on the way. Leaves BUILD/demo/ensemble.svg and plate.png.
"""

import pathlib
import subprocess
import sys
import time

from cluster import Cluster
from demo_job import say

DEADLINE_S = 300
NODES = 2
PLATES = pathlib.Path("examples/mpi/ensemble/ensemble.jsonl").resolve()


def run(program: pathlib.Path, *words, stdin: bytes = b"") -> bytes:
    return subprocess.run([program, *words], input=stdin, stdout=subprocess.PIPE, check=True).stdout


def wait(cluster: Cluster, job: int) -> None:
    cluster.wait(job, seconds=DEADLINE_S)


def run_ensemble(cluster: Cluster, program: pathlib.Path) -> bytes:
    tasks = len(PLATES.read_text().splitlines())
    begin = time.monotonic()
    job = cluster.submit("--from-json", PLATES, "--nodes", NODES, "--ranks-per-node", 1,
                         "--mpi=required", "--retries", 2, "--name", "ensemble",
                         "--reduce", program, "--reduce-arg", "reduce", "--reduce-width", 8,
                         "--", program)
    say(f"job {job}: {tasks} plates, each a gang of MPI ranks on {NODES} nodes, without mpirun")

    def done() -> int:
        counts = cluster.job(job)["counts"]
        return counts["succeeded"] + counts["held"]

    cluster.until(lambda: done() >= tasks // 2, "half of the plates", DEADLINE_S)
    say(f"  {done()}/{tasks} plates; killed the head (process {cluster.kill_head()}); leat up")
    cluster.up()
    wait(cluster, job)
    last = cluster.job(job)
    say(f"  done: {tasks} gangs in {time.monotonic() - begin:.1f} s, {last['retried']} retried, "
        f"{last['lost']} lost")
    return cluster.result(job)


def main() -> int:
    build = pathlib.Path(sys.argv[1]).resolve()
    pictures = build / "demo"
    pictures.mkdir(exist_ok=True)
    examples = build / "examples"
    with Cluster(build / "bin", NODES, keep="--keep" in sys.argv) as cluster:
        result = run_ensemble(cluster, examples / "ensemble")
        plate = pictures / "plate.png"
        job = cluster.submit("--nodes", NODES, "--mpi", "--", examples / "heat", "--size", 256,
                             "--steps", 4000, "--picture", plate)
        wait(cluster, job)
    print(run(examples / "ensemble", "show", stdin=result).decode(), end="")
    plot = pictures / "ensemble.svg"
    plot.write_bytes(run(examples / "ensemble", "plot", stdin=result))
    print(f"pictures: {plot} {plate}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
