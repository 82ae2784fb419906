"""The panels, row by row: boxes that are straight, heads that are whole, what is too long counted."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from autotb.render import carets, panels
from autotb.render.terminal import Abilities
from autotb.trace import bounds
from autotb.trace.data import replace
from autotb.trace.parts import Frame, Gap, Hop, Place, Stack
from tests.render.stories import ENGINES, WORKER, ZERO, frame, plain_error, settings, trace

ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def drawn(stack, width=60, in_force=None, unicode=True, colour=False, exact=False, **more):
    text = panels.draw(trace(stack, **more), Abilities(colour, width, unicode, exact=exact), in_force or settings())
    assert text.endswith("\n")
    return text[:-1].split("\n")


def inside(lines):
    """The rows of the panels, without borders."""
    return [line[1:-1].strip() for line in lines if line.startswith("│")]


def test_a_workers_error():
    assert drawn(ZERO) == [
        "╭─────────── Traceback (most recent call last) ────────────╮",
        "│ /job.py:5 in main                                        │",
        "│                                                          │",
        "│    4 │ def main(x):                                      │",
        "│    5 ❱     return 1 / x                                  │",
        "│    6 │                                                   │",
        "│                                                          │",
        "│ in a worker, pid 7, submitted at /main.py:5 in main      │",
        "│ score(x=0)                                               │",
        "│                                                          │",
        "│ /job.py:2 in score                                       │",
        "│                                                          │",
        "│    1 │ def score(x):                                     │",
        "│    2 ❱     return 1 / x                                  │",
        "│    3 │                                                   │",
        "╰──────── 1 engine frame hidden, AUTOTB_FRAMES=all ────────╯",
        "ZeroDivisionError: division by zero",
    ]


def test_without_box_characters_all_is_ascii():
    shown = drawn(plain_error(alike=0, members=(plain_error(), plain_error())), unicode=False)

    assert shown[0] == "+----------- Traceback (most recent call last) ------------+"
    assert "|    2 >     return 1 / x                                  |" in shown
    assert "\n".join(shown).isascii()


@pytest.mark.parametrize("width", [20, 24, 61, 200])
def test_every_row_is_as_wide_as_the_terminal(width):
    shown = drawn(Stack("E", "x", (Hop((frame(),), where="日本語 " * 9, call="f(x=" + "é" * 300 + ")"),)), width)

    boxed = [line for line in shown if line[0] in "╭│╰"]
    assert {cell_len(line) for line in boxed if "日本語" not in line} == {width}


def test_no_panel_is_narrower_than_one_can_be_read():
    assert {len(line) for line in drawn(plain_error(), 3)[:-1]} == {panels.MIN_WIDTH}


LONG = Frame("/home/me/my_company/pipelines/feature_engineering/transformations.py", 6, "score")


def heads(place, width, **more):
    return drawn(Stack("E", "", (Hop((place,)),)), width, exact=True, **more)[1:-2]


def test_a_head_that_is_longer_than_the_panel_is_whole_where_nobody_says_how_wide_the_terminal_is():
    """So that it can be clicked and copied."""
    assert f"│ {LONG}" in drawn(Stack("E", "", (Hop((LONG,)),)))


@pytest.mark.parametrize(
    ("width", "rows"),
    [
        (83, [f"│ {LONG} │"]),
        (82, [f"│ {LONG}"]),
        (81, [f"│ {LONG}"]),
        (80, ["│ …/me/my_company/pipelines/feature_engineering/transformations.py:6 in score  │"]),
        (60, ["│ …/feature_engineering/transformations.py:6 in score      │"]),
        (40, ["│ …/transformations.py:6 in score      │"]),
        (33, ["│ …/transformations.py:6 in score"]),
        (32, ["│ …/transformations.py:6       │", "│ in score                     │"]),
        (20, ["│ …/transformation │", "│ s.py:6           │", "│ in score         │"]),
    ],
)
def test_a_head_that_does_not_fit_loses_its_border_and_then_its_middle(width, rows):
    assert heads(LONG, width) == rows


def test_a_path_below_the_folder_of_the_program_is_one_that_a_terminal_can_open(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    place = Frame(f"{tmp_path}/src/job.py", 6, "score")

    assert heads(place, 30)[0].startswith("│ src/job.py:6 in score ")


def test_without_box_characters_a_path_that_is_cut_is_no_home_folder():
    assert heads(LONG, 42, unicode=False) == ["| .../transformations.py:6 in score      |"]


EVERYTHING = Stack(
    "ExceptionGroup",
    "several of them",
    (
        Hop(
            (
                frame(changed=True),
                LONG,
                Frame("/x/job.py", 3, "a_function_of_a_very_long_name" * 4),
                Frame("<string>", 1, "f" * 50),
            )
        ),
        Hop(
            (
                replace(LONG, source=((6, "    ratio = clicks / views + " + "x" * 900),)),
                Frame("/x/json.py", 8, "dumps", kind="stdlib"),
            ),
            where="in a worker of a service with a rather long name",
            pid=12345,
            host="node-0012.cluster.example.com",
            call="score(item=" + "y" * 3000 + ")",
            submitted=replace(LONG),
            died=("killed by signal 9 (SIGKILL) and more that is known of it " * 3,),
            log="/var/log/" + "z" * 100,
        ),
    ),
    members=(
        plain_error("a message " * 20, notes=("a note " * 20,)),
        Stack(
            "ExceptionGroup",
            "g" * 100,
            (Hop((LONG,)),),
            members=(plain_error("m" * 90), *[plain_error(str(n)) for n in range(9)]),
        ),
    ),
    lost=("a local variable " * 9,),
)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [20, 22, 40, 60, 80, 120, 200])
def test_no_row_of_a_panel_is_wider_than_the_terminal(width, unicode):
    rows = drawn(EVERYTHING, width, exact=True, unicode=unicode, in_force=settings(context=3, locals="1"))

    assert [row for row in rows if row.startswith(tuple("╭│╰+|")) and cell_len(row) > width] == []
    assert cell_len(rows[0]) == width
    assert any(row.endswith(("│", "|")) for row in rows)


def test_the_count_of_what_is_left_fits_too():
    assert [panels._folded("a" * 2000, width, 2)[2] for width in (21, 20, 9)] == [
        "… (1,958 more)",
        "… (1,960 more)",
        "… +1,982",
    ]


def test_where_a_hop_ran_is_broken_between_its_parts():
    hop = Hop((frame(),), where="in a worker of some length", submitted=Place("/a/rather/long/path.py", 5, "main"))

    assert inside(drawn(Stack("E", "", (hop,)), 50))[:2] == [
        "in a worker of some length,",
        "submitted at /a/rather/long/path.py:5 in main",
    ]


@pytest.mark.parametrize(("label", "edge"), [("", "╭──────────╮"), ("ab", "╭─── ab ───╮"), ("abc", "╭── abc ───╮")])
def test_a_label_stands_in_the_middle_of_an_edge(label, edge):
    assert panels._border("╭", "╮", "─", 12, panels.Text(label)).plain == edge


def test_a_label_that_is_too_long_is_cut():
    assert cell_len(panels._border("╭", "╮", "─", 12, panels.Text("a" * 50)).plain) == 12


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("abcd", ["abcd"]),
        ("abcdef", ["abcd", "ef"]),
        ("日本語", ["日本", "語"]),  # two cells a character
        ("a日本b", ["a日", "本b"]),
        ("abcd" * 2 + "xyz", ["abcd", "abcd", "… +3"]),
        ("abcd" * 2, ["abcd", "abcd"]),
    ],
)
def test_a_line_is_folded_by_cells_and_what_is_left_counted(text, rows):
    assert panels._folded(text, 4, 2) == rows


@pytest.mark.parametrize("context", [0, 1, 3])
def test_as_many_lines_around_as_are_wanted(context):
    source = tuple((number, f"line {number}") for number in range(1, 12))
    shown = drawn(Stack("E", "", (Hop((frame(line=6, source=source),)),)), in_force=settings(context=context))

    assert [line for line in inside(shown) if "line" in line and "most" not in line] == [
        f"{number} {'❱' if number == 6 else '│'} line {number}" for number in range(6 - context, 7 + context)
    ]


@pytest.mark.skipif(not carets.HAS_MARKS, reason="Python 3.10 knows no columns")
def test_marks_stand_below_the_failing_line_where_there_is_no_colour():
    rows = drawn(Stack("E", "", (Hop((frame(span=(11, 16)),)),)))
    at = next(at for at, row in enumerate(rows) if "❱" in row)

    assert rows[at + 1].index("~") == rows[at].index("1 / x")


def test_the_failing_expression_is_underlined_in_colour():
    rows = drawn(Stack("E", "", (Hop((frame(span=(11, 16)),)),)), colour=True)
    row = next(row for row in rows if "❱" in row)
    underlined = re.findall("\x1b\\[((?:[0-9]+;)*4(?:;[0-9]+)*)m([^\x1b]*)", row)

    assert "".join(text for _, text in underlined) == "1 / x"


def test_colour_changes_no_character():
    assert [ESCAPE.sub("", line).rstrip() for line in drawn(ZERO, colour=True)] == [line.rstrip() for line in drawn(ZERO)]


def test_what_the_program_says_obeys_nobody():
    shown = drawn(plain_error("\x1b[2J", notes=("\x07",)), colour=True)

    assert ESCAPE.sub("", "\n".join(shown[-2:])) == "ZeroDivisionError: \\x1b[2J\n\\x07"


@pytest.mark.parametrize(("wanted", "shown"), [("1", ["a = [1]", "long_name = 'x'"]), ("auto", [])])
def test_local_variables_are_shown_on_request(wanted, shown):
    stack = Stack("E", "", (Hop((frame(locals=(("a", "[1]"), ("long_name", "'x'"))),)),))

    assert [row for row in inside(drawn(stack, in_force=settings(locals=wanted))) if " = " in row] == shown


def test_arguments_may_be_left_out():
    assert "score(x=0)" not in inside(drawn(ZERO, in_force=settings(args=False)))


def test_a_file_that_changed_is_told():
    stack = Stack("E", "", (Hop((frame(changed=True),)),))

    assert "(the file has changed since it was imported: these lines may be others)" in inside(drawn(stack, 90))


def test_a_gap_is_one_row():
    shown = drawn(Stack("RecursionError", "", (Hop((frame(), Gap(repeated=9, cycle=1))),)))

    assert "… Previous line repeated 9 more times" in inside(shown)


def test_hints_stand_above_the_last_line():
    assert drawn(plain_error(), hints=("hint: look",), kept="/k.json")[-3:] == [
        "hint: look",
        "kept in /k.json",
        "ZeroDivisionError: division by zero",
    ]


def test_the_root_is_named_at_the_end():
    stack = Stack("E", "x", (WORKER,), cause=plain_error())

    assert drawn(stack)[-2:] == ["E: x", "caused by ZeroDivisionError: division by zero, at /job.py:2 in score"]


def test_what_is_lost_and_cut_is_told():
    shown = drawn(plain_error(lost=("a note",), cut="local variables"))

    assert "lost on the way from the worker: a note" in inside(shown)
    assert " cut: local variables " in shown[-2]


def test_how_an_engine_noticed_a_death_is_one_row():
    notice = Stack("EOFError", "", (Hop((ENGINES,)),))
    stack = Stack("Died", "worker 7", (Hop((frame(),)), Hop(died=("killed by signal 9",))), cause=notice)

    assert [row for row in inside(drawn(stack))[-4:] if row] == ["killed by signal 9", "detected by EOFError"]


def test_another_error_of_the_same_tasks_is_told_first():
    shown = drawn(plain_error(also=(plain_error("no", "KeyError"), plain_error("no", "KeyError"))))
    at = shown.index("The same tasks failed of another error as well:")

    assert shown[at - 3 : at] == ["KeyError: no", "2 × KeyError: no, at /job.py:2 in score", ""]


def test_each_member_of_a_group_is_a_panel_in_the_margin():
    shown = drawn(Stack("ExceptionGroup", "g", members=(plain_error(), plain_error("other"))), 40)

    assert [line for line in shown if "sub-exception " in line] == [
        "│ ╭─────── sub-exception 1 of 2 ───────╮",
        "│ ╭─────── sub-exception 2 of 2 ───────╮",
    ]
    assert shown[-1] == "ExceptionGroup: g (2 sub-exceptions)"


def test_members_that_are_alike_are_one_panel_with_their_calls():
    members = tuple(Stack("E", "x", (Hop((frame(),), call=f"score(x={number})"),)) for number in range(7))

    shown = drawn(Stack("ExceptionGroup", "g", members=members))

    assert "│ 7 × E: x, at /job.py:2 in score" in shown
    assert "│ for " + ", ".join(f"score(x={number})" for number in range(5)) + ", and 2 more" in shown


def test_of_more_than_two_members_that_came_about_alike_one_is_told_in_full():
    def fails(number, line=2, **more):
        return Stack("E", f"x{number}", (Hop((frame(line=line),), call=f"score(x={number})"),), **more)

    members = (fails(0), fails(1, line=1), *map(fails, range(2, 9)), fails(2), fails(9, notes=("by night",)))
    shown = drawn(Stack("ExceptionGroup", "g", members=members))

    assert [line.split(" ─")[0].strip("│ ╭─") for line in shown if "sub-exception " in line] == [
        "sub-exception 1 of 11",
        "sub-exception 2 of 11",
        "sub-exception 11 of 11",
    ]
    at = shown.index("│ the same failure, 8 more:")
    assert shown[at - 1] == "│ E: x0"
    assert shown[at + 1] == "│   2 × E: x2, for score(x=2)"
    assert shown[at + 5 : at + 7] == ["│   E: x6, for score(x=6)", "│   and 2 more"]


def test_members_whose_difference_a_line_would_not_tell_are_told_in_full():
    def fails(message, cause=""):
        return Stack("E", message, (Hop((frame(),)),), cause=Stack("KeyError", cause, (Hop((frame(),)),)) if cause else None)

    several_lines = [fails(f"invalid\nfield {number}") for number in range(3)]
    causes = [fails("step failed", f"customer {number}") for number in range(3)]
    long = [fails("x" * 300 + str(number)) for number in range(3)]

    for members in (several_lines, causes, long):
        shown = drawn(Stack("ExceptionGroup", "g", members=tuple(members)))
        assert sum("sub-exception " in line for line in shown) >= 3


def test_members_that_are_not_kept_are_counted():
    shown = drawn(Stack("ExceptionGroup", "g", members=(plain_error(),), unlisted=1200))

    assert "│ and 1,200 more exceptions" in shown
    assert any("sub-exception 1 ─" in line for line in shown)  # of how many kinds is not known


def test_groups_in_groups_end():
    stack = plain_error()
    for _ in range(bounds.MAX_NESTING + 5):
        stack = Stack("ExceptionGroup", "g", members=(stack,))

    assert sum("and 1 more exception" in line for line in drawn(stack)) == 1


REFUSED = """\
    import socket
    import urllib.request
    from concurrent.futures import ProcessPoolExecutor


    def fetch(port):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/x")


    if __name__ == "__main__":
        with socket.socket() as taken, ProcessPoolExecutor(1) as pool:
            taken.bind(("127.0.0.1", 0))  # and nobody listens there
            pool.submit(fetch, taken.getsockname()[1]).result()
    """


@pytest.mark.parametrize("style", ["rich", "plain"])
def test_a_cause_within_libraries_is_its_last_frame_and_a_count(shows, style):
    """It was raised and caught there: no line of the user's is in it."""

    def check(ran):
        cause, _, story = ran.stderr.partition("\nDuring handling of the above exception, another exception occurred:\n")
        told = cause.strip().split("\n")
        assert re.match(r"(  \[)?… \d frames in urllib, http and socket, last at socket.py:\d+ in create_connection", told[-2])
        assert told[-1].startswith("ConnectionRefusedError: [Errno 111]")
        assert len(told) == 2 + (style == "plain")
        assert "main.py" in story and "socket.py" not in story
        assert ran.last.startswith("urllib.error.URLError: ")

    shows(REFUSED, check, AUTOTB_STYLE=style)


@pytest.mark.parametrize("columns", ["20", "80"])
def test_one_long_path_leaves_the_other_rows_alone(run, columns):
    name = "a_rather_long_name_of_a_folder/" * 4 + "main.py"
    ran = run(
        "from concurrent.futures import ProcessPoolExecutor as Pool\n\n\ndef f(x):\n    return 1 / x\n\n\n"
        "if __name__ == '__main__':\n    Pool(1).submit(f, 0).result()\n",
        name=name,
        COLUMNS=columns,
    )

    assert {len(line) for line in ran.lines[:-1] if line.endswith(("╮", "│", "╯"))} == {int(columns)}
    assert all(len(line) <= int(columns) for line in ran.lines[:-1])
    heads = re.sub(" *│?\\n│ ", "", ran.stderr)
    assert len(re.findall(r"…/(?:a_rather_long_name_of_a_folder/)*main.py:", heads)) == 3


def test_a_long_head_loses_its_border_and_no_other_row_does(run):
    name = "a_rather_long_name_of_a_folder/" * 4 + "main.py"
    ran = run("def f(x):\n    return 1 / x\n\n\nf(0)\n", name=name, AUTOTB_STYLE="rich")

    heads = [line for line in ran.lines if "main.py:" in line]
    assert len(heads) == 2 and all(line.rstrip().endswith(("in f", "in <module>")) for line in heads)
    assert {len(line) for line in ran.lines[:-1] if line not in heads} == {80}


@pytest.mark.parametrize("columns", ["24", "40", "120"])
def test_no_panel_is_wider_than_the_terminal(run, columns):
    ran = run("def f(x):\n    return 1 / x\n\n\nf(0)\n", AUTOTB_STYLE="rich", COLUMNS=columns)

    assert {len(line) for line in ran.lines[:-1] if "main.py:" not in line} == {int(columns)}
