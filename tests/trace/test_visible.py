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
