"""What pools log of an initializer that failed."""

from __future__ import annotations

import re

import pytest

PROGRAM = """
import logging
import sys
from concurrent.futures import ProcessPoolExecutor

def connect(url):
    return {{}}[url]

if __name__ == "__main__":
    {setup}
    with ProcessPoolExecutor(1, initializer=connect, initargs=("db://x",)) as pool:
        pool.submit(abs, -1).result()
"""
LINE = r"Exception in initializer:\nKeyError: 'db://x', at \S+main.py:7 in connect\n"


def test_it_is_a_line_as_the_story_follows(shows):
    def check(ran):
        assert re.match(LINE, ran.stderr)
        assert ran.stderr.count("Traceback (most recent call last)") == 2
        assert ran.last.startswith("caused by KeyError: 'db://x', at ")

    shows(PROGRAM.format(setup="pass"), check)


@pytest.mark.parametrize(
    ("setup", "environment"),
    [("logging.basicConfig()", {}), ("pass", {"AUTOTB_NOISE": "keep"}), ("pass", {"AUTOTB_LOGGING": "0"})],
)
def test_it_is_whole_where_logging_was_set_up_or_the_program_keeps_it(run, setup, environment):
    ran = run(PROGRAM.format(setup=setup), **environment)

    assert not re.match(LINE, ran.stderr)
    assert ran.stderr.count("Traceback (most recent call last)") == 3
