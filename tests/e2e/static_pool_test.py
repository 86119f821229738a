"""static_pool_test.py - agents started by hand: tokens that are good once, and an end in order."""

import json
import os
import pathlib
import signal
import socket
import threading
import unittest

from support import PROGRAMS, Cluster, ClusterTest, main, wait_for_end

POOL = 'name = "lab"\nprovider = "static"\nnodes = 2\n'


class StaticPoolTest(ClusterTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(PROGRAMS)
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.pool = cls.cluster.folder / "lab.toml"
        cls.cluster.pool.write_text(POOL)
        cls.cluster.up()

    def nodes(self) -> dict[int, str]:
        return {n["id"]: n["state"] for n in self.cluster.json("node", "list")["nodes"]}

    def token(self, name: str, *args) -> str:
        path = self.folder / name
        self.cluster.leat("pool", "token", "lab", "--out", path, *args)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        return str(path)

    def join(self, *args, code: int = 0, directory: str = "node") -> str:
        """`leat agent join --daemon` into a directory of this test; what it said."""
        done = self.cluster.run("agent", "join", "--dir", self.folder / directory, "--daemon",
                                "--cores", "1", *args)
        self.assertEqual(done.returncode, code, done.stderr)
        if code:
            self.assertEqual(done.stdout, b"")
            self.assertEqual(len(done.stderr.decode().splitlines()), 1, done.stderr)
        return (done.stderr if code else done.stdout).decode()

    def setUp(self):
        super().setUp()
        self.addCleanup(self.remove_all)

    def remove_all(self) -> None:
        for node, state in self.nodes().items():
            if state != "deleting":
                self.cluster.run("node", "remove", node, "--requeue")
        self.cluster.until(lambda: not self.nodes(), "all nodes are gone")

    def test_a_node_joins_works_comes_back_and_is_told_to_stop(self):
        said = self.join("--token-file", self.token("token"))
        node, pid = (int(word.strip(",")) for word in said.split() if word.strip(",\n").isdigit())
        self.assertEqual(self.nodes(), {node: "up"})
        started, gate = self.pipe("started"), self.pipe("gate")
        job = self.shell_job("echo x > started; read _ < gate; echo done", "--pool", "lab")
        started.lines(1)
        # The agent dies, the task lives, and another agent comes back as the same node.
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)
        again = int(self.join().split()[-1])
        gate.release()
        self.cluster.wait(job)
        self.assertEqual(self.log(f"{job}.0"), b"done\n")
        self.assertEqual(self.nodes(), {node: "up"})
        # So does the head.
        self.cluster.kill_head()
        self.cluster.up()
        self.cluster.until(lambda: self.nodes() == {node: "up"}, "the agent has found the head")
        self.cluster.leat("node", "remove", node)
        wait_for_end(again)
        self.cluster.until(lambda: not self.nodes(), "the node is gone")
        self.assertIn("not expected", self.join(code=4))

    def test_a_token_is_good_once_and_for_a_time(self):
        token = self.token("token")
        self.join("--token-file", token, directory="one")
        line = self.join("--token-file", token, code=4, directory="two")
        self.assertIn("used or expired", line)
        late = self.token("late", "--expires", "1s")
        self.cluster.until(lambda: len(self.nodes()) == 1, "the token has expired")
        self.assertIn("expired", self.join("--token-file", late, code=4, directory="three"))
        damaged = self.folder / "damaged"
        damaged.write_text(pathlib.Path(late).read_text()[:-3])
        damaged.chmod(0o600)
        self.assertIn("damaged", self.join("--token-file", damaged, code=2, directory="four"))

    def test_tokens_are_given_for_expected_nodes_of_static_pools_only(self):
        self.cluster.leat("pool", "token", "lab", "--count", 2, "--out", self.folder / "many")
        self.assertTrue((self.folder / "many.2").exists())
        done = self.cluster.run("pool", "token", "lab", "--out", self.folder / "more")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn(b"expects 2 nodes and has 2", done.stderr)
        self.assertFalse((self.folder / "more").exists())
        done = self.cluster.run("pool", "token", "none", "--out", self.folder / "more")
        self.assertEqual(done.returncode, 2, done.stderr)

    def test_another_cluster_does_not_get_the_secret(self):
        token = self.token("token")
        with Cluster(PROGRAMS, 1) as other:
            stranger = other.status()["enrol_address"]
            with Relay(stranger) as relay:
                # The token's own port, at an address where somebody else answers.
                self.cluster.kill_head()
                port = json.loads((self.cluster.home / "endpoint.json").read_text())[
                    "enrol_address"].rsplit(":", 1)[1]
                relay.listen(int(port))
                line = self.join("--token-file", token, code=2)
                self.assertIn("not the head that made the token", line)
        self.cluster.up()
        self.join("--token-file", token)  # it was not spent


class Relay:
    """Passes connections on to `target`, until the end of the with."""

    def __init__(self, target: str):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = None

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_) -> None:
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()

    def listen(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            with source:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 2000
    main()
