"""Under GitHub Actions, and to other programs that collect what is written: one annotation, and what their patterns find."""

from __future__ import annotations

import json
import re

import pytest

from autotb.render import github
from autotb.trace.parts import Frame, Hop, Stack
from tests.render.stories import WORKER, ZERO, frame, plain_error, trace


@pytest.fixture(autouse=True)
def _in_a_job(monkeypatch):
    monkeypatch.setattr(github, "_said", set())
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", "/home/runner/work/project/project")


def test_the_roots_line_of_the_users():
    assert github.annotation(trace(ZERO)) == "::error file=/job.py,line=2::ZeroDivisionError: division by zero\n"


def test_once():
    assert [bool(github.annotation(trace(ZERO))) for _ in range(2)] == [True, False]


def test_no_more_than_github_shows():
    lines = [github.annotation(trace(Stack("E", str(number), (WORKER,)))) for number in range(12)]

    assert sum(map(bool, lines)) == github.MOST


@pytest.mark.parametrize("value", ["", "1", "false"])
def test_elsewhere_nothing(monkeypatch, value):
    monkeypatch.setenv("GITHUB_ACTIONS", value)

    assert github.annotation(trace(ZERO)) == ""


LIBRARY = Frame("/lib/json.py", 3, "dumps", kind="library")


@pytest.mark.parametrize(
    "stack",
    [
        plain_error(),
        Stack("E", "", (Hop((LIBRARY,), where="in a worker"),)),
        Stack("E", "", (Hop((Frame("<string>", 3, "f"),), where="in a worker"),)),
        Stack("E", "", (Hop(where="in a worker"),)),
    ],
    ids=["no worker", "no frame of the user's", "no file", "no frame"],
)
def test_none_of_an_error_without(stack):
    assert github.annotation(trace(stack)) == ""


def test_the_cause_is_told():
    stack = Stack("Failed", "a task", (Hop((frame(),)),), cause=Stack("E", "x", (Hop((frame(line=7),), where="in a worker"),)))

    assert github.annotation(trace(stack)) == "::error file=/job.py,line=7::E: x\n"


def test_of_a_group_the_first_member():
    member = Stack("E", "x", (Hop((frame(line=7),), where="in a worker"),))

    assert github.annotation(trace(Stack("G", "g", (Hop((frame(),)),), members=(member, plain_error())))).endswith(
        ",line=7::E: x\n"
    )


def test_what_has_a_meaning_to_github_is_escaped():
    place = Frame("/home/runner/work/project/project/a,b:c%/job.py", 3, "f")
    stack = Stack("E", "100 %\r\nsecond, line: ::warning::x", (Hop((place,), where="in a worker"),))

    assert github.annotation(trace(stack)) == (
        "::error file=a%2Cb%3Ac%25/job.py,line=3::E: 100 %25\\x0d%0Asecond, line: ::warning::x\n"
    )


CODE = """\
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


def ratio(clicks, views):
    if views is None:
        raise ValueError('no views')
    return clicks / views


if __name__ == "__main__":
    try:
        with ProcessPoolExecutor(1) as pool:
            pool.submit(ratio, 3, *map(eval, sys.argv[1:])).result()
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        raise
"""

# setup-python's own problem matcher, PyCharm's console, and the rules by which fluent-bit's parser "python" makes lines one entry.
MATCHER = re.compile(r'^\s*File\s"(.*)",\sline\s(\d+),\sin\s(.*)$', re.M)
MESSAGE = re.compile(r"^\s*raise\s(.*)\('(.*)'\)$", re.M)
PYCHARM = re.compile(r'File "([^"]+)", line (\d+)')


def entries(text):
    """As many as fluent-bit makes of it."""
    count, state = 0, ""
    for line in text.splitlines():
        if state == "python" and re.match(r"[\t ]+File ", line):
            state = "code"
        elif state == "code" and line.strip():
            state = "python"
        elif state == "python" and re.match(r"(?:[^\s.():]+\.)*[^\s.():]+:", line):
            state = ""
        else:
            count += 1
            state = "python" if line == "Traceback (most recent call last):" else ""
    return count


def users(pattern, text):
    return {found.groups()[:2] for found in pattern.finditer(text) if found[1].endswith("main.py")}


@pytest.mark.parametrize("argument", ["0", "None"])
def test_who_reads_the_text_finds_what_there_is_without(run, argument):
    env = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": ""}
    ours, bare = run(CODE, argument, **env), run(CODE, argument, autotb="0", **env)

    for pattern in (MATCHER, PYCHARM):
        assert users(pattern, ours.stderr) == users(pattern, bare.stderr)
    assert set(MESSAGE.findall(ours.stderr)) == set(MESSAGE.findall(bare.stderr))
    assert re.search(r"^Traceback \(most recent call last\):$", ours.stderr, re.M)
    assert entries(ours.stderr) <= entries(bare.stderr)
    assert len(ours.lines) <= len(bare.lines)
    assert (ours.status, ours.last) == (bare.status, bare.last)


def test_one_annotation_in_the_checkout(run, tmp_path):
    ours = run(CODE, "0", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(tmp_path))

    assert ours.stderr.count("::error ") == 1
    assert ours.lines[0] == "::error file=main.py,line=8::ZeroDivisionError: division by zero"


def test_a_plain_error_stays_pythons_own(run, tmp_path):
    env = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path)}
    texts = {run("1 / 0\n", autotb=autotb, **env).stderr for autotb in "01"}

    assert len(texts) == 1 and "::error" not in texts.pop()


def test_json_stays_json(run, tmp_path):
    ran = run(CODE, "0", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(tmp_path), AUTOTB_STYLE="json")

    assert all(json.loads(line)["schema"] for line in ran.lines)
