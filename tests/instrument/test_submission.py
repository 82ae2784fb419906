"""The line of submission is remembered on what is made there, and noted on the error once it is raised."""

from __future__ import annotations

import gc
import weakref

import pytest

from autotb.instrument import submission
from autotb.record import annotate, callsite
from autotb.record.capture import KEY, VERSION, attached


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(annotate, "_texts", True)


class Task:
    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ()


def line(site):
    return callsite.decode(site)["name"]


def engine(wrapped, *args):
    """As the code that stands in for an engine's function calls the wrapper."""
    return wrapped(*args)


def test_what_submits_gives_an_object_that_remembers_the_line():
    task = engine(submission.on_result(Task), 3)

    assert task.value == 3
    assert line(task._autotb_site) == "test_what_submits_gives_an_object_that_remembers_the_line"


def test_what_is_made_at_submission_remembers_the_line():
    task = Task.__new__(Task)
    engine(submission.on_self(Task.__init__), task, 3)

    assert task.value == 3
    assert line(task._autotb_site) == "test_what_is_made_at_submission_remembers_the_line"


def test_an_object_that_takes_no_attributes_is_submitted_all_the_same():
    assert type(engine(submission.on_result(Slotted))) is Slotted


def test_a_failing_submission_fails_as_the_engines():
    with pytest.raises(ZeroDivisionError):
        engine(submission.on_result(lambda: 1 / 0))


def noted(kinds=BaseException, but=(), error=ValueError):
    """What is noted where asking ends with ``error``."""
    notes = []

    def ask(asked):
        raise error

    wrapped = submission.when_raised(lambda *args: notes.append(args), kinds, but)(ask)
    with pytest.raises(error):
        wrapped("asked")
    return notes


def test_what_asking_raises_is_noted_with_what_was_asked():
    ((error, asked),) = noted()

    assert (type(error), asked) == (ValueError, "asked")


def test_errors_of_other_kinds_pass_by():
    assert noted(kinds=KeyError) == []
    assert noted(but=ValueError) == []
    assert noted(kinds=Exception, error=KeyboardInterrupt) == []


def test_a_note_that_fails_leaves_the_error_to_go_on():
    def note(error, asked):
        raise TypeError

    with pytest.raises(ZeroDivisionError):
        submission.when_raised(note)(lambda asked: 1 / 0)(1)


def test_what_a_signals_handler_knew_meanwhile_is_taken_over():
    """It raises its own error of the worker's death, in the midst of the note or before it has begun."""
    story = {"v": VERSION, "type": "Killed", "message": "", "hops": [{"engine": "pool"}]}

    def interrupted(error):
        interruption = RuntimeError("a worker was killed")
        annotate.attach(interruption, story)
        raise interruption

    @submission.when_raised(interrupted)
    def ask():
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError) as raised:
        engine(ask)
    assert attached(raised.value)["hops"] == story["hops"]


def test_a_value_passes_and_nothing_is_noted():
    assert submission.when_raised(lambda *args: 1 / 0)(lambda asked: asked + 1)(1) == 2


def test_the_errors_traceback_keeps_nothing_of_the_asked_alive():
    def ask(task):
        del task
        raise ValueError

    task = Task(1)
    reference = weakref.ref(task)
    try:
        submission.when_raised(lambda *args: None)(ask)(task)
    except ValueError as error:
        del task
        gc.collect()
        assert error.__traceback__ is not None
        assert reference() is None


def recorded():
    error = ValueError()
    error.__dict__[KEY] = {"v": VERSION, "hops": [{"engine": "e"}]}
    return error


def test_the_remembered_line_is_noted_on_the_error():
    task, error = engine(submission.on_result(Task), 3), ValueError()
    submission.note_site(error, task)

    assert error.__dict__[KEY]["submitted"]["name"] == "test_the_remembered_line_is_noted_on_the_error"


def test_an_object_that_remembers_none_is_not_asked_by_its_class():
    class Answers:
        def __getattr__(self, name):
            raise AssertionError(name)

    error = ValueError()
    submission.note_site(error, Answers())

    assert KEY not in error.__dict__


@pytest.mark.parametrize("note", [submission.note_site_of_worker, submission.note_caller])
def test_an_error_of_the_engines_own_is_none_of_the_tasks(note):
    task, error = engine(submission.on_result(Task), 3), TimeoutError()
    note(error, task)

    assert KEY not in error.__dict__


def test_a_workers_error_has_the_remembered_line():
    task, error = engine(submission.on_result(Task), 3), recorded()
    submission.note_site_of_worker(error, task)

    assert error.__dict__[KEY]["hops"][0]["submitted"]["name"] == "test_a_workers_error_has_the_remembered_line"
