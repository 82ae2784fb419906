"""What is shown of a story, and what is folded."""

import pytest

from autotb.trace import visible
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Hop, Stack

ENGINES = Frame("/site-packages/pool/loop.py", 3, "get", kind="engine")
REASON = "AttributeError: Can't get attribute 'work'"


@pytest.mark.parametrize(
    ("died", "is_notice"),
    [
        ("died after a task, before another began: killed by signal 9 (SIGKILL)", True),
        (f"could not unpickle a task, and died of {REASON}: exit status 1", False),
    ],
)
def test_what_a_worker_died_of_is_no_mere_notice(died, is_notice):
    cause = Stack("AttributeError", "Can't get attribute 'work'", (Hop(frames=(ENGINES,)),))
    pool = Stack("BrokenProcessPool", "a worker died", (Hop(engine="loky", died=(died,)),), cause=cause)

    assert (visible.noticed_by(pool, "user") is cause) == is_notice
    assert Trace(pool).root_cause is (pool if is_notice else cause)


ROOT = Frame("/main.py", 3, "work")


@pytest.mark.parametrize(
    ("frames", "mode", "count"),
    [((ENGINES, ENGINES), "user", 2), ((ENGINES, ROOT), "user", 0), ((ENGINES,), "all", 0), ((), "user", 0)],
)
def test_what_an_engine_did_as_it_came_upon_a_workers_error_is_counted(frames, mode, count):
    doings = Stack("StopIteration", "", (Hop(frames=frames),))
    hop = Hop(frames=(ROOT,), where="in a worker")

    assert visible.engines_own(Stack("KeyError", "'id'", (hop,), context=doings), mode) == count
    assert visible.engines_own(Stack("KeyError", "'id'", (hop,), cause=doings), mode) == 0
    assert visible.engines_own(Stack("KeyError", "'id'", (Hop(frames=(ROOT,)),), context=doings), mode) == 0
