"""An exception is made fit to travel: piece by piece where it would not survive, as it is where it would."""

import copyreg
import pickle
import sys

import pytest

from autotb.record import pickling
from autotb.record.capture import KEY


@pytest.fixture(autouse=True)
def python_pickles(monkeypatch):
    """Exceptions pickle as Python has it: tblib, which others' tests load, pickles them in a way of its own."""
    for kind in list(copyreg.dispatch_table):
        if isinstance(kind, type) and issubclass(kind, BaseException):
            monkeypatch.delitem(copyreg.dispatch_table, kind)


class Bad(Exception):
    """Pickle gives its ``__init__`` one argument, where it wants two."""

    def __init__(self, code, path):
        super().__init__(f"{code} in {path}")
        self.code, self.path = code, path


class Slotted(Exception):
    __slots__ = ("where",)

    def __init__(self, where, _more):
        super().__init__("slotted")
        self.where = where


class Stubborn(Exception):
    def __reduce__(self):
        raise TypeError("I stay")


class Ends(Exception):
    def __reduce__(self):
        raise SystemExit(3)


class EndsThere(Exception):
    def __reduce__(self):
        return sys.exit, (4,)


def arrived(exc):
    """What unpickles, and what is told as lost."""
    fit, lost = pickling.fit_to_travel(exc)
    return pickle.loads(pickle.dumps(fit)), lost


def test_one_that_survives_goes_as_it_is():
    error = ValueError("plain")

    assert pickling.fit_to_travel(error) == (error, [])


def test_an_init_that_pickle_cannot_call_is_not_called():
    made, lost = arrived(Bad(3, "/data"))

    assert (type(made), made.args, made.code, made.path, lost) == (Bad, ("3 in /data",), 3, "/data", [])


def test_slots_arrive():
    assert arrived(Slotted("here", 1))[0].where == "here"


def test_a_field_that_cannot_travel_is_left_out_and_named():
    error = Bad(3, "/data")
    error.handle = sys.stderr
    made, lost = arrived(error)

    assert made.code == 3
    assert not hasattr(made, "handle")
    assert [text.partition(" ")[0] for text in lost] == ["handle"]


def test_an_argument_that_cannot_travel_becomes_text():
    made, lost = arrived(ValueError("bad", sys.stderr))

    assert made.args[0] == "bad"
    assert made.args[1].startswith("<")
    assert [text.partition(" ")[0] for text in lost] == ["args[1]"]


def test_a_class_that_has_no_name_of_its_own_becomes_its_nearest_base():
    class Local(KeyError):
        pass

    made, lost = arrived(Local("k"))

    assert type(made) is KeyError
    assert "Local, which cannot be pickled" in lost[0]


def test_an_exception_within_is_made_anew_too():
    made, lost = arrived(ValueError("outer", Stubborn("inner")))

    assert type(made.args[1]) is Stubborn
    assert made.args[1].args == ("inner",)
    assert lost == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups are new in 3.11")
def test_a_group_keeps_its_members():
    made, _ = arrived(ExceptionGroup("both", [Bad(1, "a"), Stubborn("b")]))  # noqa: F821

    assert [type(member) for member in made.exceptions] == [Bad, Stubborn]
    assert made.message == "both"


def test_what_ends_the_worker_ends_it_as_it_would_have():
    with pytest.raises(SystemExit):
        pickling.fit_to_travel(Ends("x"))


def test_what_would_end_the_driver_is_made_anew():
    made, _ = arrived(EndsThere("x"))

    assert type(made) is EndsThere


def test_without_rescue_it_goes_as_it_is(monkeypatch):
    monkeypatch.setenv("AUTOTB_RESCUE", "0")
    error = Bad(3, "/data")

    assert pickling.fit_to_travel(error)[0] is error


@pytest.mark.parametrize(
    "error",
    [ValueError("bad", 3), FileNotFoundError(2, "no such file", "a.csv"), KeyError("k"), ImportError("no", name="m", path="p")],
)
def test_a_simple_error_pickles_as_it_would_with_the_record_on_it(error):
    made = pickling.by_itself(error, {"v": 1})
    assert KEY not in vars(error)
    arrived = pickle.loads(pickle.dumps(made))
    vars(error)[KEY] = {"v": 1}
    alike = pickle.loads(pickle.dumps(error))
    assert (type(arrived), arrived.args, str(arrived), vars(arrived)) == (type(alike), alike.args, str(alike), vars(alike))
    assert len(pickle.dumps(made)) == len(pickle.dumps(error))


class _Reduced(Exception):
    def __reduce__(self):
        return type(self), ("made by its own way",)


def _with_list():
    error = ValueError("bad")
    error.rows = [1]
    return error


@pytest.mark.parametrize("error", [_Reduced("x"), ValueError([1]), _with_list(), KeyboardInterrupt(), SystemExit(3)])
def test_no_other_error_does(error):
    assert pickling.by_itself(error, {"v": 1}) is None


def test_one_whose_class_has_a_reducer_registered_does_not(monkeypatch):
    from multiprocessing.reduction import ForkingPickler

    assert pickling.by_itself(ValueError("x"), {"v": 1}) is not None
    monkeypatch.setitem(copyreg.dispatch_table, ValueError, lambda error: (ValueError, ("registered",)))
    assert pickling.by_itself(ValueError("x"), {"v": 1}) is None
    monkeypatch.delitem(copyreg.dispatch_table, ValueError)
    monkeypatch.setitem(ForkingPickler._extra_reducers, ValueError, lambda error: (ValueError, ("registered",)))
    assert pickling.by_itself(ValueError("x"), {"v": 1}) is None


def test_the_record_rides_along_and_needs_nothing_of_ours():
    tree = {"v": 1, "type": "Bad", "message": "m", "hops": []}
    data = pickle.dumps(pickling.travelling(Bad(3, "/data"), "text", tree))
    made, text = pickle.loads(data)

    assert (type(made), text, made.__dict__[KEY]) == (Bad, "text", tree)
    assert b"autotb.record" not in data
