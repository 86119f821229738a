"""slurm_allocation_test.py - agents inside an allocation of a real Slurm: one world of ranks in
spite of Slurm's variables, and an end of all of it when the allocation ends.
"""

import os
import pathlib
import shlex
import shutil
import unittest

from slurm import Slurm, processes_with
from support import (PROGRAMS, Cluster, ClusterTest, Pipe, left_by_mpi, main, process_file,
                     wait_for_end)

RANKS = PROGRAMS.resolve().parent / "tests" / "mpi-tasks" / "rank_program"
POOL = 'name = "lab"\nprovider = "static"\nnodes = 4\n'
# One agent on each node, as a step of its own, so that each has Slurm's own variables for MPI: of
# PMI-2 and of PMIx. Then what the test wants to be done by the script itself.
SCRIPT = """
srun --nodes 1 --ntasks 1 --nodelist s1 --mpi pmi2 \\
    {leat} agent join --token-file {place}/token.1 --dir {place}/s1 --cores 2 \\
    --label slurm=$SLURM_JOB_ID &
srun --nodes 1 --ntasks 1 --nodelist s2 --mpi pmix \\
    {leat} agent join --token-file {place}/token.2 --dir {place}/s2 --cores 2 \\
    --label slurm=$SLURM_JOB_ID &
sh < {place}/orders > {place}/answers &
wait
"""
OF_SLURM = {"SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_STEP_ID"}
OF_SLURM_FOR_MPI = {"s1": {"PMI_FD", "PMI_RANK", "PMI_SIZE", "PMI_JOBID"},
                    "s2": {"PMIX_NAMESPACE", "PMIX_RANK", "PMIX_SERVER_URI4",
                           "PMIX_SERVER_TMPDIR", "PMIX_SECURITY_MODE"}}


def variables_of(pid: int) -> dict[str, str]:
    text = process_file(pid, "environ") or ""
    return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)


class AllocationTest(ClusterTest):
    """A Slurm, and a cluster whose first two nodes are agents in an allocation of it."""

    @classmethod
    def setUpClass(cls):
        cls.before = left_by_mpi()
        cls.slurm = Slurm()
        cls.addClassCleanup(cls.slurm.close)
        cls.slurm.up()
        cls.cluster = Cluster(PROGRAMS)
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.pool = cls.cluster.folder / "lab.toml"
        cls.cluster.pool.write_text(POOL)
        cls.cluster.up()
        cls.place = cls.cluster.folder / "place"
        cls.place.mkdir()
        cls.program = str(cls.place / "ranks")
        shutil.copy(RANKS, cls.program)
        cls.orders, cls.answers = (Pipe(cls.place / name) for name in ("orders", "answers"))
        cls.addClassCleanup(cls.orders.close)
        cls.addClassCleanup(cls.answers.close)
        cls.cluster.leat("pool", "token", "lab", "--count", 2, "--out", cls.place / "token")
        cls.allocation = cls.slurm.submit(
            SCRIPT.format(leat=cls.cluster.programs / "leat", place=cls.place))
        cls.addClassCleanup(cls.end_allocation)
        cls.slurm.until(lambda: cls.states() == ["up", "up"], "both have joined")

    @classmethod
    def end_allocation(cls) -> None:
        """Nothing of it is left, whatever ran there."""
        cls.slurm.run("scancel", cls.allocation)
        cls.slurm.until(lambda: cls.slurm.has_ended(cls.allocation), "the allocation has ended")
        here = str(cls.place)
        cls.slurm.until(lambda: not processes_with(here),
                        f"no process is left: {processes_with(here)}")
        cls.slurm.until(lambda: left_by_mpi() <= cls.before,
                        f"nothing is left: {left_by_mpi() - cls.before}")

    @classmethod
    def states(cls) -> list[str]:
        return [node["state"] for node in cls.cluster.json("node", "list")["nodes"]]

    def submit_in_script(self, *args) -> int:
        """A job from the batch script. In its variables there is an allocation but no step: by
        them each rank of Open MPI believes that it was started alone."""
        command = shlex.join(self.cluster.command("submit", "--cwd", self.folder, *args))
        self.orders.write(f"LEAT_HOME={self.cluster.home} {command} < /dev/null || echo refused\n")
        return int(self.answers.lines(1)[0])

    def submit_in_step(self, *args) -> int:
        """A job from a step, with the variables by which Slurm's PMIx knows its ranks, too."""
        return int(self.slurm.tell(
            "srun", f"--jobid={self.allocation}", "--overlap", "--nodes=1", "--ntasks=1",
            "--mpi=pmix", f"--chdir={self.folder}", "--", *self.cluster.command("submit", *args),
            LEAT_HOME=str(self.cluster.home)))

    def gang(self, *command, how: str = "--mpi", ranks: int = 2, submit=None) -> int:
        return (submit or self.submit_in_script)("--nodes", 2, "--ranks-per-node", ranks, "--cpus",
                                                 ranks, how, "--", *command)

    def ranks_of(self, job: int) -> list[str]:
        lines = self.log(f"{job}.0").decode().splitlines()
        return sorted(line for line in lines if line.startswith("rank"))


class WithinAnAllocation(AllocationTest):
    # Two ranks share the memory of each node.
    one_world = sorted(f"rank {n}{what}" for n in range(4) for what in (" of 4", ": node of 2"))

    def test_ranks_form_one_world_with_slurms_variables_but_none_of_its_pmi(self):
        agents = {}
        for node in self.cluster.node_ids():
            agent = variables_of(self.cluster.pid("leat-agent", node))
            agents[agent["SLURMD_NODENAME"]] = set(agent)
        for name, wanted in OF_SLURM_FOR_MPI.items():
            self.assertLessEqual(wanted | OF_SLURM, agents[name])
        # A task has the variables of who submits it, and nothing of its agent's.
        for submit, names in ((self.submit, []), (self.submit_in_script, ["SLURM_JOB_ID"]),
                              (self.submit_in_step, ["SLURM_JOB_ID", "SLURM_STEP_ID"])):
            job = self.gang("/bin/sh", "-c", f"env > env.$LEAT_RANK; exec {self.program} shared",
                            submit=submit)
            self.cluster.wait(job)
            self.assertEqual(self.ranks_of(job), self.one_world)
            self.assertNotIn(b"PMIX ERROR", self.log(f"{job}.0", "--stderr"))
            for rank in range(4):
                self.check_environment(rank, names)

    def check_environment(self, rank: int, of_slurm: list[str]) -> None:
        path = self.folder / f"env.{rank}"
        mine = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
        path.unlink()
        self.assertEqual([name for name in ("SLURM_JOB_ID", "SLURM_STEP_ID") if name in mine],
                         of_slurm)
        self.assertIn(mine.get("SLURM_JOB_ID"), (None, str(self.allocation)))
        self.assertEqual((mine["PMIX_RANK"], mine["PMI_RANK"]), (str(rank), str(rank)))
        self.assertEqual({name: value for name, value in mine.items()
                          if name.startswith("PM") and "slurm" in value}, {})

    def test_an_abort_ends_the_gang_with_its_code(self):
        job = self.gang(self.program, "abort")
        self.cluster.wait(job, code=1)
        failure = self.cluster.job(job)["failures"][0]
        self.assertEqual((failure["outcome"], failure["code"]), ("exit", 7))

    def test_an_unmodified_mpirun_starts_its_ranks_by_the_gang_not_by_slurm(self):
        for submit in (self.submit, self.submit_in_script):
            job = self.gang("mpirun", "--oversubscribe", "--mca", "plm_base_verbose", 5,
                            self.program, "shared", how="--gang", submit=submit)
            self.cluster.wait(job)
            self.assertEqual(self.ranks_of(job), self.one_world)
            said = self.log(f"{job}.0", "--stderr")
            self.assertRegex(said, rb"plm:rsh: final template argv:\s+\S+/leat-rsh ")

    def test_tasks_are_no_ranks_of_slurms_and_find_nodes_by_their_allocation(self):
        job = self.submit_in_step("--array", "1-4", "--requires", f"slurm={self.allocation}", "--",
                                 "/bin/sh", "-c", "echo $SLURM_JOB_ID; env | grep ^PMI; exit 0")
        self.cluster.wait(job)
        for index in range(1, 5):
            self.assertEqual(self.log(f"{job}.{index}"), b"%d\n" % self.allocation)


class EndOfAnAllocation(AllocationTest):
    def test_all_of_it_ends_and_its_work_is_done_elsewhere(self):
        started = self.pipe("started")
        again = self.folder / "again"
        script = f"[ -e {again} ] && exec %s; echo x > started; exec %s"
        gang = self.gang("/bin/sh", "-c", script % (f"{self.program} hello",
                                                    f"{self.program} wait"), ranks=1)
        tasks = self.submit_in_step("--array", "1-2", "--", "/bin/sh", "-c",
                                   script % ("echo done", "sleep 1000"))
        started.lines(4)
        again.touch()
        agents = [self.cluster.pid("leat-agent", node) for node in self.cluster.node_ids()]
        self.slurm.cancel(self.allocation)
        for agent in agents:
            wait_for_end(agent)
        self.end_allocation()
        # Of what has ended the head knows that nobody has failed.
        self.cluster.until(lambda: self.states() == ["lost", "lost"], "the head knows")
        for job, count in ((gang, 1), (tasks, 2)):
            self.cluster.until(lambda job=job: self.cluster.job(job)["counts"]["running"] == 0,
                               "nothing runs")
            self.assert_counts(job, waiting=count)
            self.assertIn("2 lost", self.cluster.leat("why", job))
        self.cluster.leat("pool", "token", "lab", "--count", 2, "--out", self.folder / "token")
        for n in (1, 2):
            self.cluster.leat("agent", "join", "--daemon", "--cores", 2, "--token-file",
                              self.folder / f"token.{n}", "--dir", self.cluster.folder / f"n{n}")
        for job, count in ((gang, 1), (tasks, 2)):
            self.cluster.wait(job)
            self.assert_counts(job, succeeded=count)
        self.assertEqual(self.ranks_of(gang), ["rank 0 of 2", "rank 1 of 2"])


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 4000
    main()
