#!/usr/bin/env python3
"""layers.py - the arrows between folders, as tests/tidy/layers.txt draws them.

Reads every #include of every source and names the file, the line and the arrow it breaks.
"""

import fnmatch
import pathlib
import re
import sys

from sources import Source, project_sources, report

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


class Layers:
    """The law, read from layers.txt."""

    def __init__(self, text: str):
        self.arrows: dict[str, set[str]] = {}
        self.top: list[str] = []
        self.shared: dict[str, set[str]] = {}
        self.pure: list[str] = []
        self.values: set[str] = set()
        self.only: dict[str, list[str]] = {}
        for line in text.splitlines():
            words = line.split("#", 1)[0].split()
            if words:
                self._read(words)
        self._refuse_circles()

    def _read(self, words: list[str]) -> None:
        match words:
            case ["top", *folders]:
                self.top += folders
            case ["shared", folder, *files]:
                self.shared.setdefault(folder.rstrip(":"), set()).update(files)
            case ["pure", *globs]:
                self.pure += globs
            case ["values", *headers]:
                self.values.update(headers)
            case ["only", header, *globs]:
                self.only[header.rstrip(":")] = globs
            case [folder, *lower] if folder.endswith(":"):
                self.arrows[folder.rstrip(":")] = set(lower)
            case _:
                raise ValueError("layers.txt: cannot read: " + " ".join(words))

    def _refuse_circles(self) -> None:
        done: set[str] = set()

        def visit(folder: str, path: list[str]) -> None:
            if folder in path:
                raise ValueError("layers.txt: a circle: " + " -> ".join([*path, folder]))
            if folder in done:
                return
            if folder not in self.arrows:
                raise ValueError(f"layers.txt: {path[-1]} names {folder}, which is not there")
            for lower in sorted(self.arrows[folder]):
                visit(lower, [*path, folder])
            done.add(folder)

        for folder in self.arrows:
            visit(folder, [])

    def layer_of(self, path: str) -> str | None:
        """The longest folder of layers.txt above `path`; None if there is none."""
        for parent in pathlib.PurePosixPath(path).parents:
            if str(parent) in self.arrows:
                return str(parent)
        return None

    def is_top(self, path: str) -> bool:
        return path.split("/", 1)[0] in self.top


def matches(path: str, glob: str) -> bool:
    """Part by part: `a/*` is what stands in a, not what stands in folders of it."""
    parts, globs = path.split("/"), glob.split("/")
    return len(parts) == len(globs) and all(map(fnmatch.fnmatchcase, parts, globs))


def is_among(path: str, globs: list[str]) -> bool:
    return any(matches(path, glob) for glob in globs)


def quoted_problem(layers: Layers, source: Source, target: str) -> str | None:
    """What is wrong with `#include "target"` in `source`, if anything."""
    if "/" not in target and not target.endswith(".capnp.h"):
        return f'"{target}": write the full path from the root'
    if layers.is_top(source.path):
        return None
    here = layers.layer_of(source.path)
    there = layers.layer_of(target)
    if here is None:
        return f"{source.path}: this folder does not stand in layers.txt"
    if there is None:
        return f'"{target}": its folder does not stand in layers.txt'
    allowed = {here, *layers.arrows[here]}
    if there not in allowed and target not in layers.shared.get(here, set()):
        return f'"{target}": {here} may not include {there}'
    if is_among(source.path, layers.pure) and there != "base" and not is_among(target, layers.pure):
        return f'"{target}": {source.path} is pure, that is not'
    if is_among(source.path, layers.pure) and target == "base/thread.h":
        return f'"{target}": threads are for shells, {source.path} is pure'
    return None


def system_problem(layers: Layers, source: Source, header: str) -> str | None:
    """What is wrong with `#include <header>` in `source`, if anything."""
    if layers.is_top(source.path):
        return None
    if is_among(source.path, layers.pure) and header not in layers.values:
        return f"<{header}>: {source.path} is pure and may use only values of the library"
    for pattern, places in layers.only.items():
        if fnmatch.fnmatchcase(header, pattern) and not is_among(source.path, places):
            return f"<{header}>: only for {' '.join(places)}"
    return None


def problems(layers: Layers, sources: list[Source]) -> list[str]:
    found = []
    for source in sources:
        if source.suffix not in (".h", ".cc", ".c"):
            continue
        for number, line in enumerate(source.lines, 1):
            include = INCLUDE.match(line)
            if not include:
                continue
            check = quoted_problem if include[1] == '"' else system_problem
            problem = check(layers, source, include[2])
            if problem:
                found.append(f"{source.path}:{number}: {problem}")
    return found


def main() -> int:
    layers = Layers((pathlib.Path(__file__).parent / "layers.txt").read_text())
    return report("layers", problems(layers, project_sources()))


if __name__ == "__main__":
    sys.exit(main())
