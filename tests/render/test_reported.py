"""What error trackers are told besides frames."""

from __future__ import annotations

from types import SimpleNamespace

from autotb.render import reported
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Hop, Place, Stack

DRIVER = Hop(frames=(Frame("/home/me/train.py", 9, "<module>", module="__main__"),))
WORKER = Hop(
    frames=(
        Frame("/engine/pool.py", 1, "worker", kind="engine"),
        Frame("/home/me/work.py", 5, "score", module="work", qualname="Model.score"),
        Frame("/lib/json.py", 7, "loads", kind="stdlib", module="json"),
    ),
    where="in a worker\x1b[2J",
    pid=7,
    host="node1",
    call="score(item=1)",
    submitted=Place("/home/me/train.py", 9, "<module>"),
    died=("killed", "by the system"),
)


def tale(*hops):
    return SimpleNamespace(trace=Trace(Stack("ValueError", "no", hops)))


def test_the_innermost_worker_and_those_on_the_way():
    outer = Hop(where="in a thread", thread="t")
    told = reported.of([None, tale(DRIVER, outer, WORKER)])

    assert told == {
        "worker": "in a worker\\x1b[2J",
        "pid": 7,
        "host": "node1",
        "submitted": "/home/me/train.py:9 in <module>",
        "call": "score(item=1)",
        "died": "killed; by the system",
        "before": [{"worker": "in a thread", "thread": "t"}],
    }


def test_without_arguments():
    assert "call" not in reported.of([tale(DRIVER, WORKER)], with_call=False)


def test_nothing_of_what_has_no_worker():
    assert reported.of([None]) == reported.of([]) == reported.of([tale(DRIVER)]) == {}
    assert reported.fingerprint([None]) == reported.fingerprint([tale(DRIVER)]) == []


def test_the_users_innermost_function_in_the_worker():
    assert reported.fingerprint([tale(DRIVER, WORKER)]) == ["ValueError", "work", "Model.score"]


def test_a_librarys_where_there_is_no_other_and_a_file_for_a_main_module():
    library = Hop(frames=WORKER.frames[2:], where="in a worker")
    main = Hop(frames=(Frame("/home/me/main.py", 5, "score", module="__main__"),), where="in a worker")

    assert reported.fingerprint([tale(DRIVER, library)]) == ["ValueError", "json", "loads"]
    assert reported.fingerprint([tale(DRIVER, main)]) == ["ValueError", "main.py", "score"]
