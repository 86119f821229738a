#!/usr/bin/env python3
"""self_test.py - the checks of this folder see what they are there to see."""

import unittest

import layers
import words
from sources import source_of

LAW = """
base:
core:   base
store:  core base
top tests
shared core: store/port.h
pure core/*
values vector map
only sqlite3.h: store/database.cc
"""


def arrow_problems(path: str, text: str) -> list[str]:
    return layers.problems(layers.Layers(LAW), [source_of(path, text)])


def word_problems(path: str, *lines: str) -> list[str]:
    return words.word_problems(source_of(path, "\n".join(lines)))


class LayersTest(unittest.TestCase):
    def test_lets_arrows_point_down(self):
        self.assertEqual(arrow_problems("store/a.cc", '#include "core/b.h"\n'), [])
        self.assertEqual(arrow_problems("core/a.cc", '#include "core/b.h"\n#include <map>'), [])
        self.assertEqual(arrow_problems("tests/a.cc", '#include "store/b.h"\n'), [])
        self.assertEqual(arrow_problems("store/database.cc", "#include <sqlite3.h>"), [])

    def test_names_file_line_and_arrow(self):
        self.assertEqual(arrow_problems("core/a.cc", '\n#include "store/b.h"\n'),
                         ['core/a.cc:2: "store/b.h": core may not include store'])

    def test_refuses_what_is_not_pure(self):
        for include in ("<thread>", "<unistd.h>", "<sys/stat.h>", "<kj/async.h>", '"base/thread.h"',
                        '"store/port.h"'):
            self.assertTrue(arrow_problems("core/a.cc", f"#include {include}\n"), include)

    def test_refuses_a_library_outside_its_file(self):
        self.assertTrue(arrow_problems("store/store.cc", "#include <sqlite3.h>"))

    def test_takes_a_star_for_one_folder_only(self):
        self.assertTrue(layers.matches("agent/a.cc", "agent/*"))
        self.assertFalse(layers.matches("agent/warden/a.cc", "agent/*"))

    def test_refuses_unknown_folders_and_bare_names(self):
        self.assertTrue(arrow_problems("core/a.cc", '#include "b.h"'))
        self.assertTrue(arrow_problems("core/a.cc", '#include "util/b.h"'))
        self.assertTrue(arrow_problems("util/a.cc", '#include "base/b.h"'))

    def test_refuses_a_law_with_a_circle(self):
        with self.assertRaises(ValueError):
            layers.Layers("a: b\nb: c\nc: a\n")


class WordsTest(unittest.TestCase):
    def test_sees_every_banned_word(self):
        for line in ("auto t = std::chrono::steady_clock::now();", "t = time(nullptr);",
                     "std::this_thread::sleep_for(d);", "usleep(3);", "int r = rand();",
                     "std::random_device seed;", 'getenv("HOME");', "KJ_DBG(x);",
                     "promise.detach(f);", 'system("ls");', "strcpy(a, b);",
                     "using namespace std;", "// TODO(now): x", "// FIXME", "// TODO: x"):
            self.assertTrue(word_problems("agent/a.cc", line), line)
        for line in ("std::unordered_map<int, int> m;", "double x;", "throw 1;"):
            self.assertTrue(word_problems("scheduler/core/a.cc", line), line)
            self.assertEqual(word_problems("agent/a.cc", line), [], line)

    def test_lets_innocent_words_pass(self):
        for line in ("// time(nullptr) is banned", "// TODO(soon): x", "int asleep = 1;",
                     "start_time(x);", "operand(x);", "on_detach(x);"):
            self.assertEqual(word_problems("agent/a.cc", line), [], line)
        self.assertEqual(word_problems("agent/main.cc", 'getenv("HOME");'), [])

    def test_admits_only_the_line_it_names(self):
        path = "node-agent/warden/processes.cc"
        self.assertEqual(word_problems(path, "    usleep(pause_us);"), [])
        self.assertTrue(word_problems(path, "    usleep(100);"))

    def test_sees_shapes(self):
        def shapes(*lines):
            return words.shape_problems(source_of("agent/a.cc", "\n".join(lines)))

        self.assertEqual(shapes("x" * 100), [])
        self.assertTrue(shapes("x" * 101))
        self.assertTrue(shapes("x "))
        self.assertTrue(shapes("\tx"))
        self.assertEqual(shapes(*["x"] * 400), [])
        self.assertTrue(shapes(*["x"] * 401))

    def test_wants_the_subject_in_the_first_line(self):
        def first(path, text, *others):
            return words.first_line_problems(source_of(path, text), {path, *others})

        self.assertEqual(first("a/b.h", "#pragma once\n\n// b.h - bees.\n"), [])
        self.assertTrue(first("a/b.h", "#pragma once\n\n// c.h - bees.\n"))
        self.assertTrue(first("a/b.h", "#ifndef B\n\n// b.h - bees.\n"))
        self.assertEqual(first("a/b.cc", "#include <map>\n", "a/b.h"), [])
        self.assertTrue(first("a/b.cc", "#include <map>\n"))
        self.assertEqual(first("a/b.cc", "// b.cc - bees.\n"), [])

    def test_sees_a_folder_of_tests_that_is_not_listed(self):
        listing = source_of("tests/CMakeLists.txt", "set(FOLDERS a b/c)\n")
        listed = source_of("tests/b/c/CMakeLists.txt", "")
        forgotten = source_of("tests/d/CMakeLists.txt", "")
        self.assertEqual(words.unlisted_test_folders([listing, listed]), [])
        self.assertTrue(words.unlisted_test_folders([listing, forgotten]))


if __name__ == "__main__":
    unittest.main()
