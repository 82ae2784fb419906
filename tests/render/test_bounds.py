"""However much an error has to tell: first parts, last parts, the root, counts for the rest, 300 lines at most, in every style."""

from __future__ import annotations

import json

import pytest

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
    assert int(more.split()[2].replace(",", "")) + sum("× ValueError" in line for line in ran.lines) + 5 == 10_000


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


COLUMNS = """
    from concurrent.futures import ProcessPoolExecutor

    def work(x):
        table = {"rows": 1}
        return table["rows"] / x

    def spread(x):
        return max(
            1,
            1 / x,
        )

    if __name__ == "__main__":
        import sys
        with ProcessPoolExecutor(1) as pool:
            for each in (work, spread):
                try:
                    pool.submit(each, 0).result()
                except ZeroDivisionError as error:
                    sys.excepthook(type(error), error, error.__traceback__)
    """


def test_columns_are_marked_as_python_marks_them(run):
    """A worker's frames have in the plain style the very lines that Python prints for them; 3.10 knows no columns."""
    ours, bare = run(COLUMNS, AUTOTB_STYLE="plain"), run(COLUMNS, autotb="0")

    for name in ("work", "spread"):
        at = next(at for at, line in enumerate(bare.lines) if line.endswith(f"in {name}"))
        python = bare.lines[at : at + 1 + next(n for n, line in enumerate(bare.lines[at + 1 :]) if not line.startswith("    "))]
        at = next(at for at, line in enumerate(ours.lines) if line.endswith(f"in {name}"))
        assert ours.lines[at : at + len(python)] == python
