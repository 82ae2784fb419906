"""tinypool: a pool of one worker process."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

# The engine's program: one function a way in which a task can be submitted.  ``cases`` runs the cases that its arguments name, each
# ``way:task``; the tasks are those of ``kit.TASKS``.
MAIN = """\
import tinypool

import cases


def submit(task):
    with tinypool.Pool() as pool:
        return pool.submit(task, 0).result()


def several(task):
    with tinypool.Pool() as pool:
        tasks = pool.submit(task, 1), pool.submit(task, 0)
        return tasks[0].result(), tasks[1].result()


if __name__ == "__main__":
    cases.run(globals())
"""

# What the degrading tests, the extras and the version matrix need to know: see ``declared.Engine``.  An engine that is heavy to install
# has ``heavy=True`` here, and ``@kit.on_main`` on its tests.
ENGINES = {
    "tinypool": Engine(
        requires=("tinypool>=1.0",),
        oldest=("tinypool==1.0",),
        main=MAIN,
        cases=("submit:ok", "submit:score", "several:score"),
    ),
}


# ``kit.Standard`` has the tests that every engine has: each kind of failure is one short story, the call and the line that submitted
# it are there, the program catches the exceptions that it catches without autotb, with the same exit status.  All of them fail
# without autotb, which the kit sees to.
class TestPool(kit.Standard):
    MAIN = MAIN
    WAYS = {"submit": "in a tinypool worker", "several": "in a tinypool worker"}  # where a way's tasks run, in the story's words
    OWN = ("/tinypool/", "RemoteText")  # what no story contains
