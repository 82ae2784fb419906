"""Hamilton: functions that make a graph, run in this process or by an executor that has an adapter of its own.

The exception itself arrives.  Hamilton logs the node, its inputs and the whole traceback beforehand: the traceback is left to us.
Source: https://hamilton.dagworks.io/en/latest/concepts/driver/
"""

from __future__ import annotations

import logging

from autotb import engine_facts
from autotb.instrument.patch import Patch, noise_is_kept

MODULES = ("hamilton.execution.graph_functions",)
NAME = "Hamilton"
DISTRIBUTION = "sf-hamilton"
CAPTURED = "Driver.execute"
TESTED = "1.80 to 1.90"

engine_facts.register(own=("hamilton",))


def _without_traceback(record: logging.LogRecord) -> bool:
    """The node and its inputs stay; the traceback of the error that is raised next goes."""
    if record.exc_info and record.levelno >= logging.ERROR and not noise_is_kept():
        record.exc_info = record.exc_text = None
    return True


def ready(_module: str) -> None:
    """After Hamilton's module has run: its logger gets the filter."""
    logger = logging.getLogger("hamilton.execution.graph_functions")
    if _without_traceback not in logger.filters:
        logger.addFilter(_without_traceback)


PATCHES: tuple[Patch, ...] = ()

#: What ``python -m autotb demo --engine hamilton`` runs: a user's script.
DEMO = '''\
"""Hamilton computes a node of a graph of functions; one of its inputs is bad."""

import sys

from hamilton import driver


def rate(clicks: int, views: int) -> float:
    return clicks / views


def score(rate: float) -> float:
    return round(rate, 3)


def main() -> dict:
    made = driver.Builder().with_modules(sys.modules["__main__"]).build()
    return made.execute(["score"], inputs={"clicks": 3, "views": 0})


if __name__ == "__main__":
    main()
'''
