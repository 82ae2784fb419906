"""executorlib: real workers behind sockets and files."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
from executorlib import SingleNodeExecutor

import cases


def submit(task):
    with SingleNodeExecutor(max_workers=2) as executor:
        return executor.submit(task, 0).result()


def blocks(task):
    with SingleNodeExecutor(max_workers=1, block_allocation=True) as executor:
        return executor.submit(task, 0).result()


def mapped(task):
    with SingleNodeExecutor(max_workers=2) as executor:
        return list(executor.map(task, [1, 0]))


def dependent(task):
    with SingleNodeExecutor(max_workers=2) as executor:
        first = executor.submit(task, 0)
        return executor.submit(abs, first).result()


def cached(task):
    import tempfile
    with SingleNodeExecutor(max_workers=2, cache_directory=tempfile.mkdtemp()) as executor:
        return executor.submit(task, 0).result()


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "executorlib": Engine(
        requires=("executorlib>=1.0", "h5py"),
        heavy=True,
        oldest=("executorlib==1.5.3", "h5py", "networkx"),
        main=MAIN,
        cases=("submit:ok", "submit:score", "cached:score"),
        waits="submit",
        unsendable="from executorlib import SingleNodeExecutor\ndef main():\n    with SingleNodeExecutor(max_workers=1) as executor:\n"
        "        return executor.submit(id, LOCK).result()",
    ),
}


@kit.on_main
class TestExecutor(kit.Standard):
    MAIN = MAIN
    # In older ones the thread that serves a cache folder dies of the task's error too, and Python tells of it by itself.
    WAYS = dict.fromkeys(["submit", "blocks", "mapped", *([] if kit.OLDEST else ["cached"])], "in an executorlib worker, pid")
    MORE = {"dependent:score": ["dependent", "score", "divide"]}
    # Older ones wait for ever for a worker that was killed, by themselves.
    OTHERS = ("submit:ok", "mapped:ok") if kit.OLDEST else ("submit:killed", "submit:ok", "mapped:ok")
    HANGS = ("blocks:locked", "mapped:locked", "cached:locked", "submit:locked", "cached:two", "blocks:two", "mapped:two")
    OWN = ("/executorlib/",)
