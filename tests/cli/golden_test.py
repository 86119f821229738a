#!/usr/bin/env python3
"""Compares what leat says without a head with the files in golden/.

    golden_test.py PATH/TO/leat          UPDATE_GOLDEN=1 rewrites the files
"""
import os
import re
import subprocess
import sys
import tempfile

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
MANUAL = os.path.join(FOLDER, "..", "..", "..", "docs", "man")
# Words, exit code, and the one line on standard error. HOME stands for the home directory.
BAD_INPUT = [
    ("", 2, "leat: no command: see leat --help"),
    ("frob", 2, "leat: unknown command frob: see leat --help"),
    ("--frob status", 2, "leat: unknown option --frob: see leat --help"),
    ("job", 2, "leat: job: write leat job list or leat job show or leat job set"),
    ("job frob", 2, "leat: job: write leat job list or leat job show or leat job set"),
    ("task", 2, "leat: task: write leat task show"),
    ("task show", 2, "leat: task show: JOB.INDEX is missing: see leat task show --help"),
    ("task show 3", 2, 'leat: "3" names nothing: write one task like 17.42, 17.1.42 or last.42'),
    ("job set 3", 2, "leat: job set: nothing to change: give --priority or --name"),
    ("job set 3 --priority x", 2,
     'leat: --priority "x" is not a priority: write a whole number like 10'),
    ("retry 3", 2, "leat: retry: say which tasks: --failed is the only choice so far"),
    ("retry --failed", 2, "leat: retry: JOB is missing: see leat retry --help"),
    ("hold", 2, "leat: hold: JOB is missing: see leat hold --help"),
    ("release 3.5", 2, None),
    ("report", 4, "leat: report: not in this version"),
    ("pool create x.toml", 2, "leat: HOME/x.toml: No such file or directory"),
    ("pool create bad.toml", 2,
     "leat: HOME/bad.toml:3:9: nodes wants a whole number from 1 to 4096"),
    ("pool create slurm.toml", 4, 'leat: HOME/slurm.toml:2:12: provider "slurm": not in this '
                                  'version, which has "local" and "static"'),
    ("pool create --max 3", 2,
     "leat: --name is missing: a pool needs name, provider and nodes, or max"),
    ("pool resize p", 2, "leat: N is missing: write leat pool resize POOL N, or --min and --max"),
    ("pool resize p -3", 2, None),
    ("pool resize p 4097", 2, 'leat: N "4097" is not a whole number from 1 to 4096'),
    ("pool delete p --wait --requeue", 2,
     "leat: --wait and --requeue: give one of them, what runs cannot do both"),
    ("pool set p --idle-timeout soon", 2,
     'leat: --idle-timeout "soon" is not a time: write one like 90s, 1h30m, 250ms or 01:30:00'),
    ("pool token p", 2, "leat: --out is missing: a token is written to a file, never shown"),
    ("node drain x", 2, 'leat: NODE "x" is not a whole number from 1 to 4294967295'),
    ("node drain 3 --deadline x", 2,
     'leat: --deadline "x" is not a time: write one like 90s, 1h30m, 250ms or 01:30:00'),
    ("node", 2, "leat: node: write leat node list or leat node drain or leat node resume or "
                "leat node remove"),
    ("agent join nowhere --dir HOME", 2, 'leat: "nowhere" is not HOST:PORT: leat status shows '
                                         "where the head listens"),
    ("agent join --bind 0.0.0.0 --dir HOME", 2,
     "leat: --bind 0.0.0.0 is every address: name the one by which other machines find this one"),
    ("up --listen example", 2,
     'leat: --listen "example" is not a numeric address: write one of this machine\'s, like '
     "10.0.0.7 or [fd00::7]"),
    ("status --frob", 2, "leat: status: unknown option --frob: see leat status --help"),
    ("status x", 2, "leat: status: unknown argument: x: see leat status --help"),
    ("submit", 2, "leat: nothing to run: put -- PROGRAM ARGS… at the end, or name a job file: "
                  "see leat submit --help"),
    ("submit --", 2, "leat: submit: nothing to run: put -- PROGRAM ARGS… at the end: "
                     "see leat submit --help"),
    ("submit true", 2, "leat: true: a job file ends in .toml; a program and its arguments stand "
                       "after --"),
    ("submit bad.toml", 2, None),
    ("submit file.toml", 2, "leat: file.toml: No such file or directory"),
    ("submit --array 5-1 -- true", 2,
     'leat: --array: index range "5-1": the end is below the start'),
    ("submit --array 1-5:0 -- true", 2,
     'leat: --array: index range "1-5:0": the step must be at least 1'),
    ("submit --array= -- true", 2,
     "leat: --array: the index range is empty: write for example 1-100"),
    ("submit --array x -- true", 2, 'leat: --array: index range "x": write N, A-B or A-B:STEP'),
    ("submit --cpus 0 -- true", 2,
     'leat: --cpus "0" is not a number of cores: write one like 1, 4 or 0.5'),
    ("submit --memory 2X -- true", 2,
     'leat: --memory "2X" is not a size: write one like 512M, 2G or 1.5GiB'),
    ("submit --time soon -- true", 2,
     'leat: --time "soon" is not a time: write one like 90s, 1h30m, 250ms or 01:30:00'),
    ("submit --retries -1 -- true", 2,
     'leat: --retries "-1" is not a whole number from 0 to 1000000'),
    ("submit -- no-such-program", 2,
     "leat: no-such-program: no such program in PATH: give its path, like ./no-such-program"),
    ("submit --cwd /none -- true", 2,
     "leat: --cwd /none: no such directory: name one that exists"),
    ("submit --mpi --gang -- true", 2,
     "leat: --mpi and --gang: give one of them, either Leat starts ranks or the program does"),
    ("submit --mpi=slurm -- true", 2, 'leat: --mpi "slurm" is none of required, pmi1'),
    ("submit --mpi slurm -- true", 2, "leat: slurm: a job file ends in .toml; a program and its "
                                      "arguments stand after --"),
    ("submit --mpi --nodes 3 --ranks 10 -- true", 2,
     "leat: --ranks 10: cannot be shared alike by 3 nodes: give --ranks-per-node as a list, like "
     "4,3,3"),
    ("submit --gang --nodes 2 --coordination no-such -- true", 2,
     "leat: --coordination no-such: no such program in PATH: give its path, like ./no-such"),
    ("submit --gpus 0.5 -- true", 2,
     'leat: --gpus "0.5" is not a whole number from 0 to 64 '
     '(sharing one gpu between tasks: not in this version)'),
    ("submit --resource licence -- true", 2,
     "leat: --resource licence: write NAME=N, like licence=2"),
    ("submit --resource gpus=2 -- true", 2,
     'leat: --resource: "gpus" is no name for a resource: it has a meaning here'),
    ("submit --requires fast,b! -- true", 2,
     'leat: --requires "b!" is no label: write fast, rack=7, or !fast for nodes without it'),
    ("submit --memory-enforce -- true", 2,
     "leat: --memory-enforce: give --memory SIZE too, it is what is kept"),
    ("submit --pack --spread -- true", 2, "leat: --pack and --spread: give one of them"),
    ("submit --nodes=2 -- true", 2,
     "leat: --nodes 2: give --mpi or --gang too, it says what runs on them"),
    ("submit --each-file *.x -- true", 2, "leat: --each-file *.x: matches no file"),
    ("submit --each-file open -- true", 2,
     "leat: --each-file open: matches directories only: name the files in them"),
    ("submit --each-file * --array 1-2 -- true", 2,
     "leat: --array and --each-file: give one of them, each makes the tasks"),
    ("submit --from-json none -- true", 2, "leat: none: No such file or directory"),
    ("submit --from-json bad.json -- true", 2,
     "leat: bad.json: line 2: is not JSON, at its byte 7"),
    ("submit --stdin none -- true", 2, "leat: none: No such file or directory"),
    ("submit --stdin file --from-json bad.json -- true", 2,
     "leat: --stdin and --from-json: give one of them, each is what tasks read on standard input"),
    ("submit --output-dir file -- true", 2, "leat: --output-dir file: is not a directory"),
    ("submit --after 3:soon -- true", 2,
     'leat: --after "3:soon" is nothing to come after: write JOB, JOB:success, JOB:failure or '
     "JOB:any, and /element behind it for task by task"),
    ("submit --retry-delay 5s -- true", 2,
     "leat: --retry-delay: give --retries too, it says how often"),
    ("submit --retries 2 --retry-delay 5s,x -- true", 2,
     'leat: --retry-delay "5s,x" is not a delay: write one like 10s, or 10s,2,10m to double it up '
     "to 10 minutes"),
    ("submit --retries 2 --retry-on 0 -- true", 2, None),
    ("submit --signal USR1@30s -- true", 2,
     "leat: --signal: give --time too, it is counted back from there"),
    ("submit --time 10s --signal USR1@30s -- true", 2,
     "leat: --signal USR1@30s: comes before the start of a task that may run for 10s"),
    ("submit --start-within 0 -- true", 2,
     "leat: --start-within 0: leave it out to wait as long as it takes"),
    ("submit --ranks-per-node 2 -- true", 2,
     "leat: --ranks-per-node 2: give --mpi or --gang too, it makes each task a gang"),
    ("wait", 2, "leat: wait: JOB is missing: see leat wait --help"),
    ("wait x", 2, 'leat: "x" names nothing: write a job like 17, a task like 17.42 or 17.1.42, '
                  "or last"),
    ("wait 1 --timeout x", 2,
     'leat: --timeout "x" is not a time: write one like 90s, 1h30m, 250ms or 01:30:00'),
    ("logs x", 2, 'leat: "x" names nothing: write a job like 17, a task like 17.42 or 17.1.42, '
                  "or last"),
    ("logs 1.0 --rank all", 2,
     'leat: --rank "all" is not a whole number from 0 to 2147483647'),
    ("up --store-quota much", 2,
     'leat: --store-quota "much" is not a size: write one like 512M, 2G or 1.5GiB'),
    ("why 3.1-5", 2, "leat: 3.1-5: name a job or a single task, like 17 or 17.42"),
    ("up --local 0", 2, 'leat: --local "0" is not a whole number from 1 to 4096'),
    ("up --local 2 --pool x", 2,
     "leat: --local and --pool: give one of them, each names a pool"),
    ("up --pool none.toml", 2, "leat: HOME/none.toml: No such file or directory"),
    ("up --pool bad.toml", 2, "leat: HOME/bad.toml:3:9: nodes wants a whole number from 1 to 4096"),
    ("up --pool slurm.toml", 4, 'leat: HOME/slurm.toml:2:12: provider "slurm": not in this '
                                'version, which has "local" and "static"'),
    ("--home HOME/none status", 3,
     "leat: no head has ever run in HOME/none: start one with leat up"),
    ("--home HOME status", 3,
     "leat: no head answers at HOME/head.sock: start one with leat up"),
    ("--home HOME submit -- true", 3,
     "leat: no head answers at HOME/head.sock: start one with leat up"),
    ("--home HOME down", 3, "leat: no head answers at HOME/head.sock: start one with leat up"),
    ("--home HOME/open status", 2,
     "leat: HOME/open: mode 0755 lets others in; chmod go= it"),
    ("--home HOME/file status", 2, "leat: HOME/file: is not a directory"),
    ("--home /tmp/%s status" % ("x" * 100), 2, None),
]


class Failures:
    def __init__(self):
        self.count = 0

    def expect(self, what, got, wanted):
        if got != wanted:
            self.count += 1
            print(f"{what}\n  got:    {got!r}\n  wanted: {wanted!r}")


def run(leat, words, home):
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "LEAT_HOME": home}
    return subprocess.run([leat] + words, capture_output=True, text=True, cwd=home,
                          env=environment, stdin=subprocess.DEVNULL, timeout=60)


def commands(leat, home):
    """All of main.cc's table: the completion script is made from it."""
    script = run(leat, ["completion", "bash"], home).stdout
    return re.findall(r"^    '([a-z ]+)'\)\n      options=", script, re.MULTILINE)


def check_help(leat, home, failures):
    cases = [("leat", ["--help"])]
    cases += [(name, name.split() + ["--help"]) for name in commands(leat, home)]
    failures.expect("commands found", len(cases) > 15, True)
    for name, words in cases:
        done = run(leat, words, home)
        failures.expect(" ".join(words), (done.returncode, done.stderr), (0, ""))
        path = os.path.join(FOLDER, name.replace(" ", "_") + ".txt")
        if os.environ.get("UPDATE_GOLDEN"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(done.stdout)
            continue
        with open(path, encoding="utf-8") as file:
            failures.expect(" ".join(words), done.stdout, file.read())
        failures.expect(f"an example in {name} --help", "  leat " in done.stdout, True)
        check_page(name, done.stdout, failures)


def check_page(name, shown, failures):
    """The manual page names every option that --help does."""
    page = name.replace(" ", "-") if name == "leat" else "leat-" + name.replace(" ", "-")
    with open(os.path.join(MANUAL, page + ".1.scd"), encoding="utf-8") as file:
        text = file.read()
    options = re.findall(r"^  (?:-\w, )?(--[\w-]+)", shown, re.MULTILINE)
    missing = [option for option in options if option not in text]
    failures.expect(f"options missing in {page}.1.scd", missing, [])


def check_bad_input(leat, home, failures):
    os.mkdir(os.path.join(home, "open"))
    os.chmod(os.path.join(home, "open"), 0o755)
    pool = "name = 'a'\nprovider = '%s'\nnodes = %s\n"
    for name, content in [("file", ""),
                          ("bad.json", '{"n": 1}\n{"n": }\n'),
                          ("bad.toml", pool % ("local", "'x'")),
                          ("slurm.toml", pool % ("slurm", "1"))]:
        with open(os.path.join(home, name), "w", encoding="utf-8") as file:
            file.write(content)
    before = sorted(os.listdir(home))
    for text, code, line in BAD_INPUT:
        words = [word.replace("HOME", home) for word in text.split()]
        done = run(leat, words, home)
        failures.expect(text, done.returncode, code)
        failures.expect(text + ": standard output", done.stdout, "")
        failures.expect(text + ": one line", done.stderr.count("\n"), 1)
        if line is not None:
            failures.expect(text, done.stderr.rstrip("\n"), line.replace("HOME", home))
    failures.expect("bad input changes nothing", sorted(os.listdir(home)), before)


def check_streams(leat, home, failures):
    done = run(leat, ["--version"], home)
    failures.expect("--version", done.stdout.startswith("leat 0."), True)
    # A reader that has gone is no error.
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([leat, "--help"], stdout=writing, stderr=subprocess.PIPE, text=True,
                          timeout=60)
    os.close(writing)
    failures.expect("closed standard output", (done.returncode, done.stderr), (0, ""))
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([leat, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=60)
    failures.expect("full standard output", (done.returncode, done.stderr),
                    (1, "leat: standard output: No space left on device\n"))
    done = run(leat, ["frob\033[2J\n"], home)
    failures.expect("control characters", done.stderr,
                    "leat: unknown command frob\\x1b[2J\\x0a: see leat --help\n")


def main():
    leat = os.path.abspath(sys.argv[1])
    failures = Failures()
    with tempfile.TemporaryDirectory(prefix="leat-golden-") as home:
        check_help(leat, home, failures)
        check_bad_input(leat, home, failures)
        check_streams(leat, home, failures)
    print(f"{failures.count} failures")
    sys.exit(1 if failures.count else 0)


main()
