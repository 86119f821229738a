#!/usr/bin/env python3
"""Every command and file has a page of the manual that names all it takes and is clean roff.

    manual_test.py PATH/TO/leat
"""
import pathlib
import re
import subprocess
import sys
import unittest

LEAT = str(pathlib.Path(sys.argv[1]).resolve())
MANUAL = pathlib.Path(__file__).resolve().parents[2] / "docs" / "man"
FILES = {"leat-history", "leat-job", "leat-pool"}  # section 5
# scdoc itself writes a paragraph mark before every section.
HARMLESS = "skipping paragraph macro"


def say(*words: str) -> str:
    done = subprocess.run([LEAT, *words], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def commands() -> list[str]:
    """All of main.cc's table: the completion script is made from it."""
    names = re.findall(r"^    '([a-z ]+)'\)\n      options=", say("completion", "bash"),
                       re.MULTILINE)
    assert len(names) > 15, names
    return names


def source(page: str, section: int = 1) -> str:
    return (MANUAL / f"{page}.{section}.scd").read_text(encoding="utf-8")


def complaints(roff: str) -> list[str]:
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning"], input=roff, capture_output=True,
                          text=True, timeout=60, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if HARMLESS not in line]


class ManualTest(unittest.TestCase):
    def test_every_command_has_a_page_that_names_its_options(self):
        for name in commands():
            page = "leat-" + name.replace(" ", "-")
            text = source(page).replace("\\", "")
            shown = say(*name.split(), "--help")
            with self.subTest(page):
                self.assertTrue(text.startswith(f"{page}(1)\n"))
                summary = re.match(r"leat [a-z ]+ - (.*)\n", shown)[1]
                self.assertIn(f"\n{page} - {summary}\n", text)
                options = re.findall(r"^  (?:(-\w), )?(--[\w-]+)", shown, re.MULTILINE)
                self.assertGreaterEqual(len(options), 2)
                for short, long in options:
                    self.assertIn(f"{short}, {long}" if short else f"*{long}", text)

    def test_no_page_is_about_a_command_that_is_not_there(self):
        pages = {path.name.removesuffix(".1.scd") for path in MANUAL.glob("*.1.scd")}
        known = {"leat-" + name.replace(" ", "-") for name in commands()}
        self.assertEqual(pages - known, {"leat", "leat-rsh"})

    def test_files_have_pages(self):
        pages = {path.name.removesuffix(".5.scd") for path in MANUAL.glob("*.5.scd")}
        self.assertEqual(pages, FILES)

    def test_the_first_page_leads_to_all_others(self):
        first = source("leat")
        for path in MANUAL.glob("*.scd"):
            page, section, _ = path.name.split(".")
            if page != "leat":
                self.assertIn(f"*{page}*({section})", first)

    def test_pages_are_clean(self):
        for path in sorted(MANUAL.glob("*.scd")):
            with self.subTest(path.name):
                roff = subprocess.run(["scdoc"], input=path.read_text(encoding="utf-8"),
                                      capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual((roff.returncode, roff.stderr), (0, ""))
                self.assertEqual(complaints(roff.stdout), [])

    def test_what_is_not_clean_would_be_seen(self):
        roff = '.TH "x" "1" "2026-01-01"\n.SH NAME\nx - y\n.SH NAME\n.NOSUCHMACRO\n'
        self.assertTrue(complaints(roff))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
