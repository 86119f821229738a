#!/usr/bin/env python3
"""install_test.py BUILD COMPILER SANITIZERS - a project elsewhere finds the installed SDK.

By find_package and by pkg-config, from a prefix that was moved after it was installed, without a
file of this tree.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BUILD, COMPILER, SANITIZERS = sys.argv[1:4]
ROOT = pathlib.Path(__file__).resolve().parents[2]

MAIN = """\
#include <leat/program.h>
#include <leat/version.h>

#include <boost/serialization/vector.hpp>
#include <vector>

static_assert(LEAT_SDK_VERSION_MAJOR == 0);

struct Longest : leat::Reducer<std::vector<int>> {
  std::vector<int> combine(std::vector<int> left, std::vector<int> right) const {
    return left.size() < right.size() ? right : left;
  }
};

int main(int argc, char** argv) {
  const auto make = [](std::uint64_t i) { return std::vector<int>(i % 10, 7); };
  if (argc == 1) return leat::program_main<Longest>(argc, argv, 100, make);
  const std::vector<int> all = leat::read_total<Longest>(std::cin);
  std::cout << all.size() << '\\n';
}
"""

PROJECT = """\
cmake_minimum_required(VERSION 3.25)
project(elsewhere CXX)
find_package(leat %s REQUIRED)
add_executable(elsewhere main.cc)
target_link_libraries(elsewhere PRIVATE leat::task)
"""


def run(*args: object, code: int = 0, **options) -> str:
    done = subprocess.run([str(arg) for arg in args], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=240, **options)
    assert done.returncode == code, done.stdout
    return done.stdout


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        run("cmake", "--install", BUILD, "--component", "sdk", "--prefix", cls.folder / "first")
        cls.prefix = (cls.folder / "first").rename(cls.folder / "moved")
        (cls.folder / "main.cc").write_text(MAIN)
        cls.flags = [f"-fsanitize={SANITIZERS}"] if SANITIZERS else []
        header = (cls.prefix / "include/leat/version.h").read_text()
        cls.version = ".".join(re.findall(r"define LEAT_SDK_VERSION_\w+ (\d+)", header))

    def assert_works(self, program: pathlib.Path) -> None:
        made = subprocess.run([program], stdout=subprocess.PIPE, check=True, timeout=60)
        done = subprocess.run([program, "x"], input=made.stdout, stdout=subprocess.PIPE, check=True,
                              timeout=60)
        self.assertEqual(done.stdout, b"9\n")

    def configure(self, version: str, code: int) -> str:
        project = self.folder / "project"
        project.mkdir(exist_ok=True)
        (project / "main.cc").write_text(MAIN)
        (project / "CMakeLists.txt").write_text(PROJECT % version)
        return run("cmake", "-S", project, "-B", project / f"build-{version}", code=code,
                   env={**os.environ, "CXX": COMPILER, "CXXFLAGS": " ".join(self.flags),
                        "CMAKE_PREFIX_PATH": str(self.prefix)})

    def test_cmake_finds_it(self):
        self.configure(self.version, 0)
        run("cmake", "--build", self.folder / "project" / f"build-{self.version}")
        self.assert_works(self.folder / "project" / f"build-{self.version}" / "elsewhere")

    def test_cmake_refuses_another_version(self):
        self.assertIn("version", self.configure("7.0", 1))

    def test_pkg_config_finds_it(self):
        pc = next(self.prefix.glob("lib/**/leat.pc"))
        environment = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent)}
        self.assertEqual(run("pkg-config", "--modversion", "leat", env=environment).strip(),
                         self.version)
        flags = run("pkg-config", "--cflags", "--libs", "leat", env=environment).split()
        run(COMPILER, *self.flags, "main.cc", *flags, "-o", "by_pkg_config", cwd=self.folder)
        self.assert_works(self.folder / "by_pkg_config")

    def test_it_needs_nothing_of_this_tree(self):
        installed = [path for path in self.prefix.rglob("*") if path.is_file()]
        self.assertLess(len(installed), 20, installed)
        for path in installed:
            if path.suffix != ".a":
                self.assertNotIn(str(ROOT), path.read_text(), path)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
