#!/usr/bin/env python3
"""heat_test.py MPIEXEC HEAT - the heat solver is right, on any number of ranks, and goes on."""

import array
import math
import signal
import struct
import sys
import unittest
import zlib

import ranks

ranks.RanksTest.mpiexec, HEAT = sys.argv[1:3]
ENDLESS = 1_000_000_000


def by_hand(size: int, steps: int, conductivity: float, edge: float) -> list[float]:
    """A cold plate, by the same formula in other words."""
    width = size + 2
    now = [edge] * width + [0.0] * (width * (width - 1))
    for _ in range(steps):
        after = now[:]
        for row in range(1, size + 1):
            for i in range(row * width + 1, row * width + size + 1):
                around = (now[i - width] + now[i + width]) + (now[i - 1] + now[i + 1])
                after[i] = now[i] + conductivity * (around - 4 * now[i])
        now = after
    return [now[row * width + column] for row in range(1, size + 1)
            for column in range(1, size + 1)]


def steady(x: float, depth: float, edge: float) -> float:
    """Of a plate that has come to rest, as a series."""
    return sum(4 * edge / (k * math.pi) * math.sin(k * math.pi * x)
               * math.sinh(k * math.pi * (1 - depth)) / math.sinh(k * math.pi)
               for k in range(1, 100, 2))


def pixels_of_png(data: bytes) -> tuple[int, list[bytes]]:
    """Width, and rows of three bytes a pixel."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", data[:8]
    chunks, at = {}, 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + body), kind
        chunks[kind] = chunks.get(kind, b"") + body
        at += size + 12
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [8, 2, 0, 0, 0], form
    raw, above, rows = zlib.decompress(chunks[b"IDAT"]), bytes(3 * width), []
    for at in range(0, len(raw), 3 * width + 1):
        above = unfiltered(raw[at], raw[at + 1:at + 1 + 3 * width], above)
        rows.append(above)
    assert len(rows) == height
    return width, rows


def unfiltered(kind: int, row: bytes, above: bytes) -> bytes:
    out = bytearray(row)
    for i in range(len(out)):
        left, corner = (out[i - 3], above[i - 3]) if i >= 3 else (0, 0)
        nearest = min((left, above[i], corner), key=lambda v: abs(left + above[i] - corner - v))
        out[i] = (out[i] + (0, left, above[i], (left + above[i]) // 2, nearest)[kind]) & 0xff
    return bytes(out)


class HeatTest(ranks.RanksTest):
    def field(self, size: int, *options: object, on: int = 1, code: int = 0) -> array.array:
        self.ranks(on, HEAT, "--size", size, "--field", "field", *options, code=code)
        return array.array("d", (self.folder / "field").read_bytes())

    def test_a_small_plate_is_as_by_hand_to_the_last_bit(self):
        for on in (1, 4):
            field = self.field(7, "--steps", 40, "--conductivity", 0.2, "--start", "cold", on=on)
            self.assertEqual(list(field), by_hand(7, 40, 0.2, 100.0))

    def test_any_number_of_ranks_makes_the_same_field(self):
        alone = self.field(23, "--steps", 130)
        self.assertGreater(len(set(alone)), 500)  # not symmetric, so a swap would be seen
        for on in (2, 3, 6):
            self.assertEqual(self.field(23, "--steps", 130, on=on), alone, on)

    def test_a_plate_with_as_many_ranks_as_cells_is_no_exception(self):
        options = ("--steps", 25, "--start", "wave")
        self.assertEqual(self.field(2, *options, on=4), self.field(2, *options))

    def test_a_wave_fades_as_the_heat_equation_says_the_finer_the_closer(self):
        errors = []
        for size, steps in ((15, 50), (31, 200)):
            field = self.field(size, "--steps", steps, "--start", "wave", "--edge", 0, on=2)
            width = 1 / (size + 1)
            left = 100 * math.exp(-2 * math.pi ** 2 * 0.25 * width ** 2 * steps)
            errors.append(max(
                abs(field[row * size + column] - left * math.sin(math.pi * width * (row + 1))
                    * math.sin(math.pi * width * (column + 1)))
                for row in range(size) for column in range(size)))
        self.assertLess(errors[1], 0.2)
        self.assertAlmostEqual(errors[0] / errors[1], 4, delta=0.1)  # of second order

    def test_at_rest_it_is_the_series_of_laplaces_equation(self):
        said = self.ranks(4, HEAT, "--size", 31, "--steps", ENDLESS, "--tolerance", 1e-7,
                          "--field", "field", "--picture", "plate.png").decode()
        self.assertLess(int(said.split()[1]), 10_000)
        field = array.array("d", (self.folder / "field").read_bytes())
        self.assertAlmostEqual(field[15 * 31 + 15], 25, places=3)  # a quarter, by symmetry
        for row, column in ((7, 15), (15, 7), (23, 23), (7, 7)):
            self.assertAlmostEqual(field[row * 31 + column],
                                   steady((column + 1) / 32, (row + 1) / 32, 100), delta=0.15)
        self.assert_shows((self.folder / "plate.png").read_bytes(), field)

    def assert_shows(self, picture: bytes, field: array.array) -> None:
        width, rows = pixels_of_png(picture)
        self.assertEqual((width, len(rows)), (31, 31))
        pixels = [row[3 * i:3 * i + 3] for row in rows for i in range(width)]
        self.assertEqual(pixels[field.index(min(field))], b"\0\0\0")
        self.assertEqual(pixels[field.index(max(field))], b"\xff\xff\xff")
        self.assertTrue(all(red >= green >= blue for red, green, blue in pixels))
        by_heat = [sum(pixels[i]) for i in sorted(range(len(field)), key=field.__getitem__)]
        self.assertEqual(by_heat, sorted(by_heat))

    def test_what_it_is_told_may_be_the_input_of_a_task(self):
        told = self.ranks(2, HEAT, LEAT_INPUT='{"size": 9, "steps": 20, "seed": 5}', LEAT_JOB_ID=3)
        self.assertEqual(told, self.ranks(2, HEAT, "--size", 9, "--steps", 20, "--seed", 5))
        self.assertNotEqual(told, self.ranks(1, HEAT, "--size", 9, "--steps", 20, "--seed", 6))

    def test_what_it_cannot_be_told_is_refused_in_one_line(self):
        for options, why in ((["--size", "big"], 'size: "big" is not of the kind'),
                             (["--size", 1.5], "size: 1.5 is not of the kind"),
                             (["--size", 0], "size: 1 to 4096"),
                             (["--conductivity", 0.3], "conductivity: more than 0"),
                             (["--start", "hot"], "start: cold, spots or wave"),
                             (["--steps"], "--steps: needs a value"),
                             (["--input", "[]"], "no JSON object: []")):
            self.ranks(1, HEAT, *options, code=2)
            self.assert_says(why, self.written("err"))
        for options, why in ((["--siez", 3], "siez: there is none of that name"),
                             (["--size", 1], "2 ranks want a size of at least 2")):
            self.ranks(2, HEAT, *options, code=2)
            self.assert_says(why, self.written("err") + self.written("err", 1))

    def assert_says(self, why: str, said: bytes) -> None:
        self.assertIn(why, said.decode())
        self.assertEqual(len(said.splitlines()), 1)

    def test_a_picture_that_cannot_be_written_is_a_failure(self):
        self.ranks(2, HEAT, "--size", 9, "--steps", 20, "--picture", "nowhere/x.png", code=1)
        self.assertIn(b"cannot write the picture nowhere/x.png", self.written("err"))


class CheckpointTest(ranks.RanksTest):
    OPTIONS = ("--size", 60, "--checkpoint-every", 40, "--field", "field")

    def setUp(self):
        super().setUp()
        self.listener = self.listen()
        self.checkpoint = self.folder / "kept" / "heat.checkpoint"

    def run_to(self, steps: int, on: int) -> bytes:
        self.ranks(on, HEAT, *self.OPTIONS, "--steps", steps, LEAT_CHECKPOINT_DIR="kept")
        return (self.folder / "field").read_bytes()

    def interrupted(self, number: signal.Signals) -> tuple[int, int]:
        """Exit code, and the last step that was told of."""
        started = self.start(2, HEAT, *self.OPTIONS, "--steps", ENDLESS,
                             LEAT_CHECKPOINT_DIR="kept")
        last = 0
        while last < 100:
            last = int(self.progress(self.listener)[-1].split()[1].rstrip(","))
        self.kill(1, number)
        return started.wait(ranks.DEADLINE_S), last

    def assert_goes_on(self, beyond: int, on: int) -> None:
        while self.is_told():
            last = int(self.progress(self.listener)[-1].split()[1].rstrip(","))
            beyond = max(beyond, last)
        steps = beyond + 100
        went_on = self.run_to(steps, on)
        first = int(self.progress(self.listener)[0].split()[1].rstrip(","))
        self.assertGreater(first, 40, "began from the start")
        self.assertFalse(self.checkpoint.exists())
        self.assertEqual(self.run_to(steps, on=1), went_on)

    def is_told(self) -> bool:
        return bool(ranks.select.select([self.listener], [], [], 0)[0])

    def test_one_rank_that_is_asked_to_end_ends_all_with_a_checkpoint(self):
        code, last = self.interrupted(signal.SIGTERM)
        self.assertEqual(code, 143)
        self.assertIn(b"asked to end after step", self.written("err"))
        self.assert_goes_on(last, on=3)

    def test_after_a_rank_was_killed_the_next_attempt_goes_on(self):
        code, last = self.interrupted(signal.SIGKILL)
        self.assertNotEqual(code, 0)
        self.assert_goes_on(last, on=4)

    def test_a_damaged_checkpoint_or_that_of_another_run_is_not_used(self):
        self.interrupted(signal.SIGTERM)
        good = self.checkpoint.read_bytes()
        damaged = bytearray(good)
        damaged[len(good) // 2] ^= 1
        plain = ("--size", 60, "--steps", 60)
        wanted = self.ranks(1, HEAT, *plain)
        for content, why in ((damaged, b"does not fit its checksum"), (good[:-1], b"ends after"),
                             (b"", b"it is empty")):
            self.checkpoint.parent.mkdir(exist_ok=True)
            self.checkpoint.write_bytes(content)
            self.assertEqual(self.ranks(1, HEAT, *plain, LEAT_CHECKPOINT_DIR="kept"), wanted)
            self.assertIn(why, self.written("err"))
        self.checkpoint.parent.mkdir(exist_ok=True)
        self.checkpoint.write_bytes(good)
        self.ranks(1, HEAT, *plain, "--seed", 9, LEAT_CHECKPOINT_DIR="kept")
        self.assertIn(b"of a run with other parameters", self.written("err"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
