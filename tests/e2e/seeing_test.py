"""seeing_test.py - what happens is pushed to whoever looks: events, top; history and doctor tell
what there is to tell."""

import csv
import fcntl
import io
import json
import os
import pty
import select
import signal
import sqlite3
import struct
import subprocess
import termios
import time

from support import DEADLINE_S, ClusterTest, main


class Terminal:
    """A program on a terminal of its own, 24 by 80."""

    def __init__(self, test: ClusterTest, *args: str):
        self.master, self.slave = pty.openpty()
        test.addCleanup(os.close, self.master)
        test.addCleanup(os.close, self.slave)
        self.resize(24, 80)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            test.cluster.command(*args), stdin=self.slave, stdout=self.slave,
            stderr=subprocess.PIPE, env=test.cluster.environment(TERM="xterm"),
            start_new_session=True)
        test.addCleanup(self.process.kill)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, words: bytes, seconds: float = DEADLINE_S) -> bytes:
        """Everything up to `words`. Raises TimeoutError."""
        give_up = time.monotonic() + seconds
        while words not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, give_up - time.monotonic()))
            if not ready:
                raise TimeoutError(f"{words!r} is not in {self.seen!r}")
            self.seen += os.read(self.master, 65536)
        taken, self.seen = self.seen.split(words, 1)
        return taken + words


class SeeingTest(ClusterTest):
    def events(self, *args: str) -> list[dict]:
        told = self.cluster.leat("events", "--json", *args)
        return [json.loads(line) for line in told.splitlines()]

    def follow(self, *args: str) -> subprocess.Popen:
        following = subprocess.Popen(self.cluster.command("events", "-f", "--json", *args),
                                     env=self.cluster.environment(), stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
        self.addCleanup(following.stderr.close)
        self.addCleanup(following.stdout.close)
        self.addCleanup(following.kill)
        return following

    # --- events ---

    def test_events_tell_the_life_of_a_job(self):
        job = self.shell_job("true", "--array", "1-20")
        self.cluster.wait(job)
        events = self.events("--job", str(job))
        kinds = [event["kind"] for event in events]
        self.assertEqual(kinds[0], "job-accepted")
        self.assertEqual(kinds[-1], "job-ended")
        self.assertEqual(events[-1]["state"], "succeeded")
        self.assertEqual(sum(e["count"] for e in events if e["kind"] == "runs-ended"), 20)
        self.assertTrue(all(event["version"] == 1 and event["job"] == job for event in events))
        times = [event["at_us"] for event in events]
        self.assertEqual(times, sorted(times))
        # Every cursor is a place to go on from.
        for place, event in enumerate(events):
            self.assertEqual(self.events("--since", event["cursor"], "--job", str(job)),
                             events[place + 1:])

    def test_events_are_pushed_across_a_restart_of_the_head(self):
        gate = self.pipe("gate")
        job = self.shell_job("read _ < gate", "--array", "1-2")
        following = self.follow("--job", str(job))
        self.assertEqual(json.loads(following.stdout.readline())["kind"], "job-accepted")
        placed = json.loads(following.stdout.readline())
        self.assertEqual(placed["kind"], "runs-placed")
        self.cluster.kill_head()
        self.cluster.leat("up")
        gate.release(2)
        rest = [json.loads(line) for line in following.stdout]
        self.assertEqual(following.wait(timeout=DEADLINE_S), 0)
        self.assertEqual(rest[-1]["kind"], "job-ended")
        told = self.events("--job", str(job), "--since", placed["cursor"])
        # Nothing twice, nothing left out. A new head ties its time to the wall clock anew.
        self.assertEqual([{**event, "at_us": 0} for event in rest],
                         [{**event, "at_us": 0} for event in told])

    def test_a_cursor_of_another_cluster_is_refused(self):
        done = self.cluster.run("events", "--since", "999999999")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr.count(b"\n"), 1)
        self.assertEqual(done.stdout, b"")

    # --- top ---

    def test_top_once_is_a_page_or_a_document(self):
        gate = self.pipe("gate")
        started = self.pipe("started")
        job = self.shell_job("echo > started; read _ < gate", "--array", "1-3", "--name", "shown")
        started.lines(1)
        page = self.cluster.leat("top", "--once")
        self.assertIn("shown", page)
        self.assertIn("pool local", page)
        self.assertNotIn("\033", page)
        document = self.cluster.json("top", "--once")
        self.assertEqual(document["version"], 1)
        self.assertEqual([j["id"] for j in document["jobs"]], [job])
        self.assertEqual(len(document["nodes"]), self.nodes)
        self.assertGreater(max(node["busy_permille"] for node in document["nodes"]), 0)
        gate.release(3)
        self.cluster.wait(job)

    def test_top_keeps_up_and_gives_the_terminal_back(self):
        gate = self.pipe("gate")
        terminal = Terminal(self, "top")
        terminal.read_until(b"\033[?1049h")
        job = self.shell_job("read _ < gate", "--name", "comes-later")
        terminal.read_until(b"comes-later")
        self.assertNotEqual(termios.tcgetattr(terminal.slave)[3], terminal.before[3])
        terminal.resize(8, 30)
        os.kill(terminal.process.pid, signal.SIGWINCH)
        os.write(terminal.master, b"q")
        terminal.read_until(b"\033[?1049l")
        self.assertEqual(terminal.process.wait(timeout=DEADLINE_S), 0)
        self.assertEqual(termios.tcgetattr(terminal.slave), terminal.before)
        gate.release()
        self.cluster.wait(job)

    def test_top_gives_the_terminal_back_when_it_is_ended(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number.name):
                terminal = Terminal(self, "top")
                terminal.read_until(b"pool local")
                os.kill(terminal.process.pid, number)
                terminal.read_until(b"\033[?25h\033[?1049l")
                self.assertEqual(terminal.process.wait(timeout=DEADLINE_S), 128 + number)
                self.assertEqual(termios.tcgetattr(terminal.slave), terminal.before)

    def test_top_waits_for_a_head_that_is_away(self):
        terminal = Terminal(self, "top")
        terminal.read_until(b"pool local")
        self.cluster.kill_head()
        terminal.read_until(b"no head answers")
        self.cluster.leat("up")
        terminal.read_until(b"tasks running")
        os.write(terminal.master, b"q")
        terminal.read_until(b"\033[?1049l")
        self.assertEqual(terminal.process.wait(timeout=DEADLINE_S), 0)

    # --- history ---

    def test_history_is_asked_exported_and_pruned(self):
        job = self.shell_job("true", "--array", "1-30", "--name", "a, \"quoted\" name")
        failed = self.shell_job("false")
        self.cluster.wait(job)
        self.cluster.wait(failed, code=1)
        query = f"SELECT name, tasks, state FROM job_history WHERE id IN ({job}, {failed})"
        asked = self.cluster.json("history", "sql", query)
        self.assertEqual(asked["version"], 1)
        self.assertEqual(asked["columns"], ["name", "tasks", "state"])
        self.assertEqual(asked["rows"][0], ['a, "quoted" name', 30, "succeeded"])
        self.assertEqual(asked["rows"][1][2], "failed")
        rows = list(csv.reader(io.StringIO(self.cluster.leat("history", "sql", "--csv", query))))
        self.assertEqual(rows[1], ['a, "quoted" name', "30", "succeeded"])
        self.assertIn("succeeded", self.cluster.leat("history", "sql", query))
        counted = f"SELECT sum(count) FROM run_history WHERE job = {job} AND state = 'succeeded'"
        self.assertEqual(self.cluster.json("history", "sql", counted)["rows"], [[30]])

        path = self.folder / "history.db"
        self.cluster.leat("history", "export", path)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        copy = sqlite3.connect(path)
        self.assertEqual(copy.execute(counted).fetchone(), (30,))
        copy.close()
        self.assertEqual(list(self.cluster.home.glob("tmp/history-*")), [])

        # What has not ended keeps its rows; what is younger does too.
        gate = self.pipe("gate")
        active = self.shell_job('[ "$LEAT_TASK_INDEX" = 1 ] || read _ < gate', "--array", "1-2")
        self.cluster.leat("history", "prune", "--before", "1h")
        self.assertEqual(self.cluster.json("history", "sql", counted)["rows"], [[30]])
        pruned = self.cluster.json("history", "prune", "--before", "0s")
        self.assertGreaterEqual(pruned["jobs"], 2)
        self.assertEqual(self.cluster.json("history", "sql", counted)["rows"], [[None]])
        actions = self.cluster.json("history", "sql",
                                    "SELECT action, actor_uid FROM action_history")["rows"]
        self.assertEqual(actions[-1], ["prune", os.getuid()])
        gate.release()
        self.cluster.wait(active)

    def test_history_sql_changes_nothing_and_names_what_is_wrong(self):
        for words, code in (("DELETE FROM job_history", 2), ("SELECT x FROM job_history", 2),
                            ("SELECT 1; SELECT 2", 2), ("PRAGMA user_version", 2)):
            done = self.cluster.run("history", "sql", words)
            self.assertEqual(done.returncode, code, words)
            self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        endless = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                   "SELECT count(*) FROM n")
        self.assertEqual(
            self.cluster.run("history", "sql", "--timeout", "200ms", endless).returncode, 124)
        self.assertEqual(list(self.cluster.home.glob("tmp/history-*")), [])

    # --- doctor ---

    def findings(self, code: int) -> set[str]:
        document = json.loads(self.cluster.leat("doctor", "--json", code=code))
        wrong = {f["check"] for f in document["findings"] if f["health"] == "wrong"}
        self.assertEqual(document["wrong"], sum(f["health"] == "wrong"
                                                for f in document["findings"]))
        self.assertTrue(all(f["remedy"] for f in document["findings"] if f["health"] != "good"))
        return wrong

    def test_doctor_finds_nothing_and_then_what_is_wrong(self):
        # The machine of the test may be short of disk; nothing else may be wrong.
        ground = self.cluster.run("doctor", "--json")
        before = {f["check"] for f in json.loads(ground.stdout)["findings"]
                  if f["health"] == "wrong"}
        self.assertLessEqual(before, {"disk", "limits"})
        checks = {f["check"] for f in json.loads(ground.stdout)["findings"]}
        self.assertLessEqual({"home", "disk", "limits", "cgroup", "certificates", "head", "store",
                              "agents", "clock"}, checks)
        self.cluster.kill_head()
        self.assertEqual(self.findings(1) - before, {"head"})
        self.cluster.leat("up")
        os.chmod(self.cluster.home, 0o755)
        self.assertIn("home", self.findings(1))
        os.chmod(self.cluster.home, 0o700)


if __name__ == "__main__":
    main()
