"""Whose code made a call: known by the code object itself, which is not hashed, for that takes longer the longer it is."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from autotb.record import callsite


def test_code_is_known_by_itself_and_lives_as_long_as_that():
    source = "import sys\nfound.append(sys._getframe())\n"
    frames = []
    for _ in range(2):  # equal, and not the same
        exec(compile(source, "/program.py", "exec"), {"__name__": "__main__", "found": frames})
    one, other = (frame.f_code for frame in frames)
    assert one == other
    assert [callsite.whose(frame) for frame in frames] == [callsite.USER, callsite.USER]
    assert callsite._users[id(one)][0] is one
    assert callsite._users[id(other)][0] is other
    assert all(id(code) == key for key, (code, _) in callsite._users.items())


def test_what_is_known_is_bounded():
    for at in range(2_100):
        found = []
        exec(compile("import sys\nfound.append(sys._getframe())\n", f"/program{at}.py", "exec"), {"found": found})
        callsite.whose(found[0])
    assert len(callsite._users) <= 2_001
    assert callsite.whose(sys._getframe()) == callsite.USER


def test_a_site_is_read_by_name_wherever_it_is_kept():
    """Where it is made and read by its parts, these are the business of one module."""
    package = Path(callsite.__file__).parent.parent
    counted = []
    for path in package.rglob("*.py"):
        if path.name != "callsite.py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                whole = node.value if isinstance(node, (ast.Subscript, ast.Starred)) else None
                text = ast.unparse(whole) if whole is not None else ""
                if text.rpartition(".")[2] in ("site", "found_site", "_autotb_site") or text.startswith("callsite.here("):
                    counted.append((path.name, node.lineno))

    assert counted == []


def test_a_site_has_one_shape():
    frame = sys._getframe()
    names = {}
    exec(compile("def call(here):\n    return here(1)\n", "/program.py", "exec"), names)
    site = names["call"](callsite.here)

    assert (callsite.code_of(site).co_name, callsite.batch_of(site), callsite.by_user(site)) == ("call", None, False)
    assert callsite.decode(site) == {"path": "/program.py", "line": 2, "name": "call"}
    given = callsite.in_batch(site, "batch", True)
    assert (callsite.code_of(given), callsite.offset_of(given)) == (callsite.code_of(site), callsite.offset_of(site))
    assert (callsite.batch_of(given), callsite.by_user(given)) == ("batch", True)
    assert callsite.decode(callsite.at(frame.f_code, frame.f_lasti))["name"] == frame.f_code.co_name


def test_the_same_line_in_a_loop_is_the_same_site():
    first, second = [callsite.here(1) for _ in range(2)]

    assert callsite.is_same(first, second)
    assert not callsite.is_same(first, callsite.here(1))


class Model:
    def fit(self):
        return [sys._getframe() for _ in "a"][0], {sys._getframe() for _ in "a"}.pop(), next(sys._getframe() for _ in "a")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="from then on a code object knows what it stands in")
def test_a_comprehension_is_the_function_that_it_stands_in():
    frames = Model().fit()
    named = [callsite.decode(callsite.at(frame.f_code, frame.f_lasti))["name"] for frame in frames]
    assert named == ["fit", "fit", "fit"]
    code = compile("[f() for f in calls]\n(lambda: f())()", "main.py", "exec")
    for each in (each for each in code.co_consts if hasattr(each, "co_name")):  # of a module: no function is there
        assert callsite.decode(callsite.at(each, 0))["name"] == each.co_name
