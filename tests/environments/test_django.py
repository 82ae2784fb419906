"""Django's parallel test runner: failing tests read like those of a serial run.  Its page is an error's page as others are
(``test_web.py``)."""

from __future__ import annotations

import re

import pytest

from tests import programs

MANAGE = """
import sys

from django.conf import settings
from django.core.management import execute_from_command_line

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
settings.configure(SECRET_KEY="x", DATABASES=DATABASES)

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""
TESTS = """
from django.test import SimpleTestCase

def mean(items):
    return sum(items) / len(items)

class Mean(SimpleTestCase):
    def test_error(self):
        mean([])

    def test_fails(self):
        self.assertEqual(mean([1, 2]), 3)

class Sub(SimpleTestCase):
    def test_each(self):
        for number in range(2):
            with self.subTest(number=number):
                self.assertEqual(number, 5)
"""


def test_a_failing_test_reads_like_that_of_a_serial_run(tmp_path):
    pytest.importorskip("django")
    pytest.importorskip("tblib")
    (tmp_path / "test_mean.py").write_text(TESTS)

    def ran(*more, autotb="1"):
        return programs.run(tmp_path, MANAGE, "test", *more, name="manage.py", autotb=autotb)

    def told(run):
        """By test, without what Django's processes do not know, the lines of carets and that a subtest has no message, and times."""
        parts = re.sub(r" \[<object object at \w+>\]", "", run.stderr).split("=" * 70 + "\n")[1:]
        lines = [[line for line in part.split("\n") if line.strip(" ^~") and "Ran " not in line] for part in parts]
        return sorted("\n".join(part).partition("-" * 70 + "\nFAILED")[0].rstrip("\n-") for part in lines)

    parallel, serial, bare = ran("--parallel=2"), ran(), ran("--parallel=2", autotb="0")

    assert len(told(serial)) == 4
    assert told(parallel) == told(serial)
    assert told(bare) != told(serial)
    assert parallel.status == serial.status == bare.status == 1
    assert re.search(r"FAILED \(failures=3, errors=1\)", parallel.stderr)
