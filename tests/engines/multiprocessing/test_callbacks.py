"""An ``error_callback`` of a pool is given an error with the place of its submission, which nobody has asked for yet."""

from __future__ import annotations

import re

import pytest

from tests import programs

CODE = """
import logging
import os
import sys
from multiprocessing import Pool
from multiprocessing.pool import ThreadPool

logging.basicConfig(stream=sys.stderr, format="%(message)s")


def divide(x):
    return os._exit(3) if x < 0 else 1 / x


def failed(error):
    logging.error("failed", exc_info=error)


def main(kind, value):
    with kind(1) as pool:
        pool.apply_async(divide, (value,), error_callback=failed).wait()
        if value == 0:
            pool.map_async(divide, [1, value], error_callback=failed).wait()


if __name__ == "__main__":
    main({"processes": Pool, "threads": ThreadPool}[sys.argv[1]], int(sys.argv[2]))
"""
LINES = CODE.lstrip("\n").split("\n")


def line(code: str) -> int:
    return next(number for number, each in enumerate(LINES, 1) if code in each)


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_the_place_of_its_submission(tmp_path, kind):
    ran = programs.run(tmp_path, CODE.lstrip("\n"), kind, "0")
    places = re.findall(r"  \[in a .*, submitted at \S*:(\d+) in main\]\n  \[divide\(x=0\)\]\n", ran.stderr)

    assert places == [str(line("apply_async(")), str(line("map_async("))], ran.stderr
    assert (ran.status, ran.stderr.count("ZeroDivisionError: division by zero")) == (0, 2)


def test_that_of_a_task_whose_worker_died(tmp_path):
    ran = programs.run(tmp_path, CODE.lstrip("\n"), "processes", "-1")

    assert re.search(rf"submitted at \S*:{line('apply_async(')} in main\]\n", ran.stderr), ran.stderr
