"""One line of CPython's traceback text."""

import pytest

from autotb.record import cpython_text


@pytest.mark.parametrize(
    ("line", "path", "number", "name"),
    [
        ('  File "/app/train.py", line 9, in score', "/app/train.py", "9", "score"),
        ('  File "/app/train.py", line 9 in score', "/app/train.py", "9", "score"),  # faulthandler's
        ('  File "/app/conf.py", line 3', "/app/conf.py", "3", None),
        ('  File "/a "b", line 1/c.py", line 12, in <module>', '/a "b", line 1/c.py', "12", "<module>"),
    ],
)
def test_a_frame(line, path, number, name):
    match = cpython_text.FRAME.match(line)

    assert (match["path"], match["line"], match["name"]) == (path, number, name)


def test_a_frames_line_is_read_as_it_is_written():
    match = cpython_text.FRAME.match(cpython_text.frame_line("/app/train.py", 9, "score").rstrip("\n"))

    assert match.groupdict() == {"path": "/app/train.py", "line": "9", "name": "score"}


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("ZeroDivisionError: division by zero", "ZeroDivisionError", "division by zero"),
        ("KeyboardInterrupt", "KeyboardInterrupt", None),
        ("app.errors.Bad.<locals>.Worse: x: y", "app.errors.Bad.<locals>.Worse", "x: y"),
    ],
)
def test_a_headline(line, kind, message):
    match = cpython_text.HEADLINE.match(line)

    assert (match["type"], match["message"]) == (kind, message)


@pytest.mark.parametrize("line", ["", "  File", "some words: x", "3.11: no", "'quoted': x"])
def test_what_is_no_headline(line):
    assert cpython_text.HEADLINE.match(line) is None


def test_colours_are_taken_away():
    assert cpython_text.without_colours("\x1b[1;35mValueError\x1b[0m: \x1b[35mbad\x1b[0m") == "ValueError: bad"
