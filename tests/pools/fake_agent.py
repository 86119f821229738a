#!/usr/bin/env python3
"""fake_agent.py - an agent and a warden that do nothing but live and die as real ones do.

FAKE_MODE in the environment: "normal"; "dies" (ends at once, without a warden); "stubborn"
(ignores SIGTERM and the death of its warden, and so does its warden). On SIGUSR1 it exits with 4,
as an agent does that the head has refused.
"""
import os
import select
import signal
import sys

LIFE_SECONDS = 120  # whatever becomes of the test, nothing of it is left for long


def start_ticks(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError
    return int(fields[19])


def be_warden(directory, mode, ready):
    os.setsid()
    signal.alarm(LIFE_SECONDS)
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(directory + "/warden.pid.new", "w") as f:
        f.write(f"{os.getpid()} {start_ticks(os.getpid())}\n")
    os.rename(directory + "/warden.pid.new", directory + "/warden.pid")
    os.close(ready)
    while True:
        signal.pause()


def live_warden(directory):
    try:
        with open(directory + "/warden.pid") as f:
            pid, ticks = map(int, f.read().split())
        fd = os.pidfd_open(pid)
        if start_ticks(pid) == ticks:
            return pid, fd
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def start_warden(directory, mode):
    waits, ready = os.pipe()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            be_warden(directory, mode, ready)
        os._exit(0)
    os.close(ready)
    os.waitpid(child, 0)
    os.read(waits, 1)
    os.close(waits)


def main():
    directory = sys.argv[sys.argv.index("--dir") + 1]
    mode = os.environ.get("FAKE_MODE", "normal")
    with open(directory + "/starts", "a") as f:
        f.write(f"{os.getpid()} {' '.join(sys.argv[1:])}\n")
    signal.alarm(LIFE_SECONDS)
    if mode == "dies":
        sys.exit(2)
    if live_warden(directory) is None:
        if os.path.exists(directory + "/warden.pid"):
            sys.exit(1)
        start_warden(directory, mode)
    warden, warden_fd = live_warden(directory)

    def stop(*_):
        os.kill(warden, signal.SIGTERM)
        sys.exit(0)

    # Python runs a handler between two of its own instructions: a signal that comes right before
    # select() would wait with it for ever, but for the byte that it leaves here.
    signalled, note = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(note)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else stop)
    signal.signal(signal.SIGUSR1, lambda *_: sys.exit(4))
    open(directory + "/attached", "w").close()
    select.select([warden_fd, signalled], [], [])
    while mode == "stubborn":
        signal.pause()
    sys.exit(1)


main()
