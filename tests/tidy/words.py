#!/usr/bin/env python3
"""words.py - words nobody may write, and the shape of every file.

A rule that is not checked here or by clang-tidy is not a rule. Where one line must break a rule,
ADMITTED says so with the reason.
"""

import dataclasses
import fnmatch
import re
import sys

from sources import Source, project_sources, report

LINES_MAX = 400
WIDTH_MAX = 100
CODE = (".h", ".cc", ".c")
WRITTEN = (*CODE, ".py", ".capnp", ".sh", ".cmake")


@dataclasses.dataclass(frozen=True)
class Ban:
    """A word that must not stand in code (comments do not count, but for `in_comments`)."""

    word: str
    why: str
    where: tuple[str, ...] = ("*",)
    but: tuple[str, ...] = ()
    in_comments: bool = False


SHELLS = ("*/main.cc", "mpi-tasks/launcher_main.cc", "examples/*", "benchmarks/*", "tests/*")

BANS = [
    Ban(r"[cC]lock::now\(|\bsystem\w*Clock\(",
        "clocks are read in main.cc; instants are passed in", but=SHELLS),
    Ban(r"\b(clock_gettime|gettimeofday|localtime|time)\((nullptr|NULL|CLOCK_)",
        "clocks are read in main.cc; instants are passed in",
        but=(*SHELLS, "node-agent/warden/*")),
    Ban(r"\b(u|nano)?sleep(_for|_until)?\(", "wait for the event, with a deadline"),
    Ban(r"\bs?rand\(|::random\(|\bsrandom\(|\bdrand48\(",
        "chance comes from base/random.h, seeded"),
    Ban(r"\brandom_device\b|\b\w+_distribution\b", "differs between libraries; base/random.h"),
    Ban(r"\bgetenv\(", "the environment is read in main.cc", but=SHELLS),
    Ban(r"\bKJ_DBG\b", "left over from debugging"),
    Ban(r"\.detach\(", "a detached promise outlives what it uses; keep it in a TaskSet"),
    Ban(r"\b(system|popen)\(", "no shell: argument vectors only"),
    Ban(r"\b(strcpy|strcat|sprintf|gets|mktemp|tmpnam)\(", "no bound",
        but=("tests/*",)),
    Ban(r"\busing namespace\b", "say whose name it is",
        but=("tests/*", "benchmarks/*")),
    Ban(r"\bunordered_", "order must not depend on a hash", where=("scheduler/core/*",)),
    Ban(r"\b(double|float)\b", "decisions are made of integers", where=("scheduler/core/*",)),
    Ban(r"\b(throw|catch)\b", "refusals are values here", where=("scheduler/core/*",)),
    Ban(r"TODO\(now\)|\bFIXME\b|\bXXX\b", "finish it", in_comments=True),
    Ban(r"TODO(?!\((now|soon|perf|cleanup)\):)", "write TODO(soon|perf|cleanup): …",
        in_comments=True),
    Ban(r"\bGTEST_SKIP\b|\bDISABLED_", "a test that does not run is none", where=("tests/*",)),
    Ban(r"(?<![\w$}])/work/|/tmp/bash_jobs", "a path of one machine", in_comments=True),
]

# (file, words of the line, reason): a line that may keep a banned word.
ADMITTED = [
    ("mpi-tasks/sdk/task.cc", "std::getenv(name)",
     "the SDK is what reads a task program's environment"),
    ("tests/tidy/*", "", "the checks must name what they ban"),
    ("node-agent/warden/cgroups.cc", "usleep(kClearPauseUs)",
     "what a dead warden has left is ended before there is a loop"),
    ("node-agent/warden/processes.cc", "usleep(pause_us)",
     "between two rounds of killing there is no event to wait for"),
    ("tests/transport/*", 'GTEST_SKIP() << "only root can', "runs as root, as in CI"),
]

# (file, reason): a file that may be longer than LINES_MAX.
LONG = [
    ("LICENSE", "the text of the licence"),
    ("docs/*", "prose is not split by lines"),
    ("schema/scheduler.capnp", "one interface, which cannot be cut into files"),
]


def without_comment(line: str, suffix: str) -> str:
    """The code of a line. Strings stay: a banned call inside one is worth a look too."""
    mark = "//" if suffix in CODE else "#"
    at = line.find(mark)
    while at > 0 and suffix in CODE and line[at - 1] == ":":  # a URL
        at = line.find(mark, at + 2)
    return line if at < 0 else line[:at]


def matches(path: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)


def is_admitted(path: str, line: str) -> bool:
    return any(fnmatch.fnmatchcase(path, file) and words in line for file, words, _ in ADMITTED)


def word_problems(source: Source) -> list[str]:
    found = []
    bans = [ban for ban in BANS
            if matches(source.path, ban.where) and not matches(source.path, ban.but)]
    for number, line in enumerate(source.lines, 1):
        code = without_comment(line, source.suffix)
        for ban in bans:
            hit = re.search(ban.word, line if ban.in_comments else code)
            if hit and not is_admitted(source.path, line):
                found.append(f"{source.path}:{number}: `{hit[0]}`: {ban.why}")
    return found


def shape_problems(source: Source) -> list[str]:
    found = []
    long_allowed = any(fnmatch.fnmatchcase(source.path, file) for file, _ in LONG)
    if len(source.lines) > LINES_MAX and not long_allowed:
        found.append(f"{source.path}: {len(source.lines)} lines, at most {LINES_MAX}")
    for number, line in enumerate(source.lines, 1):
        if len(line) > WIDTH_MAX:
            found.append(f"{source.path}:{number}: {len(line)} columns, at most {WIDTH_MAX}")
        if line != line.rstrip() or "\t" in line:
            found.append(f"{source.path}:{number}: blanks at the end, or a tab")
    return found


def first_line_problems(source: Source, paths: set[str]) -> list[str]:
    """Headers open with `#pragma once` and their subject; sources without a header with theirs."""
    subject = f"// {source.name} - "
    lines = source.lines
    if source.suffix == ".h":
        if len(lines) < 3 or lines[0] != "#pragma once" or lines[1] != "":
            return [f"{source.path}:1: begin with `#pragma once` and an empty line"]
        if not lines[2].startswith(subject):
            return [f"{source.path}:3: say `{subject}SUBJECT, in a phrase.`"]
    has_own_header = source.path.removesuffix(".cc") + ".h" in paths
    if source.suffix == ".cc" and not has_own_header and not source.path.endswith("_test.cc"):
        # A main.cc may say its program's name instead of its own.
        names_program = source.name == "main.cc" and lines and lines[0].startswith("// leat")
        if not names_program and (not lines or not lines[0].startswith(subject)):
            return [f"{source.path}:1: say `{subject}SUBJECT, in a phrase.`"]
    return []


def unlisted_test_folders(sources: list[Source]) -> list[str]:
    """Folders of tests that tests/CMakeLists.txt does not add: their tests would never run."""
    by_path = {source.path: source for source in sources}
    listing = by_path.get("tests/CMakeLists.txt")
    if listing is None:
        return []
    listed = set(" ".join(listing.lines).replace(")", " ").split())
    folders = [path.removeprefix("tests/").removesuffix("/CMakeLists.txt")
               for path in by_path
               if path.startswith("tests/") and path.count("/") > 1
               and path.endswith("/CMakeLists.txt")]
    return [f"tests/{folder}: not listed in tests/CMakeLists.txt"
            for folder in sorted(folders) if folder not in listed]


def problems(sources: list[Source]) -> list[str]:
    paths = {source.path for source in sources}
    found = unlisted_test_folders(sources)
    for source in sources:
        if source.suffix not in WRITTEN and not source.path.startswith("tools/"):
            continue
        found += word_problems(source) + shape_problems(source)
        found += first_line_problems(source, paths)
    return found


def main() -> int:
    return report("words", problems(project_sources()))


if __name__ == "__main__":
    sys.exit(main())
