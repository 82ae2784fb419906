"""What is told of failures that nobody retrieved: each kind once, then counts, at most twenty lines a minute."""

from __future__ import annotations

import re
import sys

import pytest

from autotb.hooks import unretrieved_report
from autotb.instrument import failure_kinds


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(failure_kinds, "_kinds", {}, raising=False)
    unretrieved_report._forget()
    yield
    unretrieved_report._forget()


class Counted:
    """A kind of failures."""

    def __init__(self, name, unreported, *tasks):
        self.name, self.unreported, self.is_reported, self.tasks = name, unreported, False, list(tasks)

    def __str__(self):
        return self.name


def test_counts_begin_with_the_most_frequent():
    kinds = [Counted("A", 1), Counted("B", 5)]

    assert unretrieved_report._counted(kinds, "", 12) == ["autotb: 6 futures failed, never retrieved:", "  5 × B", "  1 × A"]


def test_tasks_that_are_known_by_name_are_named():
    lines = unretrieved_report._counted([Counted("A", 4, "task 1", "task 3"), Counted("B", 1, "task 2")], "", 12)

    assert lines[1:] == ["  4 × A: task 1, task 3, 2 more", "  1 × B: task 2"]


def test_what_is_counted_is_reported():
    kind = Counted("A", 3)
    unretrieved_report._counted([kind], "", 12)

    assert (kind.unreported, kind.is_reported) == (0, True)


def test_kinds_beyond_the_room_are_one_line():
    kinds = [Counted(str(number), 10 - number) for number in range(4)]

    assert unretrieved_report._counted(kinds, "", 2)[-1] == "  and 15 others"


def test_one_future_is_no_futures():
    assert unretrieved_report._counted([Counted("A", 1)], "since then", 1)[0] == (
        "autotb: 1 future failed since then, never retrieved:"
    )


def test_failures_of_the_pool_that_ended_the_program_are_one_line(capsys):
    unretrieved_report.report_in_a_line({Counted(str(number), 0): 10 - number for number in range(5)})

    assert capsys.readouterr().err == "autotb: 40 more futures failed: 10 × 0; 9 × 1; 8 × 2; and 13 others\n"


def test_nothing_to_tell_is_no_line(capsys):
    unretrieved_report.report_in_a_line({})

    assert capsys.readouterr().err == ""


def test_lines_of_a_minute_are_counted(capsys):
    before = unretrieved_report._room()
    unretrieved_report._write(["a", "b", "c"])

    assert (before, unretrieved_report._room()) == (unretrieved_report.MOST, unretrieved_report.MOST - 3)
    capsys.readouterr()


def test_in_the_midst_of_the_programs_own_writing_nothing_is_written(monkeypatch):
    def raises(*_):
        raise RuntimeError("reentrant call")

    monkeypatch.setattr(unretrieved_report.terminal, "write", raises)

    assert unretrieved_report._write(["a"]) is False
    assert unretrieved_report._room() == unretrieved_report.MOST


def test_an_error_in_one_line_has_its_place():
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        line = unretrieved_report._one_line(error)

    assert line.startswith("ValueError: a\\nb, at ")
    assert line.endswith(f"in {sys._getframe().f_code.co_name}")


UNSENT = """
from concurrent.futures import ProcessPoolExecutor, wait


def use(lines):
    return lines


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        wait([pool.submit(use, (n for n in [1]))])
"""


def test_a_call_that_could_not_be_sent_is_told_without_the_engines_frames(shows):
    def check(ran):
        assert re.match(r"autotb: the exception of a failed future was never retrieved, submitted at \S*main\.py:\d+", ran.stderr)
        assert "hint: lines → generator cannot be pickled" in ran.stderr
        assert "[use(lines=<generator object>)]" in ran.stderr
        assert "_feed" not in ran.stderr
        assert "1 engine frame hidden" in ran.stderr
        assert ran.last == "TypeError: cannot pickle 'generator' object"

    shows(UNSENT, check)
