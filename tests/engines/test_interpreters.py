"""Interpreters of this process (PEP 734), on CPython 3.14 and newer."""

from __future__ import annotations

import re
import sys

import pytest

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import sys
from concurrent import interpreters

import tasks


def called(task):
    interpreter = interpreters.create()
    try:
        return interpreter.call(task, 0)
    finally:
        interpreter.close()


def executed(task):
    interpreter = interpreters.create()
    try:
        return interpreter.exec(f"import sys; sys.path[:0] = {sys.path[:1]!r}; import tasks; tasks.{task.__name__}(0)")
    finally:
        interpreter.close()


if __name__ == "__main__":
    import cases

    cases.run(globals())
"""

ENGINES = {
    "interpreters": Engine(since=(3, 14)),
}


@pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters is of Python 3.14")
class TestInterpreters(kit.Standard):
    MAIN = MAIN
    WAYS = {}
    MORE = {"called:score": ["called", "score", "divide"], "executed:score": ["executed", "score", "divide"]}
    OWN = ("concurrent/interpreters/",)
    NO_CALL = ("called", "executed")

    def test_the_story_names_the_interpreter_and_ends_with_the_error(self, program):
        text = program.story("called:score")

        assert "in another interpreter" in text
        assert re.findall(r"^.*ExecutionFailed.*$", text, re.M) == ["raised as concurrent.interpreters.ExecutionFailed"]

    def test_exit_status_and_the_users_own_output(self, tmp_path):
        ours = kit.Program(MAIN).run(tmp_path, "!called:says")

        assert ours.status == 1
        assert ours.last == kit.ZERO
