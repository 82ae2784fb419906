"""What is shown of a story, and what is folded."""

import pytest

from autotb.trace import visible
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Gap, Hop, Stack

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


SOCKET = Frame("/lib/socket.py", 7, "connect", module="socket", kind="stdlib")
CLIENT = Frame("/site-packages/web/client.py", 5, "send", module="web.client", kind="library")


def caused(*frames, **more):
    return Stack("OSError", "refused", (Hop(frames=frames),), **more)


def test_a_cause_that_libraries_caught_in_their_own_code_is_one_line():
    found = visible.folded_cause(caused(CLIENT, SOCKET, Gap(repeated=2, cycle=1)), "user", bare=False)

    assert str(found.line) == "… 4 frames in web and socket, last at socket.py:7 in connect"
    assert found.first.before is None


def test_the_same_error_that_is_raised_anew_is_told_once():
    other = Stack("ValueError", "first of all", (Hop(frames=(CLIENT,)),))
    again = caused(CLIENT, cause=caused(SOCKET, context=caused(SOCKET, context=other)))
    found = visible.folded_cause(again, "user", bare=False)

    assert str(found.line) == "… 3 frames in socket and web, last at client.py:5 in send"
    assert found.first.before is other


@pytest.mark.parametrize(
    ("frames", "lines"),
    [
        (
            (CLIENT, CLIENT, SOCKET),
            ["… 2 frames in web, last at client.py:5 in send", "… 1 frame in socket, last at socket.py:7 in connect"],
        ),
        ((CLIENT, SOCKET, CLIENT), ["… 3 frames in web and socket, last at client.py:5 in send"]),
    ],
)
def test_libraries_that_call_one_another_to_and_fro_are_one_line(frames, lines):
    (view,), _ = visible.view(Stack("ValueError", "bad", (Hop(frames=(ROOT, *frames, ROOT)),)))

    assert [str(item) for item in view.items[1:-1]] == lines


def test_of_many_libraries_the_first_are_named():
    many = [Frame(f"/site-packages/{name}/it.py", 1, "it", module=f"{name}.it", kind="library") for name in "abcdefa"]
    (view,), _ = visible.view(Stack("ValueError", "bad", (Hop(frames=(ROOT, *many, ROOT)),)))

    assert str(view.items[1]) == "… 7 frames in a, b, c, d and 2 more, last at it.py:1 in it"


@pytest.mark.parametrize(
    "stack",
    [
        caused(CLIENT, ROOT),
        caused(),
        caused(CLIENT, lost=("an attribute",)),
        caused(CLIENT, members=()),
        Stack("OSError", "refused", (Hop(frames=(CLIENT,), where="in a worker"),)),
    ],
)
def test_a_cause_that_says_more_than_its_frames_is_shown(stack):
    assert visible.folded_cause(stack, "user", bare=False) is None


def test_every_frame_is_shown_where_that_is_wanted():
    assert visible.folded_cause(caused(CLIENT), "all", bare=False) is None
    assert visible.folded_cause(caused(CLIENT), "user", bare=True) is None


@pytest.mark.parametrize(
    ("frame", "package"),
    [
        (Frame("/v/lib/python3.11/site-packages/pandas/core/frame.py", 1, "f", kind="library"), "pandas"),
        (Frame("/v/lib/python3.11/site-packages/six.py", 1, "f", kind="library"), "six"),
        (Frame("C:\\v\\Lib\\site-packages\\pandas\\x.py", 1, "f", kind="library"), "pandas"),
        (Frame("pandas/_libs/lib.pyx", 1, "f", kind="library"), "pandas"),
        (Frame("/usr/lib/python3.11/json/decoder.py", 1, "f", kind="stdlib"), "json"),
        (Frame("/usr/lib/python3.11/socket.py", 1, "f", kind="stdlib", module="?"), "socket"),
        (Frame("/elsewhere/x.py", 1, "f", kind="library"), "x"),
        (Frame("/elsewhere/x.py", 1, "f", kind="library", module="box.x"), "box"),
    ],
)
def test_a_package_is_known_by_the_path_of_a_frame_that_was_read_in_a_text(frame, package):
    assert visible._package(frame) == package


def test_how_a_pickler_came_upon_what_it_could_not_pickle_is_counted():
    save = Frame("/lib/pickle.py", 3, "save", module="pickle", kind="stdlib")
    stack = Stack("TypeError", "cannot pickle it", (Hop(frames=(ROOT, save, save)),), culprit="x → generator")
    (view,), hidden = visible.view(stack)

    assert ([item.frame for item in view.items], hidden) == ([ROOT], 2)
