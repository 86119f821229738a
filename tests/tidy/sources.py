"""sources.py - the files of the project, for the checks that read them."""

import dataclasses
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Source:
    """One text file; `path` is relative to the root and uses slashes."""

    path: str
    lines: tuple[str, ...]

    @property
    def suffix(self) -> str:
        return pathlib.PurePosixPath(self.path).suffix

    @property
    def name(self) -> str:
        return pathlib.PurePosixPath(self.path).name


def source_of(path: str, text: str) -> Source:
    return Source(path, tuple(text.splitlines()))


def project_paths() -> list[str]:
    """What git tracks; in a tree without git, everything but build folders."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True)
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.decode().split("\0")
        return sorted(name for name in names if name and (ROOT / name).is_file())
    found = (p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file())
    return sorted(str(p) for p in found if p.parts[0] not in ("build", ".git"))


def project_sources() -> list[Source]:
    """Every file that is text."""
    sources = []
    for path in project_paths():
        try:
            sources.append(source_of(path, (ROOT / path).read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return sources


def report(name: str, problems: list[str]) -> int:
    """Prints what is wrong; the exit code of the check."""
    for problem in problems:
        print(problem)
    if problems:
        print(f"{name}: {len(problems)} broken")
    return 1 if problems else 0
