"""multiprocess and pathos: real pools that pickle by dill."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import multiprocess
from pathos.multiprocessing import ProcessPool
from pathos.threading import ThreadPool

import cases


def apply(task):
    with multiprocess.Pool(2) as pool:
        return pool.apply(task, (0,))


def map_(task):
    with multiprocess.Pool(2) as pool:
        return pool.map(lambda item: task(item), [1, 0])


def imap(task):
    with multiprocess.get_context("spawn").Pool(1) as pool:
        return list(pool.imap(task, [1, 0]))


def pathos_map(task):
    return ProcessPool(nodes=2).map(task, [1, 0])


def pathos_imap(task):
    return list(ProcessPool(nodes=2).imap(task, [1, 0]))


def pathos_uimap(task):
    return list(ProcessPool(nodes=2).uimap(task, [1, 0]))


def pathos_amap(task):
    return ProcessPool(nodes=2).amap(task, [1, 0]).get()


def pathos_pipe(task):
    return ProcessPool(nodes=2).pipe(task, 0)


def pathos_apipe(task):
    return ProcessPool(nodes=2).apipe(task, 0).get()


def pathos_threads(task):
    return ThreadPool(nodes=2).map(task, [1, 0])


def process(task):
    found = multiprocess.Process(target=task, args=(0,))
    found.start()
    found.join()
    return found.exitcode


if __name__ == "__main__":
    cases.run(globals())
    for pool in (ProcessPool, ThreadPool):
        pool().terminate()
        pool().join()
        pool().clear()
"""

ENGINES = {
    "multiprocess": Engine(
        requires=("multiprocess>=0.70.15", "pathos>=0.3"),
        oldest=("multiprocess==0.70.15", "pathos==0.3.1", "dill==0.3.7"),
        main=MAIN,
        cases=("apply:ok", "apply:score", "pathos_map:score"),
        unsendable="import multiprocess\ndef main():\n    with multiprocess.Pool(1) as pool:\n        return pool.apply(id, (LOCK,))",
    ),
}


class TestPools(kit.Standard):
    MAIN = MAIN
    WAYS = {
        "apply": "in a pool worker, pid",
        "imap": "in a pool worker, pid",
        "pathos_map": "in a pool worker, pid",
        "pathos_pipe": "in a pool worker, pid",
        "pathos_threads": "in a thread-pool worker",
    }
    MORE = {
        "map_:score": ["map_", "<lambda>", "score", "divide"],
        "pathos_imap:score": ["pathos_imap", "score", "divide"],
        "pathos_uimap:score": ["pathos_uimap", "score", "divide"],
        "pathos_amap:score": ["pathos_amap", "score", "divide"],
        "pathos_apipe:two": ["pathos_apipe", "two"],
        "process:score": ["score", "divide"],
    }
    HANGS = (
        *("apply:two", "imap:two", "pathos_map:two", "pathos_pipe:two", "pathos_apipe:two"),
        *("apply:interrupted", "pathos_map:leaves", "pathos_threads:interrupted"),
    )
    OTHERS = ("apply:interrupted", "pathos_map:leaves", "pathos_threads:interrupted", "apply:ok", "pathos_map:ok", "apply:group")
    OWN = ("/multiprocess/", "/pathos/")

    def test_what_the_engine_never_ends_ends(self, program):
        assert "apply interrupted raised KeyboardInterrupt" in program.ours.stdout
        assert "pathos_map leaves raised SystemExit" in program.ours.stdout
        assert "pathos_map ok returned [1, 0]" in program.ours.stdout
