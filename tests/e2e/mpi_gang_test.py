"""mpi_gang_test.py - gangs of real MPI ranks: placed, started without mpirun, counted once."""

import os
import pathlib
import shutil

from support import PROGRAMS, ClusterTest, kill, left_by_mpi, main

RANKS = PROGRAMS.resolve().parent / "tests" / "mpi-tasks" / "rank_program"


def processes_of(program: str) -> set[int]:
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].decode(errors="replace") == program:
            found.add(int(pid))
    return found


PIPELINE = """
name = "pipeline"
retries = 2

[[stage]]
name = "prepare"
command = ["sh", "-c", "echo prepared >> prepared"]

[[stage]]
name = "simulate"
after = ["prepare"]
array = "1-6"
nodes = 2
cpus = 1
mpi = "required"
command = ["PROGRAM", "hello"]

[[stage]]
name = "join"
reduces = "simulate"
width = 3
command = ["cat"]

[[stage]]
name = "report"
reduces = "join"
command = ["sort"]
result = true
"""


class MpiGangTest(ClusterTest):
    nodes = 3

    def setUp(self):
        super().setUp()
        self.before = left_by_mpi()
        # A program of this test's own, so that its processes are known.
        self.program = str(self.folder / "ranks")
        shutil.copy(RANKS, self.program)

    def tearDown(self):
        self.cluster.until(lambda: not processes_of(self.program), "all ranks gone")
        self.cluster.until(lambda: left_by_mpi() <= self.before,
                           f"nothing left: {left_by_mpi() - self.before}")

    def gang(self, what: str, *args, nodes: int = 2, ranks: int = 1) -> int:
        return self.submit("--nodes", nodes, "--ranks-per-node", ranks, "--cpus", 1, "--mpi", *args,
                           "--", self.program, what)

    def ranks_of(self, task: str) -> list[str]:
        return sorted(self.log(task).decode().splitlines())

    def test_ranks_form_one_world_over_all_nodes(self):
        job = self.gang("allreduce", nodes=3, ranks=2)
        self.cluster.wait(job)
        self.assertEqual(self.ranks_of(f"{job}.0"), [f"rank {n} of 6" for n in range(6)])
        self.assert_counts(job, succeeded=1)

    def test_ranks_of_a_node_share_memory(self):
        job = self.gang("shared", nodes=2, ranks=2)
        self.cluster.wait(job)
        shown = self.ranks_of(f"{job}.0")
        self.assertEqual(sum("node of 2" in line for line in shown), 4, shown)

    def test_each_rank_has_a_log_of_its_own(self):
        job = self.gang("hello", nodes=2, ranks=2)
        self.cluster.wait(job)
        for rank in range(4):
            self.assertEqual(self.log(f"{job}.0", "--rank", rank), b"rank %d of 4\n" % rank)
        labelled = sorted(self.log(f"{job}.0", "--label").decode().splitlines())
        self.assertEqual(labelled, [f"[{n}] rank {n} of 4" for n in range(4)])

    def test_many_small_gangs(self):
        job = self.gang("hello", "--array", "1-6", nodes=2)
        self.cluster.wait(job)
        self.assert_counts(job, succeeded=6)
        for index in range(1, 7):
            self.assertEqual(self.ranks_of(f"{job}.{index}"), ["rank 0 of 2", "rank 1 of 2"])

    def test_an_abort_ends_the_gang_with_its_code(self):
        job = self.gang("abort", nodes=2, ranks=2)
        self.cluster.wait(job, code=1)
        failure = self.cluster.job(job)["failures"][0]
        self.assertEqual((failure["outcome"], failure["code"]), ("exit", 7))
        self.assertIn(b"rank 3", self.log(f"{job}.0", "--stderr"))

    def test_a_killed_rank_ends_the_others_in_their_barrier(self):
        job = self.gang("killed", nodes=2)
        self.cluster.wait(job, code=1)
        self.assertEqual(self.cluster.job(job)["failures"][0]["code"], 137)

    def test_a_rank_that_never_comes_to_mpi_is_named(self):
        job = self.gang("early", nodes=2)
        self.cluster.wait(job, code=1)
        self.assertIn(b"rank 1", self.log(f"{job}.0", "--stderr"))

    def test_a_program_that_is_no_mpi_program_runs_with_a_warning(self):
        job = self.submit("--nodes", 2, "--mpi", "--", "/bin/echo", "hello")
        self.cluster.wait(job)
        self.assertEqual(self.log(f"{job}.0"), b"hello\nhello\n")
        self.assertIn(b"warning", self.log(f"{job}.0", "--stderr"))
        job = self.submit("--nodes", 2, "--mpi=required", "--", "/bin/echo", "hello")
        self.cluster.wait(job, code=1)

    def test_a_program_that_has_gone_is_named_with_its_node(self):
        gate = self.pipe("gate")
        before = self.shell_job("read _ < gate")
        job = self.gang("hello", "--after", before)
        os.unlink(self.program)
        gate.release()
        self.cluster.wait(job, code=1)
        self.assertEqual(self.cluster.job(job)["failures"][0]["code"], 127)
        self.assertRegex(self.log(f"{job}.0", "--stderr").decode(), "ranks.*on node node-")

    def test_an_interface_that_is_not_there_is_named_with_the_node(self):
        job = self.gang("hello", "--mpi-interfaces", "lo,no-such0")
        self.cluster.wait(job, code=1)
        self.assertRegex(self.log(f"{job}.0", "--stderr").decode(),
                         r'node node-\d+: no interface "no-such0" \(there are .*\blo\b.*names')
        self.assertEqual(self.log(f"{job}.0"), b"")

    def test_a_gang_goes_on_while_its_agents_and_the_head_are_away(self):
        job = self.gang("wait", nodes=2)
        self.cluster.until(lambda: len(processes_of(self.program)) == 2, "both ranks run")
        pids = processes_of(self.program)
        for node in self.cluster.node_ids():
            self.cluster.kill_agent(node)
        self.cluster.kill_head()
        self.cluster.up()
        self.assertEqual(processes_of(self.program), pids)
        self.cluster.leat("cancel", job)
        self.cluster.wait(job, code=1)
        self.assert_counts(job, cancelled=1)

    def test_a_lost_node_has_the_whole_gang_run_again(self):
        flag = self.folder / "again"
        job = self.submit("--nodes", 2, "--mpi", "--cpus", 1, "--", "/bin/sh", "-c",
                          f'[ -e {flag} ] && exec {self.program} hello; exec {self.program} wait')
        self.cluster.until(lambda: len(processes_of(self.program)) == 2, "both ranks run")
        first = processes_of(self.program)
        flag.touch()
        warden = next(d["pid"] for d in self.cluster.status()["daemons"]
                      if d["name"] == "leat-warden" and self.runs_below(d["pid"], first))
        kill(warden)
        self.cluster.wait(job)
        self.assertEqual(self.ranks_of(f"{job}.0"), ["rank 0 of 2", "rank 1 of 2"])
        self.assertEqual(self.cluster.job(job)["lost"], 1)

    def test_a_node_that_is_given_up_fails_no_gang(self):
        # Whichever of its nodes that is: ranks of the other may end first, and are not to blame.
        for member in (0, 1) * 2:
            job = self.gang("wait", nodes=2)
            self.cluster.until(lambda: len(processes_of(self.program)) == 2, "both ranks run")
            first = processes_of(self.program)
            place = self.cluster.json("task", "show", f"{job}.0")["members"][member]
            self.cluster.leat("node", "remove", place["node"], "--requeue")
            self.cluster.until(lambda: len(processes_of(self.program) - first) == 2, "again")
            self.cluster.leat("cancel", job)
            self.cluster.wait(job, code=1)
            self.assert_counts(job, cancelled=1)

    def runs_below(self, ancestor: int, pids: set[int]) -> bool:
        for pid in pids:
            while pid > 1:
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
                pid = int(stat.rsplit(")", 1)[1].split()[1])
                if pid == ancestor:
                    return True
        return False

    def test_fan_out_mpi_and_reduce_are_one_job_that_outlives_its_head(self):
        (self.folder / "job.toml").write_text(PIPELINE.replace("PROGRAM", self.program))
        job = self.submit("job.toml")

        def simulated() -> int:
            stages = {stage["name"]: stage for stage in self.cluster.job(job)["stages"]}
            return stages["simulate"]["succeeded"] + stages["simulate"]["held"]

        for share in (1, 3, 5):
            self.cluster.until(lambda done=share: simulated() >= done, "some have run")
            self.cluster.kill_head()
            self.cluster.up()
        self.cluster.wait(job)
        self.assertEqual(self.cluster.result(job), b"rank 0 of 2\n" * 6)
        self.assertEqual(self.evidence("prepared"), ["prepared"])

    def test_task_show_says_where_ranks_are_and_what_they_are_bound_to(self):
        job = self.gang("wait", nodes=2)
        self.cluster.until(lambda: len(processes_of(self.program)) == 2, "both ranks run")
        bound = {pid: sorted(os.sched_getaffinity(pid)) for pid in processes_of(self.program)}
        self.cluster.until(lambda: len(self.shown(job)) == 2, "both are shown")
        # Three nodes share two cores, so nobody need be bound; who is, is as told.
        for pid, cpus in self.shown(job).items():
            self.assertIn(cpus, ([], bound[pid]))
        self.cluster.leat("cancel", job)
        self.cluster.wait(job, code=1)

    def shown(self, job: int) -> dict[int, list[int]]:
        task = self.cluster.json("task", "show", f"{job}.0")
        return {rank["pid"]: rank["cpus"] for member in task["members"] for rank in member["ranks"]}

    def test_the_reduce_of_gangs_reads_what_their_first_ranks_wrote(self):
        job = self.submit("--nodes", 2, "--mpi", "--array", "1-3", "--reduce", "/bin/cat", "--",
                          self.program, "hello")
        self.cluster.wait(job)
        self.assertEqual(self.cluster.result(job), b"rank 0 of 2\n" * 3)


if __name__ == "__main__":
    main()
