"""What tblib's pickles, and so Dask's, leave behind of builtin exceptions is set where they are read."""

import copyreg
import pickle
import types

import pytest

from autotb.record import pickling

TREE = {"v": 1, "type": "x", "message": "m", "hops": []}


def raised(call, *args):
    try:
        call(*args)
    except BaseException as error:
        return error
    return None


def decoded():
    return b"\xff".decode()


def caused():
    try:
        decoded()
    except UnicodeDecodeError as error:
        raise RuntimeError("outer") from error


def left(code):
    raise SystemExit(code)


CASES = {
    "decode": raised(decoded),
    "encode": raised("\u1234".encode, "ascii"),
    "translate": UnicodeTranslateError("ab", 0, 1, "why"),
    "syntax": raised(compile, "1 +", "<text>", "eval"),
    "stop": StopIteration([7]),
    "exit": raised(left, 3),
    "file": raised(open, "/not/there"),
    "plain": ValueError("bad"),
}


@pytest.fixture(autouse=True)
def tblib_pickles(monkeypatch):
    """As in a program that has imported distributed."""
    from tblib import pickling_support

    monkeypatch.setitem(copyreg.dispatch_table, types.TracebackType, pickling_support.pickle_traceback)
    for error in [*CASES.values(), RuntimeError()]:
        monkeypatch.setitem(copyreg.dispatch_table, type(error), pickling_support.pickle_exception)


def fields(error):
    names = ("object", "start", "reason", "msg", "filename", "lineno", "text", "value", "code", "errno")
    return {name: getattr(error, name) for name in names if hasattr(error, name)}


@pytest.mark.parametrize("case", CASES)
def test_a_builtin_exception_arrives_with_its_message_and_fields(case):
    error = CASES[case]
    alone = pickle.loads(pickle.dumps(pickling.packed(error, TREE)))
    beside, _ = pickle.loads(pickle.dumps(pickling.travelling(error, "", TREE)))

    for arrived in (alone, beside):
        assert (type(arrived), str(arrived), arrived.args) == (type(error), str(error), error.args)
        assert fields(arrived) == fields(error)


def test_so_does_its_cause():
    arrived = pickle.loads(pickle.dumps(pickling.packed(raised(caused), TREE)))

    assert str(arrived.__cause__) == "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"


def test_without_rescue_it_arrives_as_the_pickler_has_it(monkeypatch):
    monkeypatch.setenv("AUTOTB_RESCUE", "0")

    assert str(pickle.loads(pickle.dumps(pickling.packed(CASES["decode"], TREE)))) == ""


def test_where_python_pickles_it_nothing_is_set(monkeypatch):
    monkeypatch.delitem(copyreg.dispatch_table, UnicodeDecodeError)

    assert b"__set__" not in pickle.dumps(pickling.packed(CASES["decode"], TREE))
