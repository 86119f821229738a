"""static_hosts_test.py - three hosts that share nothing but a network: agents join over TLS, a job
runs on all of them, and a result comes back.
"""

import os
import subprocess
import sys
import unittest

from hosts import HEAD, HostsTest, check
from support import main

HOSTS = 3
MARKER = "these-words-must-not-be-seen-on-the-wire"
# Takes one connection, passes it on to argv[1], and writes what passes to argv[2].
TAP = """
import socket, sys, threading
host, port = sys.argv[1].rsplit(":", 1)
listener = socket.create_server(("{head}", 0))
print(listener.getsockname()[1], flush=True)
log = open(sys.argv[2], "wb", buffering=0)
def pump(source, sink):
    while data := source.recv(65536):
        log.write(data)
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)
while True:
    client, _ = listener.accept()
    server = socket.create_connection((host, int(port)))
    for pair in ((client, server), (server, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
""".replace("{head}", HEAD)


class StaticHostsTest(HostsTest):
    hosts_wanted = HOSTS

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        hub = cls.hub
        cls.up_with_pool()
        cls.tap_log = cls.cluster.folder / "tap"
        cls.tap = subprocess.Popen(hub.inside(sys.executable, "-c", TAP, cls.address, cls.tap_log),
                                   stdout=subprocess.PIPE)
        cls.addClassCleanup(cls.tap.wait)
        cls.addClassCleanup(cls.tap.kill)
        tapped = f"{HEAD}:{int(cls.tap.stdout.readline())}"
        cls.join_all([tapped])

    def test_a_job_runs_on_all_three_and_its_result_comes_back(self):
        nodes = self.cluster.json("node", "list")["nodes"]
        self.assertEqual({node["host"] for node in nodes}, {"host1", "host2", "host3"})
        self.assertEqual({node["data_address"].rsplit(":", 1)[0] for node in nodes},
                         {f"10.77.0.{10 + n}" for n in range(1, HOSTS + 1)})
        started = [self.host_pipe(host, "started") for host in self.hosts]
        gates = [self.host_pipe(host, "gate") for host in self.hosts]
        script = (f"echo up > /var/tmp/started; read _ < /var/tmp/gate; : {MARKER}; "
                  "echo $(hostname) $(ls /var/tmp/home /var/tmp | grep -c leat-)")
        job = self.cluster.submit("--array", f"1-{HOSTS}", "--cwd", "/", "--reduce",
                                  "/usr/bin/sort", "--reduce-width", 2, "--", "/bin/sh", "-c",
                                  script)
        for pipe in started:
            pipe.lines(1)  # one on each host at the same time
        for gate in gates:
            gate.release(HOSTS)
        self.cluster.wait(job)
        # Nobody sees the head's home, nor another host's.
        self.assertEqual(self.cluster.result(job), b"host1 0\nhost2 0\nhost3 0\n")
        self.assertEqual(self.cluster.job(job)["lost"], 0)
        # What passed the tap was TLS from the first byte, and the program's words are not in it.
        passed = self.tap_log.read_bytes()
        self.assertEqual(passed[:2], b"\x16\x03")
        self.assertGreater(len(passed), 5000)
        self.assertNotIn(MARKER.encode(), passed)

    def test_every_connection_between_hosts_speaks_tls(self):
        status = self.cluster.status()
        port = self.address.rsplit(":", 1)[1]
        established = check(self.hub.run("ss", "-Htn", "state", "established", "sport",
                                         f"= :{port}")).stdout.decode()
        self.assertIn("10.77.0.12:", established)
        self.assertIn("10.77.0.13:", established)
        data = [node["data_address"] for node in self.cluster.json("node", "list")["nodes"]]
        for address in [self.address, status["enrol_address"], status["store_address"], *data]:
            ask = ("import socket, sys; s = socket.create_connection((sys.argv[1], "
                   "int(sys.argv[2])), 10); s.settimeout(30); s.sendall(b'GET / HTTP/1.0\\r\\n"
                   "\\r\\n' * 9); sys.stdout.buffer.write(s.recv(4096))")
            done = self.hosts[2].run(sys.executable, "-c", ask, *address.rsplit(":", 1))
            # A TLS alert, or nothing: never a word of ours.
            answer = done.stdout
            self.assertTrue(answer[:1] in (b"", b"\x15"), (address, answer))
            self.assertTrue(done.returncode == 0 or b"ConnectionReset" in done.stderr, done.stderr)

    def test_a_host_that_goes_away_is_lost_and_not_gone(self):
        host = self.hosts[1]
        node = next(n["id"] for n in self.cluster.json("node", "list")["nodes"]
                    if n["host"] == "host2")
        state = lambda: {n["id"]: n["state"]  # noqa: E731
                         for n in self.cluster.json("node", "list")["nodes"]}
        check(host.run("ip", "link", "set", "eth0", "down"))
        self.cluster.until(lambda: state()[node] == "lost", "the node is lost")
        check(host.run("ip", "link", "set", "eth0", "up"))
        self.cluster.until(lambda: state()[node] == "up", "the node has come back")
        self.assertEqual(len(state()), HOSTS)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("static_hosts: hosts of network namespaces need root: nothing was tried")
        sys.exit(0)
    unittest.TestCase.maxDiff = 2000
    main()
