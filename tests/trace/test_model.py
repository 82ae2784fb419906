"""A story as the program has it in hand: its root, its text, its way through JSON and pickle."""

from __future__ import annotations

import pickle

import pytest

import autotb
from autotb import Trace
from autotb.trace.parts import Frame, Hop, Stack

ROOT = Stack("KeyError", "'id'", (Hop((Frame("/load.py", 12, "parse"),)),))
DEATH = (Hop(died=("killed by signal 9",)),)


@pytest.mark.parametrize(
    ("stack", "root"),
    [
        (ROOT, "KeyError"),
        (Stack("A", "", cause=Stack("B", "", cause=ROOT)), "KeyError"),
        (Stack("A", "", context=ROOT), "A"),
        (Stack("A", "", members=(ROOT,)), "KeyError"),
        (Stack("A", "", members=(ROOT, ROOT)), "A"),
        (Stack("A", "", members=()), "A"),
        (Stack("Died", "", DEATH, cause=ROOT), "Died"),
        (Stack("A", "", cause=Stack("Died", "", DEATH, cause=ROOT)), "Died"),
    ],
)
def test_the_root_cause(stack, root):
    assert Trace(stack).root_cause.type == root


def test_a_story_is_drawn_as_text_in_the_plain_style():
    assert str(Trace(ROOT)).splitlines() == [
        "Traceback (most recent call last):",
        '  File "/load.py", line 12, in parse',
        "KeyError: 'id'",
    ]


def test_a_story_that_was_pickled_is_the_same():
    trace = Trace(ROOT, host="here", pid=7, heading="In a thread:", kept="/k.json", hints=("hint: look",))

    assert pickle.loads(pickle.dumps(trace)) == trace


def test_explain_gives_the_story_as_data():
    try:
        {}["a"]
    except KeyError as error:
        trace = autotb.explain(error)

    assert trace.root_cause.type == "KeyError"
    assert trace.frames[-1].name == "test_explain_gives_the_story_as_data"
    assert str(trace).splitlines()[-1] == "KeyError: 'a'"
    assert isinstance(trace, autotb.Trace)


def test_as_a_cells_value_it_is_html_and_its_text_is_the_story():
    assert "<b>KeyError</b>: &#x27;id&#x27;</pre>" in Trace(ROOT)._repr_html_()

    written = []

    class Printer:
        text = written.append

    Trace(ROOT)._repr_pretty_(Printer, False)
    assert written == [str(Trace(ROOT))]


@pytest.mark.parametrize("width", [40, 100])
def test_rich_prints_the_story_as_wide_as_its_console(width):
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(Trace(ROOT))
    lines = console.file.getvalue().splitlines()

    assert len(lines[0]) == width
    assert lines[1].startswith("│ /load.py:12 in parse ")
    assert lines[-1] == "KeyError: 'id'"


def test_rich_prints_it_in_a_notebook_in_the_pages_own_colours():
    """What rich says of a default colour is black on white in HTML, also where the page is dark."""
    import io

    from rich.console import Console

    source = ((12, "    return value['id'] # here"),)
    trace = Trace(Stack("KeyError", "'id'", (Hop((Frame("/load.py", 12, "parse", source=source),)),)))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, record=True, legacy_windows=False)
    console.print(trace)
    page = console.export_html(inline_styles=True, code_format="{code}")

    assert "value" in page
    assert "background-color" not in page
    assert "color: #000000" not in page
