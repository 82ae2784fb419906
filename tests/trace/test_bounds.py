"""However much an error has to tell: first parts, last parts, the root, counts for the rest, 300 lines at most, in every style."""

from __future__ import annotations

import json

import pytest

from autotb.trace import bounds
from autotb.trace.model import Trace
from autotb.trace.parts import Stack

CHAIN = """
    import sys

    def fails(depth):
        try:
            if not depth:
                raise KeyError("the root")
            fails(depth - 1)
        except Exception as error:
            raise RuntimeError(f"layer {depth}") from error

    fails(100)
    """
GROUP = """
    import sys
    if sys.version_info < (3, 11):
        from exceptiongroup import ExceptionGroup

    def fails(number):
        raise ValueError(f"no {number}")

    errors = []
    for number in range(10_000):
        try:
            fails(number)
        except ValueError as error:
            errors.append(error)
    raise ExceptionGroup("many", errors)
    """


def chain(length, link="cause"):
    """``length`` exceptions, the outermost numbered from 0."""
    stack = None
    for number in reversed(range(length)):
        stack = Stack("E", str(number), **({link: stack} if stack else {}))
    return stack


def told(stack):
    """The numbers of a chain, and what is skipped before the next."""
    found = []
    while stack is not None:
        found += [stack.message, *([f"+{stack.skipped}"] if stack.skipped else [])]
        stack = stack.before
    return " ".join(found)


@pytest.mark.parametrize(
    ("length", "most", "kept"),
    [
        (4, 4, "0 1 2 3"),
        (5, 4, "0 1 +1 3 4"),
        (10, 4, "0 1 +6 8 9"),
        (10, 3, "0 +7 8 9"),  # an odd one is left to those next to the root
        (1, 4, "0"),
    ],
)
def test_a_chain_loses_its_middle(length, most, kept):
    assert told(bounds.shorter(chain(length), most)) == kept


def test_what_was_skipped_before_is_counted_too():
    inner = Stack("E", "3", cause=chain(2))
    stack = Stack("E", "0", cause=Stack("E", "1", cause=Stack("E", "2", cause=inner, skipped=5)))

    assert told(bounds.shorter(stack, 2)) == "0 +9 1"


def test_a_chain_that_is_cut_stays_one_of_causes():
    assert bounds.shorter(chain(10), 4).cause.cause.cause is not None


def test_a_chain_in_which_anything_left_out_was_no_cause_says_so():
    stack = Stack("E", "0", cause=Stack("E", "1", cause=Stack("E", "2", context=Stack("E", "3", cause=chain(3)))))

    cut = bounds.shorter(stack, 3)

    assert (cut.cause, told(cut)) == (None, "0 +4 1 2")


@pytest.mark.parametrize("where", ["members", "also"])
def test_chains_inside_a_story_are_cut_as_well(where):
    stack = Stack("E", "", **{where: (chain(10),)})

    assert told(getattr(bounds.shorter(stack, 4), where)[0]) == "0 1 +6 8 9"


@pytest.mark.parametrize(("lines", "level"), [(300, 0), (301, 1)])
def test_less_is_drawn_until_the_lines_are_few_enough(lines, level):
    sizes = dict(zip(bounds.LEVELS, [lines, 10, 10, 10], strict=True))
    seen = []

    def drawn(_, within):
        seen.append(within)
        return ["line"] * sizes[within]

    assert len(bounds.kept(Trace(Stack("E", "")), drawn)) <= bounds.MAX_LINES
    assert seen[-1] is bounds.LEVELS[level]


def test_lines_within_a_line_are_counted():
    assert bounds.kept(Trace(Stack("E", "")), lambda *_: ["a\nb"]) == ["a", "b"]


def test_what_is_too_long_in_every_way_is_cut_and_counted():
    kept = bounds.kept(Trace(Stack("E", "")), lambda *_: [str(number) for number in range(5_000)])

    assert len(kept) == bounds.MAX_LINES
    assert (kept[0], kept[199], kept[-1]) == ("0", "… 4,701 more lines", "4999")


@pytest.mark.parametrize("style", ["rich", "plain"])
def test_a_chain_of_a_hundred_has_its_ends_its_root_and_a_count(run, style):
    ran = run(CHAIN, AUTOTB_STYLE=style)

    assert len(ran.lines) <= 300
    said = [line for line in ran.lines if line.startswith(("KeyError", "RuntimeError"))]
    assert said[0] == "KeyError: 'the root'"
    assert said[-1] == "RuntimeError: layer 100"
    skipped = next(line for line in ran.lines if line.startswith("The above exception led to "))
    assert len(said) + int(skipped.split()[5]) == 102
    assert ran.last.startswith("caused by KeyError: 'the root', at ")


def test_a_chain_of_a_hundred_as_json(run):
    story = json.loads(run(CHAIN, AUTOTB_STYLE="json").stderr)["error"]
    chain = [story]
    while chain[-1]["cause"]:
        chain.append(chain[-1]["cause"])

    assert chain[-1]["message"] == "'the root'"
    assert len(chain) + sum(each.get("skipped", 0) for each in chain) == 102


def test_a_chain_of_a_hundred_in_a_worker_keeps_its_root(run):
    ran = run(
        CHAIN.replace("fails(100)", "")
        + """
    import concurrent.futures
    if __name__ == "__main__":
        with concurrent.futures.ProcessPoolExecutor(1) as pool:
            pool.submit(fails, 100).result()
    """,
        AUTOTB_STYLE="plain",
    )

    assert ran.last.startswith("caused by KeyError: 'the root', at ")
    assert len(ran.lines) <= 300


@pytest.mark.parametrize("style", ["rich", "plain"])
def test_a_group_of_ten_thousand_has_its_first_members_and_a_count(run, style):
    ran = run(GROUP, AUTOTB_STYLE=style)

    assert len(ran.lines) <= 300
    assert "ExceptionGroup: many (10000 sub-exceptions)" in ran.stderr
    assert "ValueError: no 0" in ran.stderr
    more = next(line for line in ran.lines if "more exceptions" in line)
    assert any(line.endswith("the same failure, 99 more:") for line in ran.lines)
    assert int(more.split()[2].replace(",", "")) + 1 + 99 == 10_000


def test_a_group_of_ten_thousand_as_json(run):
    ran = run(GROUP, AUTOTB_STYLE="json")
    story = json.loads(ran.stderr)["error"]

    assert len(ran.stderr) < 1_000_000
    assert len(story["members"]) + story["unlisted"] == 10_000


def test_the_one_member_that_is_another_is_told_among_thousands_that_are_alike(run):
    ran = run(GROUP.replace("no {number}", "{number == 7_777}"), AUTOTB_STYLE="plain")

    assert "9999 × ValueError: False, at " in ran.stderr
    assert any(line.endswith("| ValueError: True") for line in ran.lines)


@pytest.mark.parametrize("style", ["rich", "plain", "json"])
def test_notes_are_counted(run, style):
    ran = run("error = ValueError('x')\nerror.__notes__ = [f'note {n}' for n in range(150)]\nraise error\n", AUTOTB_STYLE=style)

    if style == "json":
        story = json.loads(ran.stderr)["error"]
        assert (len(story["notes"]), story["unnoted"]) == (100, 50)
    else:
        assert ran.lines[-101:] == [
            *(f"note {n}" for n in range(50)),
            "… 50 more notes",
            *(f"note {n}" for n in range(100, 150)),
        ]


def test_a_recursion_in_a_library_is_counted(run):
    code = "import copy\ndeep = []\nfor _ in range(50_000):\n    deep = [deep]\n"
    ran = run(code + "copy.deepcopy(deep)\n", AUTOTB_STYLE="plain")

    folded = next(line for line in ran.lines if "frames in copy" in line)
    assert int(folded.split()[1]) > 300
    assert len(ran.lines) < 20


@pytest.mark.parametrize("style", ["rich", "plain"])
@pytest.mark.parametrize("message", ["'line\\\\n' * 4_000", "'x' * 1_000_000"])
def test_a_message_of_thousands_of_lines(run, style, message):
    ran = run(f"raise ValueError({message})\n", AUTOTB_STYLE=style)

    assert len(ran.lines) <= 300
    assert "more lines" in ran.stderr or "more characters" in ran.stderr
