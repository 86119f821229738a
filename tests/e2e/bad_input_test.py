"""bad_input_test.py - one clear line, the right exit code, and nothing changed."""

import json
import os
import socket
import ssl
import subprocess
import unittest

from support import PROGRAMS, Cluster, ClusterTest, main

GARBAGE = [b"\0" * 4096, b"\xff" * 70000, b"GET / HTTP/1.1\r\n\r\n", os.urandom(20000),
           b"LEATENR1" + b"\xff\xff\xff\xff" + b"x" * 1000, b""]


class RefusalsTest(ClusterTest):
    def refused(self, code: int, *args, saying: str = "", **options) -> None:
        before = self.cluster.json("job", "list")["jobs"]
        done = self.cluster.run(*args, **options)
        text = done.stderr.decode()
        self.assertEqual(done.returncode, code, text)
        self.assertEqual(done.stdout, b"")
        self.assertEqual(len(text.strip().splitlines()), 1, text)
        self.assertTrue(text.startswith("leat: "), text)
        self.assertIn(saying, text)
        self.assertEqual(self.cluster.json("job", "list")["jobs"], before)

    def test_ranges_that_mean_nothing(self):
        for array in ("5-1", "1-5:0", "", "x", "1,,2", "1-", "0-281474976710656", "1-4294967297"):
            self.refused(2, "submit", "--array", array, "--", "/bin/true")

    def test_flags_and_commands_that_do_not_exist(self):
        self.refused(2, "submit", "--no-such-flag", "--", "/bin/true", saying="--no-such-flag")
        self.refused(2, "no-such-command")
        self.refused(2, "submit")
        self.refused(2, "submit", "--cpus", "-1", "--", "/bin/true")
        self.refused(2, "submit", "--memory", "2Q", "--", "/bin/true")
        self.refused(2, "submit", "--time", "soon", "--", "/bin/true")

    def test_programs_that_are_not_there(self):
        self.refused(2, "submit", "--", "/no/such/program", saying="/no/such/program")
        self.refused(2, "submit", "--", "no-such-program-anywhere",
                     saying="no-such-program-anywhere")
        self.refused(2, "submit", "--", "/etc/passwd", saying="/etc/passwd")

    def test_directories_that_are_not_there(self):
        done = self.cluster.run("submit", "--cwd", "/no/such/directory", "--", "/bin/true")
        if done.returncode == 0:  # it may be there on the nodes; then they say so
            job = int(done.stdout)
            self.cluster.wait(job, code=1)
            failure = self.cluster.job(job)["failures"][0]
            self.assertEqual((failure["outcome"], failure["code"]), ("could_not_start", 2))
        else:
            self.assertEqual(done.returncode, 2)
            self.assertIn(b"/no/such/directory", done.stderr)

    def test_resources_that_never_fit(self):
        for resources in (["--cpus", "5000"], ["--memory", "900T"]):
            done = self.cluster.run("submit", *resources, "--", "/bin/true")
            self.assertIn(done.returncode, (2, 4), done.stderr)
            self.assertEqual(len(done.stderr.decode().strip().splitlines()), 1)

    def test_gangs_that_make_no_sense_or_can_never_be(self):
        self.refused(2, "submit", "--nodes", 2, "--", "/bin/true", saying="--mpi or --gang")
        for ranks, saying in ((["--ranks", 3], "--ranks"), (["--ranks-per-node", "1,2,3"], "3"),
                              (["--ranks", 0], "--ranks"), (["--bind=tight"], "tight")):
            self.refused(2, "submit", "--nodes", 2, "--mpi", *ranks, "--", "/bin/true",
                         saying=saying)
        self.refused(2, "submit", "--mpi=maybe", "--", "/bin/true", saying="maybe")
        self.refused(4, "submit", "--nodes", 9, "--mpi", "--", "/bin/true", saying="9 nodes")
        self.refused(4, "submit", "--nodes", 2, "--ranks-per-node", 999, "--mpi", "--", "/bin/true",
                     saying="cpu")

    def test_files_that_cannot_be_read_or_are_empty(self):
        (self.folder / "empty").write_bytes(b"")
        self.refused(2, "submit", "--each-line", "/no/such/file", "--", "/bin/cat",
                     saying="/no/such/file")
        self.refused(2, "submit", "--each-line", str(self.folder / "empty"), "--", "/bin/cat",
                     saying="empty")

    def test_pool_files_with_mistakes_name_line_and_column(self):
        bad = self.folder / "bad.toml"
        for text, place in (('name = "p"\nprovider = "local"\nnodes = "two"\n', ":3:"),
                            ('name = "p"\nprovider = \n', ":2:"),
                            ('name = "p"\nprovider = "local"\nnodes = 1\ncolour = "red"\n', ":4:")):
            bad.write_text(text)
            self.refused(2, "up", "--pool", str(bad), saying=f"bad.toml{place}")
        bad.write_text('name = "p"\nprovider = "slurm"\nnodes = 1\n')
        self.refused(4, "up", "--pool", str(bad), saying="not in this version")

    def test_jobs_that_do_not_exist(self):
        for command in (["wait", "999999"], ["cancel", "999999"], ["why", "999999"],
                        ["logs", "999999.1"], ["result", "999999"], ["job", "show", "999999"]):
            self.refused(2, *command)
        for command in (["wait", "x"], ["cancel", "1.x"], ["logs", "1.x"], ["job", "show", "-3"]):
            self.refused(2, *command)

    def test_the_same_key_for_another_job(self):
        self.cluster.leat("submit", "--key", "taken", "--", "/bin/true")
        done = self.cluster.run("submit", "--key", "taken", "--", "/bin/echo", "other")
        self.assertIn(done.returncode, (0, 4))  # the first answer, or a refusal: never a second job

    def test_names_with_control_characters(self):
        self.refused(2, "submit", "--name", "red\x1b[31m\x07", "--", "/bin/true", saying="name")

    def test_what_others_wrote_is_not_printed_raw(self):
        job = self.submit("--", "/bin/sh", "-c", "exit 1 # \x1b[31m")
        self.cluster.wait(job, code=1)
        for command in (["job", "show", job], ["job", "list"], ["wait", job]):
            done = self.cluster.run(*command)
            self.assertNotIn(b"\x1b", done.stdout + done.stderr)


class PortsTest(ClusterTest):
    def addresses(self) -> list[tuple[str, int]]:
        status = self.cluster.json("status")
        texts = [status["agent_address"], status["enrol_address"], status["store_address"]]
        texts += [node["data_address"] for node in self.cluster.json("node", "list")["nodes"]]
        return [(text.rsplit(":", 1)[0], int(text.rsplit(":", 1)[1])) for text in texts]

    def daemons(self) -> set[tuple[str, int]]:
        return {(d["name"], d["pid"]) for d in self.cluster.status()["daemons"]}

    def test_garbage_on_every_port_changes_nothing(self):
        before = self.daemons()
        for address in self.addresses():
            for garbage in GARBAGE:
                with socket.create_connection(address, timeout=20) as connection:
                    try:
                        connection.sendall(garbage)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass
                    except OSError:  # reset, or closed already: either is an answer
                        pass
        self.assertEqual(self.daemons(), before)
        self.cluster.wait(self.shell_job("true"))

    def test_garbage_behind_an_anonymous_handshake_changes_nothing(self):
        before = self.daemons()
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for address in self.addresses():
            for garbage in GARBAGE:
                try:
                    with socket.create_connection(address, timeout=20) as plain:
                        with context.wrap_socket(plain, server_hostname="x") as secure:
                            secure.sendall(garbage)
                            secure.unwrap()
                except OSError:  # refused, reset or closed: any is an answer
                    pass
        self.assertEqual(self.daemons(), before)
        self.cluster.wait(self.shell_job("true"))

    def test_garbage_on_the_users_socket_changes_nothing(self):
        before = self.daemons()
        for garbage in GARBAGE:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(20)
                connection.connect(str(self.cluster.home / "head.sock"))
                try:
                    connection.sendall(garbage)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except OSError:  # reset, or closed already: either is an answer
                    pass
        self.assertEqual(self.daemons(), before)
        self.cluster.wait(self.shell_job("true"))


class NoHeadTest(unittest.TestCase):
    """Homes that no head can use, and commands without a head."""

    def setUp(self):
        self.cluster = Cluster(PROGRAMS, 1)
        self.addCleanup(self.cluster.close)

    def one_line(self, done: subprocess.CompletedProcess, *codes: int) -> str:
        text = done.stderr.decode()
        self.assertIn(done.returncode, codes, text)
        self.assertEqual(len(text.strip().splitlines()), 1, text)
        return text

    def test_a_head_that_is_not_there(self):
        self.cluster.home.mkdir(mode=0o700)
        for command in (["status"], ["submit", "--key", "k", "--", "/bin/true"], ["job", "list"]):
            self.one_line(self.cluster.run(*command), 3)

    def test_a_home_that_others_may_read(self):
        self.cluster.home.mkdir(mode=0o755)
        self.cluster.home.chmod(0o755)
        self.one_line(self.cluster.run("up", "--local", "1"), 2, 4)

    def test_a_home_too_long_for_a_socket(self):
        self.one_line(self.cluster.run("--home", "/var/tmp/" + "x" * 120, "up"), 2)

    def store_file(self):
        files = [path for path in self.cluster.home.iterdir()
                 if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"]
        self.assertEqual(len(files), 1, files)
        return files[0]

    def stopped_store(self):
        self.cluster.up()
        self.cluster.leat("down", "--force")
        return self.store_file()

    def test_a_store_that_is_damaged_newer_or_not_ours(self):
        store = self.stopped_store()
        good = store.read_bytes()
        newer = good[:60] + (99).to_bytes(4, "big") + good[64:]  # SQLite's user_version
        foreign = good[:68] + b"ELSE" + good[72:]  # its application_id
        torn = good[:100] + b"\xff" * 3000 + good[3100:]
        for content in (newer, foreign, torn, b"not a database at all" * 300):
            store.write_bytes(content)
            self.one_line(self.cluster.run("up", "--local", "1"), 2, 4)
            self.assertEqual(store.read_bytes(), content)  # and nothing was "repaired"
        store.write_bytes(good)
        self.cluster.up()


class JsonTest(ClusterTest):
    def test_refusals_do_not_mix_with_data(self):
        done = self.cluster.run("job", "show", "77", "--json")
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        json.loads(self.cluster.leat("status", "--json"))


if __name__ == "__main__":
    main()
