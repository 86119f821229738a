"""mpi_hosts_test.py - gangs over two hosts that share nothing but a network: programs of ours, and
Debian's HPCC as it is, by one `leat submit`."""

import os
import pathlib
import shutil
import sys

from hosts import HostsTest, check
from support import PROGRAMS, left_by_mpi, main

RANKS = PROGRAMS.resolve().parent / "tests" / "mpi-tasks" / "rank_program"
HPCC = pathlib.Path(__file__).resolve().parents[2] / "examples" / "mpi" / "hpcc" / "hpccinf.txt"


class MpiHostsTest(HostsTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.up_with_pool()
        cls.join_all([], cores=2)

    def on_each(self, *command, stdin: bytes = b"") -> list[bytes]:
        return [check(host.run(*command, stdin=stdin)).stdout for host in self.hosts]

    def gang(self, *command, cwd="/", ranks: int = 2) -> int:
        return self.cluster.submit("--nodes", 2, "--ranks-per-node", ranks, "--mpi=required",
                                   # Both hosts are this machine: who waits shall yield.
                                   "--env", "OMPI_MCA_mpi_yield_when_idle=1",
                                   "--cwd", cwd, "--", *command)

    def test_ranks_form_one_world_over_the_network(self):
        for what in ("allreduce", "shared", "publish"):
            job = self.gang(RANKS, what)
            self.cluster.wait(job)
            lines = self.log(f"{job}.0").decode().splitlines()
            world = sorted(line for line in lines if " of 4" in line)
            self.assertEqual(world, [f"rank {n} of 4" for n in range(4)], what)

    def test_nothing_of_a_gang_stays_on_any_host(self):
        before = left_by_mpi()  # hosts share the machine's memory and /tmp
        for what, code in (("hello", 0), ("abort", 1), ("killed", 1)):
            job = self.gang(RANKS, what)
            self.cluster.wait(job, code=code)
        self.cluster.until(lambda: left_by_mpi() <= before, f"nothing is left beyond {before}")
        self.assertEqual(self.on_each("sh", "-c", "ls /var/tmp/home/node/gangs"), [b"", b""])

    def test_hpcc_runs_as_debian_packages_it(self):
        if shutil.which("hpcc") is None:
            self.skipTest("hpcc is not installed: tools/setup does that")
        self.on_each("mkdir", "-p", self.folder)  # of that name, and each host's own
        self.on_each("sh", "-c", f"cat > {self.folder}/hpccinf.txt", stdin=HPCC.read_bytes())
        job = self.gang("hpcc", cwd=self.folder)
        self.cluster.wait(job, seconds=240)
        self.assertEqual(os.listdir(self.folder), [])
        said = check(self.hosts[0].run("cat", f"{self.folder}/hpccoutf.txt")).stdout.decode()
        self.assertIn("Success=1", said)
        self.assertIn("CommWorldProcs=4", said)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("mpi_hosts: hosts of network namespaces need root: nothing was tried")
        sys.exit(0)
    main()
