"""An exception's last lines are Python's own, had without asking an object of the user's."""

from __future__ import annotations

import sys
import traceback
import types

import pytest

from autotb.record import last_lines


def raised(source, **names):
    try:
        exec(f"def inner():\n    {source}\ninner()", {"__name__": "mine", **names})
    except Exception as error:
        return error


def lines(exc):
    return last_lines.of(exc, str(exc))


class Plain:
    colour = 1


class Answers(Plain):
    """Which runs code of its own to tell what it has."""

    def __dir__(self):
        raise AssertionError

    def __getattr__(self, name):
        raise AttributeError(name)


@pytest.mark.parametrize(
    ("source", "suggestion"),
    [
        ("cuont", ". Did you mean: 'count'?"),
        ("value.colou", ". Did you mean: 'colour'?"),
        ("kind.colou", ". Did you mean: 'colour'?"),
        ("prnt", ". Did you mean: 'print'?"),
    ],
)
def test_what_was_meant(source, suggestion):
    (line,) = lines(raised(source, count=1, value=Plain(), kind=Plain))

    assert line.endswith(suggestion)


@pytest.mark.parametrize("source", ["nothing_like_it", "value.nothing_like_it", "{}['k']", "1 / 0", "raise ValueError('x')"])
def test_type_and_message_alone_need_no_lines(source):
    assert lines(raised(source, value=Plain())) is None


def test_an_object_that_answers_for_itself_is_not_asked():
    exc = AttributeError("colou")
    exc.__class__.__dict__["obj"].__set__(exc, Answers())
    exc.__class__.__dict__["name"].__set__(exc, "colou")

    assert (lines(exc) is None) is last_lines.HAS_SUGGESTIONS  # before, the interpreter looks at what stands in the classes


@pytest.mark.skipif(not last_lines.HAS_SUGGESTIONS, reason="the interpreter asks it")
def test_names_of_a_mapping_of_the_users_are_not_listed():
    class Names(dict):
        def __iter__(self):
            raise AssertionError

    try:
        eval("cuont", {}, Names(count=1))
    except NameError as error:
        assert lines(error) is None


suggests = pytest.mark.skipif(not last_lines.HAS_SUGGESTIONS, reason="before, names of modules and of self are not suggested")


@suggests
def test_a_name_that_self_has_is_meant_by_it():
    (line,) = lines(method_error(Plain))

    assert line.endswith(". Did you mean: 'self.colour'?")


@suggests
def test_a_self_that_answers_for_itself_is_not_asked():
    assert lines(method_error(Answers)) is None


@suggests
def test_a_descriptor_of_the_users_is_not_asked():
    class Asked:
        def __get__(self, instance, owner):
            raise AssertionError

    assert lines(method_error(type("Holder", (), {"colour": Asked()}))) is None


def method_error(kind):
    names = {}
    exec("def method(self):\n    colour", names)
    try:
        names["method"](kind())
    except NameError as error:
        return error


@suggests
@pytest.mark.parametrize(
    ("source", "meant"), [("from sys import pathh", "path"), ("from no_such import x", None), ("import no_such", None)]
)
def test_a_name_that_a_loaded_module_has(source, meant):
    found = lines(raised(source))

    assert (
        found == [f"ImportError: cannot import name 'pathh' from 'sys' (unknown location). Did you mean: '{meant}'?"]
        if meant
        else not found
    )


@suggests
def test_a_module_that_is_gone_is_not_imported_again(monkeypatch):
    monkeypatch.setitem(sys.modules, "gone", types.ModuleType("gone"))
    error = raised("from gone import x")
    del sys.modules["gone"]

    assert lines(error) is None


def syntax_error(**fields):
    held = {
        "msg": "bad",
        "filename": "a.py",
        "lineno": 1,
        "offset": 3,
        "text": "a = ",
        "end_lineno": 1,
        "end_offset": 4,
        **fields,
    }
    return SyntaxError(held.pop("msg"), tuple(held.values()))


@pytest.mark.parametrize("kind", [SyntaxError, IndentationError, TabError])
def test_a_syntax_errors_lines_are_pythons(kind):
    exc = kind(*syntax_error().args)
    python = "".join(traceback.format_exception_only(kind, exc)).rstrip("\n").split("\n")

    assert lines(exc) == python


def test_a_class_of_the_users_bears_its_own_name():
    class Mine(SyntaxError):
        pass

    found = lines(Mine(*syntax_error().args))

    assert found[-1] == f"{__name__}.test_a_class_of_the_users_bears_its_own_name.<locals>.Mine: bad"


def test_carets_end_with_the_line():
    assert max(map(len, lines(syntax_error(end_offset=1 << 40)))) < 100


@pytest.mark.parametrize("field", ["lineno", "text", "filename"])
def test_a_field_of_another_type_leaves_type_and_message(field):
    assert lines(syntax_error(**{field: object()})) is None


@pytest.mark.parametrize(
    ("one", "other", "cost"),
    [
        ("same", "same", 0),
        ("Same", "same", last_lines._CASE),
        ("some", "same", last_lines._MOVE),
        ("sme", "same", last_lines._MOVE),
        ("same", "sme", last_lines._MOVE),
        ("asme", "same", 2 * last_lines._MOVE),
        ("ab", "xyz", sys.maxsize),  # more than what was allowed
        ("a", "abcdefgh", sys.maxsize),
    ],
)
def test_what_it_costs_to_make_one_name_of_another(one, other, cost):
    assert last_lines._cost(one, other, 5) == cost


@pytest.mark.parametrize(
    ("places", "near"),
    [
        ([["count", "counter"]], "count"),
        ([["xyz"], ["count"]], "count"),
        ([["cuonts"], ["count"]], "cuonts"),  # the nearest place first
        ([["cuont"]], ""),  # itself
        ([[5, "count"]], "count"),
        ([["x" * 50]], ""),
        ([[f"coun{number}" for number in range(last_lines._MOST_NAMES)]], ""),  # too many to look at
    ],
)
def test_the_nearest_name_of_the_nearest_place(places, near):
    assert last_lines._near("cuont", places) == (f". Did you mean: '{near}'?" if near else "")
