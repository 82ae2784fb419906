"""Root causes that are one story with other values are told once, and counted."""

from __future__ import annotations

from functools import partial

import pytest

from autotb import Flow
from autotb.trace import build
from autotb.trace.data import replace
from autotb.trace.failure_groups import MOST_EXPLAINED, MOST_STORIES, Groups, brief
from autotb.trace.model import Trace
from autotb.trace.parts import Frame, Hop, Stack


def story(message, line=1, type_="ValueError"):
    return Trace(Stack(type_, message, (Hop((Frame("/a.py", line, "f"),)),)))


def texts(*added):
    groups = Groups()
    for one in added:
        groups.add_line(one) if isinstance(one, str) else groups.add(one)
    return groups.texts(lambda trace: f"<{trace.stack.headline}>\n")


def test_one_failure_is_told_as_it_is():
    assert texts(story("x")) == ["root cause of 1 failure:\n<ValueError: x>"]


def test_what_else_was_said_at_that_line():
    assert texts(story("x"), story("y"), story("x")) == ["root cause of 3 failures:\n<ValueError: x>\nalso: ValueError: y"]


def test_other_lines_are_other_causes_the_most_frequent_first():
    assert texts(story("x"), story("y", 2), story("y", 2)) == [
        "root cause of 2 failures:\n<ValueError: y>",
        "root cause of 1 failure:\n<ValueError: x>",
    ]


def test_of_many_messages_some_are_counted():
    told = texts(*(story(str(number)) for number in range(1_200)))

    assert told[0].split("\n")[-1] == "also: more than 995 other messages of this kind"  # no more are remembered
    assert texts(*(story(str(number)) for number in range(1_000)))[0].endswith("\nalso: 995 other messages of this kind")


def test_a_line_counts_with_the_story_that_says_the_same():
    assert texts(story("x"), story("y", 2), "ValueError: y")[0].startswith("root cause of 2 failures:\n<ValueError: y>")


def test_a_line_that_nobody_else_says_counts_with_its_type():
    unsure = "1 of these was compared by type alone"

    assert texts(story("x"), "ValueError: z") == [f"root cause of 2 failures:\n<ValueError: x>\nalso: ValueError: z\n{unsure}"]


def test_lines_without_a_story_are_told_by_themselves():
    assert texts("KeyError: 1", "KeyError: 2") == ["root cause of 2 failures:\nKeyError: 1\nKeyError: 2"]


def test_of_many_causes_some_are_a_line_each_and_the_last_are_counted():
    told = texts(*(story("x", line) for line in range(200)))

    assert told[MOST_STORIES - 1 :: MOST_STORIES] == ["root cause of 1 failure:\n<ValueError: x>"]
    assert told[MOST_STORIES].split("\n")[0] == "1 × ValueError: x, at /a.py:10 in f"
    assert told[-1] == "and 175 more root causes, of 175 failures"


@pytest.mark.parametrize("lines", [1, 12, 58, 200])
def test_the_first_story_is_whole_and_all_together_are_sixty_lines(lines):
    groups = Groups()
    for line in range(200):
        groups.add(story("x", line), f"run {line}")
    told = groups.texts(lambda trace: "\n".join(["drawn"] * lines))
    text = "\n\n".join(told)

    assert text.startswith("run 0:\n" + "drawn\n" * lines)
    assert text.count("\n") < max(60, lines + 20)
    assert "\nrun 15: 1 × ValueError: x, at /a.py:15 in f\n" in text
    assert told[-1].startswith("and 1")


def test_failures_have_names():
    groups = Groups()
    for number in range(35):
        groups.add(story("x" if number else "y"), str(number))

    assert groups.texts(lambda trace: "drawn")[0].split("\n")[0] == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 25 more:"
    assert brief(groups.sorted()[0]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 25 more: 35 × ValueError, at /a.py:1 in f"


def test_what_else_the_same_tasks_failed_of_makes_another_cause():
    first, other = story("x").stack, story("y", 2).stack

    assert len(texts(Trace(first), Trace(replace(first, also=(other,))), Trace(replace(first, also=(other, other))))) == 2


def many(x):
    raise ValueError(f"row {x}")


@pytest.mark.parametrize("kept", [{}, {"return_results": False}])
def test_failures_of_one_place_are_one_root_cause(tmp_path, kept):
    flow = Flow(error_handling="continue", progress=False, run_folder=tmp_path / "run", **kept)
    flow.map(many, range(1200))
    told = [str(flow.run())]
    from autotb.flow import run_report

    told.append(run_report.text(str(tmp_path / "run"), str))
    assert " of these were compared by type alone" in told[1]
    told[1] = told[1].rpartition("\n")[0]
    for text in told:
        assert text.count("root cause of 1,200 failures:") == text.count("root cause") == 1
        assert text.count("also: ValueError: row ") == 4
        assert text.endswith("also: more than 995 other messages of this kind")


def other(x):
    raise ValueError(f"row {x}")


def caught(raises, x):
    try:
        raises(x)
    except ValueError as error:
        return error


def test_of_many_failures_those_of_another_line_are_told_by_themselves():
    groups, explained = Groups(), []

    def explain(error):
        explained.append(error)
        return build.build(error)

    for number in range(MOST_EXPLAINED + 500):
        error = caught(many if number < MOST_EXPLAINED else other, number)
        groups.add_error(error, f"ValueError: row {number}", partial(explain, error))
    told = [brief(group) for group in groups.sorted()]

    assert [line.partition(", at ")[0] for line in told] == ["1,000 × ValueError", "500 × ValueError"]
    assert told[0].endswith(" in many")
    assert told[1].endswith(" in other")
    assert len(explained) == MOST_EXPLAINED + 1


def test_no_place_is_told_where_some_are_known_by_their_words_alone():
    groups = Groups()
    groups.add(story("x"))
    groups.add_line("ValueError: y")

    assert brief(groups.sorted()[0]) == "2 × ValueError"
