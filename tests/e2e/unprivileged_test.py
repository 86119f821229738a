"""unprivileged_test.py - everything works for a user who is nobody, and for no other user."""

import os
import shutil
import stat
import unittest

from support import PROGRAMS, Cluster, ClusterTest, main

IS_ROOT = os.geteuid() == 0
SOMEBODY, SOMEBODY_ELSE = (65534 if IS_ROOT else os.geteuid()), 65533


class UnprivilegedTest(ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(PROGRAMS, cls.nodes, uid=SOMEBODY if IS_ROOT else None)
        cls.addClassCleanup(cls.cluster.close)
        # The build tree may lie where only its owner can go.
        programs = cls.cluster.folder / "bin"
        shutil.copytree(cls.cluster.programs, programs)
        cls.cluster.programs = programs
        cls.cluster.folder.chmod(0o755)
        cls.cluster.up()

    def setUp(self):
        super().setUp()
        os.chown(self.folder, SOMEBODY, SOMEBODY)

    def test_a_sweep_with_a_reduce_runs_as_that_user(self):
        job = self.shell_job("id -u", "--array", "1-20", "--reduce", "/usr/bin/uniq",
                             "--reduce-width", "4")
        self.cluster.wait(job)
        self.assertEqual(self.cluster.result(job), b"%d\n" % SOMEBODY)

    def test_a_lost_node_and_a_lost_head_are_replaced(self):
        started, gate = self.pipe("started"), self.pipe("gate")
        for pipe in (started, gate):
            os.chown(pipe.path, SOMEBODY, SOMEBODY)
        job = self.shell_job("echo x > started; read _ < gate", "--array", "1-4")
        started.lines(2)
        self.cluster.kill_node(self.cluster.node_ids()[0])
        self.cluster.kill_head()
        self.cluster.up()
        gate.release(8)
        self.cluster.wait(job)

    @unittest.skipUnless(IS_ROOT, "only root can become somebody else")
    def test_another_user_is_refused_and_root_is_told(self):
        # The positive control is every other test here: the same calls as SOMEBODY work.
        self.cluster.home.chmod(0o711)  # past the directory, to the checks behind it
        self.addCleanup(self.cluster.home.chmod, 0o700)
        for uid in (SOMEBODY_ELSE, 0):
            done = self.cluster.run("status", uid=uid)
            self.assertIn(done.returncode, (2, 3, 4), done.stderr)
            self.assertEqual(done.stdout, b"")
            self.assertEqual(len(done.stderr.decode().strip().splitlines()), 1, done.stderr)

    def test_no_file_of_the_cluster_is_open_to_others(self):
        seen = 0
        for folder, folders, files in os.walk(self.cluster.home):
            for name in folders + files:
                status = os.lstat(os.path.join(folder, name))
                if stat.S_ISLNK(status.st_mode):
                    continue
                seen += 1
                self.assertEqual(status.st_uid, SOMEBODY, name)
                self.assertEqual(stat.S_IMODE(status.st_mode) & 0o077, 0,
                                 f"{folder}/{name}: {stat.filemode(status.st_mode)}")
        self.assertGreater(seen, 20)

    def test_no_secret_is_in_arguments_or_environments(self):
        secrets = [path.read_bytes() for path in self.cluster.home.glob("nodes/*/node.token")]
        secrets += [line for path in self.cluster.home.rglob("*.pem")
                    for line in path.read_bytes().splitlines() if len(line) > 40]
        secrets += [line for path in self.cluster.home.rglob("*key*") if path.is_file()
                    for line in path.read_bytes().splitlines() if len(line) > 40]
        self.assertGreater(len(secrets), 2)
        for daemon in self.cluster.status()["daemons"]:
            for name in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{daemon['pid']}/{name}", "rb") as file:
                        content = file.read()
                except PermissionError:  # not dumpable: not even its own user may look
                    continue
                for secret in secrets:
                    self.assertNotIn(secret, content, (daemon["name"], name))


if __name__ == "__main__":
    main()
