"""Short, safe text for values: no code of the user's, secrets masked, everything bounded."""

from __future__ import annotations

import dataclasses
import enum
import functools
from pathlib import Path

import pytest

from autotb.record import safe_repr


class Hostile:
    def __repr__(self):
        raise AssertionError("called")

    __str__ = __len__ = __iter__ = __repr__
    __hash__ = object.__hash__

    @property
    def shape(self):
        raise AssertionError("called")


@dataclasses.dataclass
class Config:
    rate: float
    api_key: str
    inner: object = None


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "value, text",
    [
        (1, "1"),
        ("a'b", '"a\'b"'),
        (None, "None"),
        ([1, "x", (2,)], "[1, 'x', (2,)]"),
        ({"a": 1, 2: [3]}, "{'a': 1, 2: [3]}"),
        (set(), "set()"),
        (frozenset({1}), "frozenset({1})"),
        (list(range(9)), "[0, 1, 2, 3, 4, 5, … 3 more]"),
        ([[[[1]]]], "[[[<list of 1>]]]"),
        (b"ab", "b'ab'"),
        (10**200, "<int of 665 bits>"),
        ("x" * 200, f"'{'x' * 120}'… (200 characters)"),
        (Colour.RED, "Colour.RED"),
        (Config(0.1, "k", {"token": 1}), "Config(rate=0.1, api_key=***, inner={'token': ***})"),
        (Path("/a/b"), "PosixPath('/a/b')"),
        (len, "<function len>"),
        (int, "<class int>"),
        (functools.partial(len), "<partial of len>"),
        ("postgres://bob:hunter2@db/x", "'postgres://bob:***@db/x'"),
        ("https://u:p@ss@host", "'https://u:***@host'"),
    ],
)
def test_brief(value, text):
    assert safe_repr.brief(value).replace(f"{__name__}.", "") == text


def test_no_code_of_the_users_runs():
    assert safe_repr.brief(Hostile()).endswith("Hostile object>")
    assert safe_repr.brief([Hostile()]).endswith("Hostile object>]")
    assert safe_repr.brief({Hostile(): 1}).startswith("{<")


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_passwd",
        "API_KEY",
        "apikey",
        "access_key",
        "auth_key",
        "secret",
        "Token",
        "dsn",
        "cookie",
        "authorization",
        "credentials",
        "private_key",
    ],
)
def test_secrets_are_masked_by_name(name):
    assert safe_repr.brief("value", name) == "***"
    assert safe_repr.brief({name: "value", "other": {name: 1}}) == "{" + f"'{name}': ***, 'other': {{'{name}': ***}}" + "}"


@pytest.mark.parametrize("name", ["key", "monkey", "keys", "path", "primary_key"])
def test_other_names_are_shown(name):
    assert safe_repr.brief("value", name) == "'value'"


def test_calls_name_their_arguments():
    def f(a, b, *rest, c=1):
        pass

    assert safe_repr.call(f, (1, 2, 3), {"c": 4}) == "f(a=1, b=2, 3, c=4)"
    assert safe_repr.call(functools.partial(f, 1), (2,), {"password": "x"}) == "f(a=1, b=2, password=***)"
    assert safe_repr.call(Config(1, "k").__init__, (1,)) == "Config.__init__(rate=1)"
    assert safe_repr.call(functools.lru_cache(f), (1, 2)) == "f(a=1, b=2)"
    assert len(safe_repr.call(f, tuple("x" * 500 for _ in range(30)))) < 1_100


def test_numpy_arrays_by_shape():
    import numpy

    assert safe_repr.brief(numpy.zeros((3, 4))) == "ndarray(shape=(3, 4), dtype=float64)"
    assert safe_repr.call(numpy.sum, ([1, 2],)) == "sum([1, 2])"
    assert safe_repr.call(numpy.add, (1, 2)) == "add(1, 2)"
