"""gang_application_test.py - programs that start their own ranks on the nodes of a gang: mpirun as
Debian has it, after a coordination command."""

from support import PROGRAMS, ClusterTest, left_by_mpi, main

RANKS = PROGRAMS.resolve().parent / "tests" / "mpi-tasks" / "rank_program"
MPIRUN = ["mpirun", "--oversubscribe"]
AS_ROOT = ["--env", "OMPI_ALLOW_RUN_AS_ROOT=1", "--env", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"]


class GangApplicationTest(ClusterTest):
    nodes = 2

    def setUp(self):
        super().setUp()
        self.before = left_by_mpi()

    def tearDown(self):
        self.cluster.until(lambda: left_by_mpi() <= self.before,
                           f"nothing is left: {left_by_mpi() - self.before}")

    def gang(self, *command, nodes: int = 2) -> int:
        return self.submit("--nodes", nodes, "--ranks-per-node", 2, "--cpus", 1, "--gang", *AS_ROOT,
                           *command)

    def test_an_unmodified_mpirun_starts_its_ranks_on_all_nodes(self):
        job = self.gang("--", *MPIRUN, RANKS, "shared")
        self.cluster.wait(job)
        lines = self.log(f"{job}.0").decode().splitlines()
        self.assertEqual(sorted(line for line in lines if " of 4" in line),
                         [f"rank {n} of 4" for n in range(4)])
        # Open MPI itself believes that there are two nodes: two ranks share memory on each.
        self.assertEqual(sum("node of 2" in line for line in lines), 4, lines)

    def test_its_subtasks_are_seen_and_read_one_by_one(self):
        job = self.gang("--coordination", "/bin/sh", "--coordination-arg", "-c",
                        "--coordination-arg", "echo up $LEAT_NODE_INDEX", "--", *MPIRUN, RANKS,
                        "hello")
        self.cluster.wait(job)
        shown = self.cluster.json("task", "show", f"{job}.0")["members"]
        subtasks = {subtask["subtask"]: subtask for member in shown
                    for subtask in member["subtasks"]}
        # Nodes of one host have names of their own: mpirun starts its daemon on its own, too.
        names = ["0:0", "0:coordination", "application", "1:0", "1:coordination"]
        self.assertEqual(list(subtasks), names)
        for subtask in subtasks.values():
            self.assertEqual((subtask["state"], subtask["code"], subtask["signal"]),
                             ("ended", 0, None))
            self.assertGreaterEqual(subtask["ended_us"], subtask["started_us"])
        self.assertTrue(subtasks["application"]["command"].startswith("mpirun --oversubscribe "))
        for daemon in ("0:0", "1:0"):
            self.assertIn("orted", subtasks[daemon]["command"])
        page = self.cluster.leat("task", "show", f"{job}.0").splitlines()
        self.assertEqual([line.split()[0] for line in page[-6:]], ["SUBTASK", *names])
        said = self.log(f"{job}.0", "--subtask", "application").splitlines()
        self.assertEqual(sorted(said), [b"rank %d of 4" % n for n in range(4)])
        self.assertEqual(self.log(f"{job}.0", "--subtask", "1:coordination"), b"up 1\n")
        self.assertEqual(self.log(f"{job}.0", "--subtask", "coordination"), b"up 0\nup 1\n")
        self.assertIn(b"[application] rank 0 of 4\n", self.log(f"{job}.0", "--label"))

    def test_subtasks_that_do_not_exist_are_named(self):
        job = self.gang("--", "/bin/sh", "-c",
                        'for node in $(echo $LEAT_HOST_LIST | tr , " "); do '
                        "$OMPI_MCA_plm_rsh_agent $node 'echo here $LEAT_NODE_INDEX; exit 3'; "
                        "done; true")
        self.cluster.wait(job)
        for member in range(2):
            self.assertEqual(self.log(f"{job}.0", "--subtask", f"{member}:0"),
                             b"here %d\n" % member)
            subtasks = self.cluster.json("task", "show", f"{job}.0")["members"][member]["subtasks"]
            self.assertEqual([subtask["code"] for subtask in subtasks
                              if subtask["subtask"] == f"{member}:0"], [3])
        self.assertEqual(self.log(f"{job}.0", "--subtask", "1:7"), b"")
        for wrong, why in (("2:0", "the members of"), ("x", "is not like 1:0")):
            done = self.cluster.run("logs", f"{job}.0", "--subtask", wrong)
            self.assertEqual((done.returncode, done.stdout), (2, b""))
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertIn(why, done.stderr.decode())

    def test_the_exit_code_is_that_of_the_program(self):
        job = self.gang("--", "/bin/sh", "-c", "exit 9")
        self.cluster.wait(job, code=1)
        self.assertEqual(self.cluster.job(job)["failures"][0]["code"], 9)

    def test_the_program_runs_on_the_first_node_only_and_knows_the_others(self):
        job = self.gang("--", "/bin/sh", "-c",
                        'echo "$LEAT_IS_PRIMARY $LEAT_NODE_INDEX $LEAT_NODE_COUNT $LEAT_HOST_LIST"')
        self.cluster.wait(job)
        primary, index, count, hosts = self.log(f"{job}.0").decode().split()
        self.assertEqual((primary, index, count), ("1", "0", "2"))
        self.assertEqual(len(set(hosts.split(","))), 2)

    def test_the_program_waits_for_the_coordination_of_all_nodes(self):
        self.folder.joinpath("coordinate").write_text(
            '#!/bin/sh\nread _ < gate; echo "$1 $LEAT_NODE_INDEX" >> ran\n')
        self.folder.joinpath("coordinate").chmod(0o755)
        gate = self.pipe("gate")
        job = self.gang("--coordination", "./coordinate", "--coordination-arg", "here", "--",
                        "/bin/sh", "-c", "echo main >> ran")
        self.cluster.until(lambda: self.cluster.job(job)["state"] == "running", "it is placed")
        self.assertEqual(self.evidence(), [])
        gate.release(2)
        self.cluster.wait(job)
        lines = self.evidence()
        self.assertEqual(sorted(lines[:2]), ["here 0", "here 1"])
        self.assertEqual(lines[2:], ["main"])

    def test_a_coordination_that_fails_is_named_with_its_node(self):
        job = self.gang("--coordination", "/bin/sh", "--coordination-arg", "-c",
                        "--coordination-arg", '[ "$LEAT_NODE_INDEX" = 0 ]', "--", "/bin/echo",
                        "no")
        self.cluster.wait(job, code=1)
        self.assertEqual(self.log(f"{job}.0"), b"")
        self.assertRegex(self.log(f"{job}.0", "--stderr").decode(), r"coordination.*node-\d")

    def test_a_coordination_that_never_returns_ends_with_the_time_limit(self):
        job = self.gang("--coordination", "/bin/sleep", "--coordination-arg", "1000", "--time",
                        "1s", "--", "/bin/echo", "no")
        self.cluster.wait(job, code=1)
        self.assertEqual(self.cluster.job(job)["failures"][0]["outcome"], "time_limit")

    def test_nobody_reaches_a_node_that_is_not_of_the_gang(self):
        job = self.gang("--", "/bin/sh", "-c", "$OMPI_MCA_plm_rsh_agent elsewhere hostname",
                        nodes=1)
        self.cluster.wait(job, code=1)
        self.assertIn("elsewhere", self.log(f"{job}.0", "--stderr").decode())


if __name__ == "__main__":
    main()
