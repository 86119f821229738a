#!/usr/bin/env python3
"""wordcount_test.py IDENTIFIERS MERGE_COUNTS - the task programs of the demo count exactly."""

import collections
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest

IDENTIFIERS, MERGE_COUNTS = sys.argv[1:3]


def run(program: str, text: bytes) -> subprocess.CompletedProcess:
    return subprocess.run([program], input=text, capture_output=True, timeout=60)


def listing(counts: collections.Counter) -> bytes:
    return b"".join(b"%s\t%d\n" % (name, counts[name]) for name in sorted(counts))


class IdentifiersTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(self.folder.cleanup)

    def write(self, name: str, content: bytes) -> bytes:
        path = pathlib.Path(self.folder.name) / name
        path.write_bytes(content)
        return str(path).encode() + b"\n"

    def test_counts_what_the_regular_expression_matches(self):
        paths = self.write("a", b"int main(void) { return 0x1F + a_b2 + a_b2; } // 12abc \xff\0zz")
        paths += self.write("b", b"int")
        counted = run(IDENTIFIERS, paths)
        self.assertEqual(counted.returncode, 0)
        self.assertEqual(counted.stdout, b"a_b2\t2\nabc\t1\nint\t2\nmain\t1\nreturn\t1\n"
                                         b"void\t1\nx1F\t1\nzz\t1\n")

    def test_agrees_with_an_oracle_on_random_bytes(self):
        chance = random.Random(7)
        alphabet = b"abAB_019 \n\t(\xc3\x00"
        paths, expected = b"", collections.Counter()
        for number in range(30):
            content = bytes(chance.choice(alphabet) for _ in range(chance.randrange(3000)))
            paths += self.write(str(number), content)
            expected.update(re.findall(rb"[A-Za-z_][A-Za-z0-9_]*", content))
        self.assertEqual(run(IDENTIFIERS, paths).stdout, listing(expected))

    def test_counts_nothing_in_nothing(self):
        self.assertEqual(run(IDENTIFIERS, b"").stdout, b"")
        self.assertEqual(run(IDENTIFIERS, self.write("a", b"")).stdout, b"")

    def test_names_a_file_it_cannot_read(self):
        counted = run(IDENTIFIERS, b"/nowhere/at/all\n")
        self.assertEqual(counted.returncode, 1)
        self.assertIn(b"/nowhere/at/all", counted.stderr)


class MergeCountsTest(unittest.TestCase):
    def test_adds_up_lists_in_any_order(self):
        merged = run(MERGE_COUNTS, b"b\t2\nc\t1\na\t5\nb\t40\n")
        self.assertEqual((merged.returncode, merged.stdout), (0, b"a\t5\nb\t42\nc\t1\n"))

    def test_gives_the_same_as_a_tree_and_at_once(self):
        chance = random.Random(9)
        lists, total = [], collections.Counter()
        for _ in range(16):
            counts = collections.Counter({b"n%d" % chance.randrange(50): chance.randrange(1, 1000)
                                          for _ in range(30)})
            lists.append(listing(counts))
            total.update(counts)
        at_once = run(MERGE_COUNTS, b"".join(lists)).stdout
        halves = [run(MERGE_COUNTS, b"".join(part)).stdout for part in (lists[:8], lists[8:])]
        self.assertEqual(at_once, listing(total))
        self.assertEqual(run(MERGE_COUNTS, b"".join(halves)).stdout, at_once)

    def test_refuses_what_is_not_a_count(self):
        for line in (b"a", b"a\t", b"\t1", b"a\t-1", b"a\t1x", b"a 1", b"", b"a\t1\tb",
                     b"a\t18446744073709551616", b"a\t18446744073709551615\na\t1"):
            merged = run(MERGE_COUNTS, b"ok\t1\n" + line + b"\n")
            self.assertEqual(merged.returncode, 1, line)
            self.assertIn(b"line", merged.stderr)
            self.assertEqual(merged.stdout, b"", line)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
