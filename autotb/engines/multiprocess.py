"""multiprocess, the copy of ``multiprocessing`` that pickles by dill, and pathos on top of it.

The same names in the same places, the same text for a traceback, the same hangs: the patches are those of ``multiprocessing``.
pathos calls the user's function through a ``<lambda>`` of its own.  Source: https://github.com/uqfoundation/multiprocess
"""

from __future__ import annotations

from autotb.engines.multiprocessing import declare, internals, patches

MODULES = ("multiprocess.pool", "multiprocess.process", "multiprocess.spawn")
NAME = "multiprocess, pathos"
DISTRIBUTION = "multiprocess"
CAPTURED = "Pool, Process, ThreadPool; pathos' ProcessPool and ThreadPool: map, imap, uimap, amap, pipe, apipe"
TESTED = "0.70.15 to 0.70.19"

declare("multiprocess", own=("multiprocess", "pathos", "dill", "pox", "ppft"))

PATCHES = patches("multiprocess")
ASSUMPTIONS = tuple([found.in_copy("multiprocessing", "multiprocess") for found in internals.ALL])

#: What ``python -m autotb demo --engine multiprocess`` runs: a user's script.
DEMO = '''\
"""A pool of pathos maps a lambda over eight items; one of them is bad."""

from pathos.multiprocessing import ProcessPool

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return ProcessPool(nodes=2).map(lambda item: score(item), ITEMS)


if __name__ == "__main__":
    main()
'''
