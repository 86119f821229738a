"""cluster.py - one Leat cluster in a directory of its own, for the demo and the end-to-end tests.

Talks to it only as a user would: by the command line and its --json. Waits for events (a process
that ends, bytes in a pipe), each with a deadline.
"""

import abc
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

DEADLINE_S = 60


class Refused(Exception):
    """A command ended with a code that was not expected."""


def process_file(pid: int, name: str) -> str | None:
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and not yet reaped does not."""
    stat = process_file(pid, "stat")
    return stat is not None and stat.rsplit(")", 1)[1].split()[0] not in "ZX"


def wait_for_end(pid: int, seconds: float = DEADLINE_S) -> None:
    """Returns when `pid` is gone. Raises TimeoutError."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([handle], [], [], seconds)
        if not ready:
            raise TimeoutError(f"process {pid} has not ended in {seconds} s")
    finally:
        os.close(handle)


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Sends the signal and returns when the process is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    wait_for_end(pid)


class Running(abc.ABC):
    """What is up within a `with`, and closed behind it whatever happens."""

    @abc.abstractmethod
    def up(self) -> None: ...

    @abc.abstractmethod
    def close(self) -> None: ...

    def check(self) -> None:
        """Raises if it is no longer up."""

    def what_was_said(self) -> str:
        """What helps whoever reads why a test has failed."""
        return ""

    def until(self, question, what: str, seconds: float = DEADLINE_S):
        """The first true answer to `question()`. For states that nobody is told of by an event."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            answer = question()
            if answer:
                return answer
            self.check()
            select.select([], [], [], 0.05)
        raise TimeoutError(f"after {seconds} s still not: {what}\n{self.what_was_said()}")

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Cluster(Running):
    """`with Cluster(programs) as cluster:` has a head with `nodes` local nodes, or those of the
    file `pool`.

    Owns its home directory and every process in it; both are gone at the end. With LEAT_KEEP set
    in the environment the directory stays for a look.
    """

    def __init__(self, programs: str | pathlib.Path, nodes: int = 2, *, keep: bool = False,
                 pool: str | pathlib.Path | None = None, uid: int | None = None):
        self.programs = pathlib.Path(programs).resolve()
        self.nodes = nodes
        self.keep = keep or "LEAT_KEEP" in os.environ
        self.pool = pathlib.Path(pool).resolve() if pool else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="leat-", dir="/var/tmp"))
        self.home = self.folder / "home"
        self.uid = uid  # run every command as this user; needs root
        if uid is not None:
            os.chown(self.folder, uid, uid)
        self.seen: set[int] = set()  # every daemon that was ever shown

    # --- commands ---

    def environment(self, **more: str) -> dict[str, str]:
        variables = {**os.environ, "LEAT_HOME": str(self.home), **more}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in variables:  # what sanitizers have to say must outlive the node it is about
                variables[name] += f":log_path={self.folder}/sanitizer"
        return variables

    def command(self, *args) -> list[str]:
        return [str(self.programs / "leat"), *(str(arg) for arg in args)]

    def run(self, *args, stdin: bytes = b"", seconds: float = DEADLINE_S,
            cwd: str | None = None, uid: int | None = None,
            **variables: str) -> subprocess.CompletedProcess:
        """One `leat` command, whatever its exit code; output as bytes."""
        uid = self.uid if uid is None else uid
        as_user = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        return subprocess.run(self.command(*args), input=stdin, capture_output=True,
                              timeout=seconds, cwd=cwd or self.folder,
                              env=self.environment(**variables), check=False, **as_user)

    def leat(self, *args, code: int = 0, **options) -> str:
        """One `leat` command that must end with `code`; its standard output as text."""
        done = self.run(*args, **options)
        if done.returncode != code:
            raise Refused(f"leat {' '.join(str(a) for a in args)}: exit {done.returncode}, "
                          f"not {code}\n{done.stdout.decode()}{done.stderr.decode()}")
        return done.stdout.decode()

    def json(self, *args, **options) -> dict:
        return json.loads(self.leat(*args, "--json", **options))

    def up(self) -> None:
        self.leat("up", *(["--pool", self.pool] if self.pool else ["--local", self.nodes]))
        self.status()

    def status(self) -> dict:
        status = self.json("status")
        self.seen.update(daemon["pid"] for daemon in status["daemons"])
        return status

    def submit(self, *args, **options) -> int:
        return int(self.leat("submit", *args, **options))

    def job(self, job: int) -> dict:
        return self.json("job", "show", job)

    def wait(self, job: int, code: int = 0, seconds: float = DEADLINE_S) -> dict:
        """Pushed, not polled: `leat wait` returns when the job ends."""
        try:
            self.leat("wait", job, "--timeout", f"{int(seconds)}s", code=code, seconds=seconds + 10)
        except Refused as refused:
            raise Refused(f"{refused}{self.last_words(job)}") from None
        return self.job(job)

    def last_words(self, job: int) -> str:
        """What the first task of a job that failed has to say."""
        for failure in self.job(job).get("failures", [])[:1]:
            said = self.run("logs", failure["task"], "--stderr").stdout
            return f"{failure['task']} said last:\n{said[-4000:].decode(errors='replace')}"
        return ""

    def result(self, job: int) -> bytes:
        done = self.run("result", job)
        if done.returncode != 0:
            raise Refused(f"leat result {job}: {done.stderr.decode()}")
        return done.stdout

    # --- daemons ---

    def pid(self, name: str, node: int = 0) -> int:
        """Of leat-scheduler, leat-store, or of leat-agent or leat-warden at a node."""
        for daemon in self.status()["daemons"]:
            if daemon["name"] == name and (not node or daemon["node"] == node) and daemon["pid"]:
                return daemon["pid"]
        raise Refused(f"no {name} at node {node} in leat status")

    def node_ids(self) -> list[int]:
        return sorted(node["id"] for node in self.json("node", "list")["nodes"]
                      if node["state"] == "up")

    def find_pid(self, name: str, node: int = 0) -> int:
        """As pid(), or 0 while there is none."""
        try:
            return self.pid(name, node)
        except Refused:
            return 0

    def kill_head(self) -> int:
        pid = self.pid("leat-scheduler")
        kill(pid)
        return pid

    def kill_agent(self, node: int) -> int:
        pid = self.pid("leat-agent", node)
        kill(pid)
        return pid

    def kill_node(self, node: int) -> tuple[int, int]:
        """Agent and warden at once, so that neither can mourn the other."""
        agent, warden = self.pid("leat-agent", node), self.pid("leat-warden", node)
        for pid in (warden, agent):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for_end(warden)
        wait_for_end(agent)
        return agent, warden

    # --- the end ---

    def processes(self) -> list[int]:
        """Ours that are alive: shown by status at any time, or started with this home."""
        mine = {pid for pid in self.seen if is_alive(pid) and self._is_ours(pid)}
        for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
            if is_alive(pid) and self._is_ours(pid):
                mine.add(pid)
        return sorted(mine - {os.getpid()})

    def _is_ours(self, pid: int) -> bool:
        arguments = process_file(pid, "cmdline") or ""
        return str(self.folder) in arguments

    def complaints(self) -> list[str]:
        """What daemons have said that must never be said: failed checks, sanitizer reports."""
        found = [f"{path.name}: {path.read_text(errors='replace')}"
                 for path in self.folder.glob("sanitizer.*")]
        for path in [*self.home.glob("log/*.log"), *self.home.glob("nodes/*/*.log")]:
            if path.name == "runs.log":
                continue
            for line in path.read_text(errors="replace").splitlines():
                if "leat: bug:" in line or "Sanitizer" in line or "terminate called" in line:
                    found.append(f"{path.name}: {line}")
        return found

    def close(self) -> None:
        """Ends everything. Raises if a daemon has complained."""
        found = self.complaints()
        try:
            self.run("down", "--force", seconds=40)
        except subprocess.TimeoutExpired:
            pass
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        found += [complaint for complaint in self.complaints() if complaint not in found]
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"kept: {self.folder}")
        if found:
            raise RuntimeError("daemons complained:\n" + "\n".join(found))
