"""hosts.py - hosts that share nothing but a network, for tests that need several machines.

A host is a network, mount, UTS and PID namespace with a private /var/tmp; the head is in a network
namespace of its own, and a bridge joins them. All of it is made here and goes with its processes.
Needs root.
"""

import pathlib
import select
import subprocess

from support import DEADLINE_S, PROGRAMS, Cluster, ClusterTest, Pipe

HEAD = "10.77.0.1"
# Becomes a place's first process: says who it is, and lives until its standard input ends.
HOLD = "{name} ip link set lo up; echo ready; exec cat"


class Place:
    """Namespaces and the process that holds them."""

    def __init__(self, name: str, private: bool):
        flags = ["--net"] + (["--mount", "--uts", "--pid", "--fork", "--kill-child",
                              "--mount-proc", "--propagation", "private"] if private else [])
        prepare = (f"hostname {name}; mount -t tmpfs -o mode=1777 none /var/tmp; "
                   "mkdir -m 0700 /var/tmp/home;") if private else ""
        self.holder = subprocess.Popen(["unshare", *flags, "sh", "-c",
                                        HOLD.replace("{name}", prepare)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        ready, _, _ = select.select([self.holder.stdout], [], [], DEADLINE_S)
        assert ready and self.holder.stdout.readline() == b"ready\n", name
        # With --fork the namespaces' first process is the child.
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        self.pid = int(children.read_text().split()[0]) if private else self.holder.pid
        self.private = private

    def inside(self, *command) -> list[str]:
        flags = ["--net"] + (["--mount", "--uts", "--pid"] if self.private else [])
        return ["nsenter", "-t", str(self.pid), *flags, "--", *(str(word) for word in command)]

    def run(self, *command, stdin: bytes = b"") -> subprocess.CompletedProcess:
        return subprocess.run(self.inside(*command), input=stdin, capture_output=True,
                              timeout=DEADLINE_S, check=False)

    def root(self) -> pathlib.Path:
        return pathlib.Path(f"/proc/{self.pid}/root")

    def end(self) -> None:
        self.holder.stdin.close()
        self.holder.wait(DEADLINE_S)


class HeadElsewhere(Cluster):
    """A cluster whose head is in a network namespace."""

    place: Place

    def command(self, *args) -> list[str]:
        return self.place.inside(*super().command(*args))


def check(done: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
    assert done.returncode == 0, f"{done.args}: {done.stderr.decode()}"
    return done


class HostsTest(ClusterTest):
    """A head and some hosts; their agents join in join_all()."""

    hosts_wanted = 2
    hosts: list[Place]
    hub: Place

    @classmethod
    def setUpClass(cls):
        hub = cls.hub = Place("hub", private=False)
        cls.addClassCleanup(hub.end)
        check(hub.run("ip", "link", "add", "br0", "type", "bridge"))
        check(hub.run("ip", "addr", "add", f"{HEAD}/24", "dev", "br0"))
        check(hub.run("ip", "link", "set", "br0", "up"))
        cls.hosts = []
        for n in range(1, cls.hosts_wanted + 1):
            host = Place(f"host{n}", private=True)
            cls.addClassCleanup(host.end)
            cls.hosts.append(host)
            check(hub.run("ip", "link", "add", f"veth{n}", "type", "veth", "peer", "name", "eth0",
                          "netns", str(host.pid)))
            check(hub.run("ip", "link", "set", f"veth{n}", "master", "br0", "up"))
            check(host.run("ip", "addr", "add", f"10.77.0.{10 + n}/24", "dev", "eth0"))
            check(host.run("ip", "link", "set", "eth0", "up"))
        cls.cluster = HeadElsewhere(PROGRAMS)
        cls.cluster.place = hub
        cls.addClassCleanup(cls.cluster.close)

    @classmethod
    def up_with_pool(cls) -> None:
        pool = cls.cluster.folder / "lab.toml"
        pool.write_text(f'name = "lab"\nprovider = "static"\nnodes = {cls.hosts_wanted}\n')
        said = cls.cluster.leat("up", "--listen", HEAD, "--pool", pool)
        cls.address = cls.cluster.status()["agent_address"]
        assert f"agents join at {cls.address}" in said, said

    @classmethod
    def join_all(cls, addresses: list[str], cores: int = 1) -> None:
        """The first agents go by these addresses, the others as their tokens say."""
        tokens = cls.cluster.folder / "token"
        cls.cluster.leat("pool", "token", "lab", "--count", cls.hosts_wanted, "--out", tokens)
        for n, host in enumerate(cls.hosts, 1):
            path = f"{tokens}.{n}" if cls.hosts_wanted > 1 else str(tokens)
            token = pathlib.Path(path).read_bytes()
            check(host.run("sh", "-c", "umask 077; cat > /var/tmp/home/token", stdin=token))
            check(host.run(cls.cluster.programs / "leat", "agent", "join", "--daemon", "--cores",
                           cores, "--dir", "/var/tmp/home/node", "--token-file",
                           "/var/tmp/home/token", *addresses[n - 1:n]))

    def host_pipe(self, host: Place, name: str) -> Pipe:
        pipe = Pipe(host.root() / "var/tmp" / name)
        self.addCleanup(pipe.close)
        return pipe
