"""An exception as plain data: its chain, its members, its notes, what a worker told of it, and where that comes to an end."""

from __future__ import annotations

import sys

import pytest

from autotb import engine_facts
from autotb.record import annotate, capture
from autotb.record.capture import KEY, VERSION, Capture


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    monkeypatch.setattr(annotate, "_texts", True)


def tree(exc):
    return Capture(context=0, local_variables=False).tree(exc)


def chain(length, link="__cause__"):
    """Numbered exceptions, the root last; returned is the first."""
    made = [ValueError(str(number)) for number in range(length)]
    for outer, inner in zip(made, made[1:], strict=False):
        setattr(outer, link, inner)
    return made[0]


def messages(found):
    said = []
    while found is not None:
        said.append(found["message"])
        found = found.get("cause") or found.get("context")
    return said


def recorded(exc, **record):
    dict.__setitem__(capture.fields_of(exc), KEY, {"v": VERSION, "hops": [], **record})
    return exc


def test_type_and_message():
    found = tree(ValueError("no"))

    assert (found["v"], found["type"], found["message"], found["hops"]) == (VERSION, "ValueError", "no", [])


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_message_that_cannot_be_had_is_pythons_substitute(kind):
    class Bad(Exception):
        def __str__(self):
            raise kind

    assert tree(Bad())["message"] == "<exception str() failed>"


def test_a_cause_hides_the_context_and_from_none_hides_it_too():
    exc = ValueError("outer")
    exc.__context__ = KeyError("context")
    assert tree(exc)["context"]["type"] == "KeyError"

    exc.__suppress_context__ = True
    assert "context" not in tree(exc)
    assert tree(exc)["suppress"] is True

    exc.__cause__ = TypeError("cause")
    assert tree(exc)["cause"]["type"] == "TypeError"
    assert "context" not in tree(exc)


def test_where_the_middle_was_left_out_the_link_is_the_weakest_of_those_in_between():
    first = chain(200)
    at = first
    for _ in range(capture.MAX_CHAIN // 2 + 3):
        at = at.__cause__
    at.__context__, at.__cause__ = at.__cause__, None
    at.__suppress_context__ = False
    found = tree(first)
    while not found.get("skipped"):
        found = found["cause"]

    assert found["context"]["message"] == "175"
    assert "cause" not in found


def test_a_circle_ends():
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one

    assert messages(tree(one)) == ["one", "two"]


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_of_a_long_chain_the_middle_is_counted(link):
    found = tree(chain(200, link))
    said = messages(found)

    assert len(said) == capture.MAX_CHAIN + 1
    assert (said[0], said[-1]) == ("0", "199")
    counts = []
    while found is not None:
        counts.append(found.get("skipped", 0))
        found = found.get("cause") or found.get("context")
    assert len(said) + sum(counts) == 200


def test_a_chain_as_long_as_is_shown_is_whole():
    found = tree(chain(capture.MAX_CHAIN))

    assert messages(found) == [str(number) for number in range(capture.MAX_CHAIN)]


def test_notes_are_kept_each_once_and_the_middle_counted():
    exc = ValueError()
    exc.__dict__["__notes__"] = ["same", "same", *map(str, range(200))]
    found = tree(exc)

    assert found["notes"][:2] == ["same", "0"]
    assert found["notes"][-1] == "199"
    assert found["unnoted"] == 202 - capture.MAX_NOTES


def test_what_was_set_in_place_of_notes_is_told_as_python_tells_it():
    exc = ValueError()
    exc.__dict__["__notes__"] = "not a list"

    assert tree(exc)["notes"] == ["'not a list'"]


group = pytest.mark.skipif(sys.version_info < (3, 11), reason="groups are new in 3.11")


@group
def test_a_groups_members():
    members = [ValueError("a"), KeyError("b")]
    found = tree(ExceptionGroup("both", members))  # noqa: F821

    assert [member["type"] for member in found["members"]] == ["ValueError", "KeyError"]


@group
def test_members_of_a_large_group_that_are_alike_are_counted():
    members = [*[ValueError("same") for _ in range(150)], KeyError("other")]
    found = tree(ExceptionGroup("many", members))["members"]  # noqa: F821

    assert [(member["type"], member.get("alike", 0)) for member in found] == [("ValueError", 149), ("KeyError", 0)]


@group
def test_members_that_all_differ_are_kept_up_to_a_bound_and_the_rest_counted():
    found = tree(ExceptionGroup("many", [ValueError(number) for number in range(150)]))  # noqa: F821

    assert len(found["members"]) == capture.MAX_MEMBERS
    assert found["unlisted"] == 150 - capture.MAX_MEMBERS


@group
def test_a_member_that_is_there_twice_is_told_once():
    exc = chain(3)
    found = tree(ExceptionGroup("both", [exc, exc]))["members"]  # noqa: F821

    assert [messages(member) for member in found] == [["0", "1", "2"], ["0"]]


def test_what_the_worker_told_stands_where_the_exception_had_to_be_rebuilt():
    exc = recorded(KeyError("k"), type="mine.Local", message="as it was", lost=["Local"])
    found = tree(exc)

    assert (found["type"], found["message"], found["lost"]) == ("mine.Local", "as it was", ["Local"])


def test_a_message_that_changed_on_the_way_is_the_one_that_is_here():
    assert tree(recorded(ValueError("now"), type="ValueError", message="then"))["message"] == "now"


def test_a_message_that_an_engine_has_left_behind_is_the_workers():
    emptied = UnicodeDecodeError.__new__(UnicodeDecodeError)  # as tblib makes it, whose `str` is nothing
    record = recorded(emptied, type="UnicodeDecodeError", message="'utf-8' codec can't decode byte 0xff")

    assert tree(record)["message"] == "'utf-8' codec can't decode byte 0xff"


def test_the_causes_of_a_workers_exception_are_the_workers():
    exc = recorded(
        ValueError("x"), type="ValueError", message="x", cause={"v": VERSION, "type": "OSError", "message": "c", "hops": []}
    )

    assert tree(exc)["cause"]["type"] == "OSError"


def test_what_a_wrapper_says_is_told_by_its_record():
    exc = recorded(ValueError("now"), type="ValueError", message="the worker's")
    engine_facts.register(openers=(lambda exc: engine_facts.Opened(),))

    assert tree(exc)["message"] == "the worker's"


@group
def test_members_that_have_their_own_traceback_are_told_of_themselves():
    def member(raises):
        exc = KeyError("k")
        if raises:
            try:
                raise exc
            except KeyError:
                pass
        return exc

    worker_said = [{"v": VERSION, "type": "OSError", "message": "the worker's", "hops": []}]
    told = {"type": "ExceptionGroup", "message": "g (1 sub-exception)", "members": worker_said}
    found = [tree(recorded(ExceptionGroup("g", [member(raises)]), **told))["members"][0]["type"] for raises in (True, False)]  # noqa: F821

    assert found == ["KeyError", "OSError"]


class RemoteText(Exception):
    """A worker's traceback as text."""

    def __init__(self, tb):
        self.tb = tb


@pytest.fixture
def texts():
    engine_facts.register(remote_texts=(f"{__name__}.RemoteText",))


def test_a_cause_that_is_a_workers_text_is_its_text(texts):
    exc = ValueError("x")
    exc.__cause__ = RemoteText('"""\nTraceback\n"""')
    found = tree(exc)

    assert found["text"] == "Traceback"
    assert "cause" not in found


def test_a_record_says_it_better_than_the_text(texts):
    exc = recorded(ValueError("x"), type="ValueError", message="x")
    exc.__cause__ = RemoteText("Traceback")

    assert "text" not in tree(exc)


def test_a_wrapper_that_only_passes_an_error_on_is_not_told():
    root, wrapper = ValueError("root"), RuntimeError("a dependency failed")
    engine_facts.register(
        openers=(lambda exc: engine_facts.Opened(roots=(root,), broken=("step 2",)) if exc is wrapper else None,)
    )
    found = tree(wrapper)

    assert (found["type"], found["message"], found["broken"]) == ("ValueError", "root", ["step 2"])


def test_a_light_record_is_unfolded():
    exc = ValueError("x")
    base = {"type": "ValueError", "engine": "e", "frames": []}
    dict.__setitem__(capture.fields_of(exc), KEY, (VERSION, base, "f(1)"))

    assert capture.attached(exc) == {
        "v": VERSION,
        "type": "ValueError",
        "message": "x",
        "cut": None,
        "hops": [{"engine": "e", "frames": [], "call": "f(1)"}],
    }


@pytest.mark.parametrize(
    "record",
    [None, "text", {}, {"v": 2, "hops": []}, {"v": True, "hops": []}, (2, {}, None), (VERSION, None, None), (VERSION, {})],
)
def test_a_record_of_another_form_is_none(record):
    exc = ValueError()
    dict.__setitem__(capture.fields_of(exc), KEY, record)

    assert capture.attached(exc) is None


def test_a_record_of_somebody_elses_making_is_made_fit_once():
    exc = recorded(ValueError("x"), hops=[5, {"engine": 3}])
    first = capture.attached(exc)

    assert all(type(hop) is dict for hop in first["hops"])
    assert capture.attached(exc) is first


def test_the_asking_line_is_told_where_no_frame_of_the_users_is():
    exc = recorded(ValueError("x"), type="ValueError", message="x", asked={"path": "/main.py", "line": 3, "name": "main"})
    hops = tree(exc)["hops"]

    assert [(frame["path"], frame["line"]) for frame in hops[0]["frames"]] == [("/main.py", 3)]
