"""The command of a bash app is read from Parsl's own frame, and its output from the files that the app was given."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import pytest

pytest.importorskip("parsl")

from parsl import File
from parsl.app.bash import remote_side_bash_executor

from autotb.engines.parsl import commands


def told(command, **given):
    try:
        remote_side_bash_executor(command, **given)
    except Exception as error:
        found = commands.of(error.__traceback__)
        for frame in (frame for frame, _ in traceback.walk_tb(error.__traceback__)):
            for name in ("std_out", "std_err"):
                if frame.f_locals.get(name) is not None:  # Parsl leaves it to be closed
                    frame.f_locals[name].close()
        return found
    raise AssertionError("it did not fail")


def fails(**_):
    return "echo said; echo password=hunter2 >&2; exit 3"


def test_the_command_and_the_last_lines(tmp_path):
    out, err = str(tmp_path / "out"), tmp_path / "err"
    found = told(fails, stdout=(out, "w"), stderr=File(str(err)))

    assert found["command"].startswith("echo said; echo password=") and "hunter2" not in str(found)
    assert found["files"] == {"stderr": str(err), "stdout": out}
    assert found["stdout"] == "said"
    assert found["stderr"].startswith("password=")


def test_only_the_end_of_a_long_output(tmp_path):
    found = told(lambda **_: "seq 1 20000; exit 1", stdout=str(tmp_path / "out"))

    assert found["stdout"].split("\n") == [str(number) for number in range(19991, 20001)]


def test_what_is_no_text_is_counted(tmp_path):
    err = str(tmp_path / "err")
    found = told(
        lambda **_: "head -c 30000 /dev/zero >&2; printf 'é and \\377 %080d\\n' 0; exit 2",
        stderr=err,
        stdout=str(tmp_path / "out"),
    )

    assert found["stderr"].endswith(" bytes that are no text)")
    assert found["stdout"].startswith("é and ")


@pytest.mark.parametrize(("given", "path"), [(None, ""), ("a", "a"), (("a", "w"), "a"), (Path("b"), "b"), (3, "")])
def test_where_the_output_goes(given, path):
    assert commands._path(given) == (os.path.abspath(path) if path else "")


def test_nothing_is_told_where_no_command_was_made():
    assert told(lambda: 3) == {}
    assert commands.of(None) == {}
    try:
        raise ValueError
    except ValueError:
        assert commands.of(sys.exc_info()[2]) == {}
