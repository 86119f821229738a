#!/usr/bin/env python3
"""What bash and zsh complete with the scripts that leat prints: the shells really do it.

    completion_test.py PATH/TO/leat
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

LEAT = str(pathlib.Path(sys.argv[1]).resolve())

# In the place of leat: a head that knows three jobs.
STUB = """#!/bin/sh
[ "$*" = "job list --limit 50" ] || [ "$*" = "--home /h job list --limit 50" ] || exit 3
printf 'ID  NAME\\n 17  a\\n170  b\\n  5  c\\n'
"""


def say(*words: str) -> str:
    return subprocess.run([LEAT, *words], capture_output=True, text=True, timeout=60,
                          check=True).stdout


def options_of(command: str) -> set[str]:
    shown = say(*command.split(), "--help")
    found = re.findall(r"^  (?:(-\w), )?(--[\w-]+)", shown, re.MULTILINE)
    return {name for pair in found for name in pair if name}


class Shells(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="leat-completion-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        (cls.folder / "bin").mkdir()
        stub = cls.folder / "bin" / "leat"
        stub.write_text(STUB)
        stub.chmod(0o755)
        (cls.folder / "file.toml").write_text("")
        (cls.folder / "folder").mkdir()
        (cls.folder / "leat.bash").write_text(say("completion", "bash"))
        (cls.folder / "_leat").write_text(say("completion", "zsh"))
        cls.environment = {"PATH": f"{cls.folder}/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                           "HOME": str(cls.folder)}

    def run_shell(self, *argv: str) -> list[str]:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=self.folder,
                              env=self.environment, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()


class BashTest(Shells):
    def complete(self, *words: str) -> set[str]:
        """What bash offers for the last of `words`."""
        script = """
            set -u
            . ./leat.bash
            [[ $(complete -p leat) == 'complete -F _leat leat' ]] || exit 9
            COMP_WORDS=(leat "$@") COMP_CWORD=$#
            _leat
            printf '%s\\n' "${COMPREPLY[@]}"
        """
        return set(self.run_shell("bash", "--norc", "-c", script, "bash", *words))

    def test_commands(self):
        offered = self.complete("")
        self.assertLessEqual({"up", "submit", "job", "history", "--home"}, offered)
        self.assertEqual(self.complete("su"), {"submit"})
        self.assertEqual(self.complete("history", ""), {"sql", "export", "prune"})
        self.assertEqual(self.complete("job", "sh"), {"show"})
        self.assertEqual(self.complete("nothing", ""), set())

    def test_every_option_of_every_command(self):
        names = re.findall(r"^    '([a-z ]+)'\)\n      options=", say("completion", "bash"),
                           re.MULTILINE)
        for name in names:
            with self.subTest(name):
                self.assertEqual(self.complete(*name.split(), "-"), options_of(name))

    def test_ids_of_jobs(self):
        self.assertEqual(self.complete("wait", ""), {"last", "17", "170", "5"})
        self.assertEqual(self.complete("job", "show", "17"), {"17", "170"})
        self.assertEqual(self.complete("events", "--job", "l"), {"last"})
        self.assertEqual(self.complete("--home", "/h", "why", "5"), {"5"})
        self.assertEqual(self.complete("--home", "/none", "why", ""), {"last"})

    def test_files_and_programs(self):
        self.assertEqual(self.complete("up", "--pool", "fi"), {"file.toml"})
        self.assertEqual(self.complete("--home", "fo"), {"folder"})
        self.assertEqual(self.complete("submit", "--home", "f"), {"folder"})
        self.assertIn("file.toml", self.complete("history", "export", "f"))
        self.assertIn("seq", self.complete("submit", "--array", "1-9", "--", "se"))
        self.assertEqual(self.complete("submit", "--array", ""), set())


class ZshTest(Shells):
    def offered(self, *words: str) -> list[str]:
        """What the function of zsh hands to the completion system for the last of `words`."""
        script = """
            compdef() { : }
            compadd() { [[ $1 == -a ]] && print -l -- ${(P)2} || print -l -- ${@:#--} }
            _arguments() { print -l -- "$@" }
            words=(leat "$@") CURRENT=$(( $# + 1 ))
            source ./_leat
        """
        return self.run_shell("zsh", "-f", "-c", script, "zsh", *words)

    def test_commands(self):
        self.assertLessEqual({"up", "submit", "job", "history"}, set(self.offered("")))
        self.assertEqual(set(self.offered("history", "")), {"sql", "export", "prune"})

    def test_every_option_of_every_command(self):
        names = re.findall(r"^    '([a-z ]+)'\)\n      _arguments", say("completion", "zsh"),
                           re.MULTILINE)
        self.assertGreater(len(names), 15)
        for name in names:
            with self.subTest(name):
                specs = "\n".join(self.offered(*name.split(), "-"))
                found = set(re.findall(r"^\*?(--?[\w-]+)\[", specs, re.MULTILINE))
                self.assertEqual(found, options_of(name))

    def test_ids_of_jobs(self):
        self.assertIn("1:JOB[.INDEX]:_leat_jobs", self.offered("why", ""))

    def test_a_completion_system_takes_it(self):
        script = """
            autoload -U compinit
            fpath=($PWD $fpath)
            compinit -u -D
            [[ $_comps[leat] == _leat ]] && print taken
        """
        self.assertEqual(self.run_shell("zsh", "-f", "-c", script), ["taken"])


if __name__ == "__main__":
    os.environ.pop("LEAT_HOME", None)
    unittest.main(argv=sys.argv[:1])
