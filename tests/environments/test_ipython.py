"""IPython and Jupyter: cells show a worker's error as autotb does, in IPython's own form; a real kernel and a real terminal."""

from __future__ import annotations

import re
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from tests import programs

WORKER = """from concurrent.futures import ProcessPoolExecutor
import multiprocessing as mp

def ratio(clicks, views):
    return clicks / views

pool = ProcessPoolExecutor(1, mp_context=mp.get_context("fork"))
"""
FAILS = "pool.submit(ratio, 3, views=0).result()"
# By value, and without its file's name; no variable holds it.
LAMBDA = """with loky.get_reusable_executor(1) as others:
    try:
        others.submit(lambda views: 1 / views, 0).result()
    except ZeroDivisionError:
        traceback.print_exc()
        raise"""
NAMES = {"sent": "views", "sent_again": "clicks"}
CELLS = {
    "worker": WORKER,
    "fails": FAILS,
    "again": "%tb",
    "plain": "ratio(1, 0)",
    "timed": f"%%time\n{FAILS}",
    "run": "%run prog.py",
    "minimal": f"%xmode Minimal\n{FAILS}",
    "plain_mode": f"%xmode Plain\n{FAILS}",
    "verbose": f"%xmode Verbose\n{FAILS}",
    "back": "%xmode Context",
    "explained": f"import autotb\ntry:\n    {FAILS}\nexcept Exception as error:\n    story = autotb.explain(error)\nstory",
    "rich": "import rich\nrich.print(story)",
    "sent": f"import json, traceback\nimport loky\n{LAMBDA}",
    "sent_again": LAMBDA.replace("views", "clicks"),
    "process": "one = mp.get_context('fork').Process(target=json.loads, args='{')\none.start()\none.join()",
    "dropped": "from concurrent.futures import wait\nwait([pool.submit(ratio, 1, 0)]).done.pop()\n''",
}
PROGRAM = """
from concurrent.futures import ThreadPoolExecutor

def halve(value):
    return 1 / value

with ThreadPoolExecutor() as threads:
    list(threads.map(halve, [0]))
"""


def texts(outputs):
    """What a cell shows, and the lines of its error without escape sequences."""
    (error,) = [output for output in outputs if output.output_type == "error"]
    return re.sub("\x1b\\[[0-9;]*m", "", "\n".join(error.traceback)).split("\n")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The outputs of each cell, by its name."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "prog.py").write_text(PROGRAM)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    client = NotebookClient(
        book, timeout=120, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return dict(zip(CELLS, [cell.outputs for cell in book.cells]))


def test_a_workers_error_in_a_cell(shown):
    lines = texts(shown["fails"])

    assert lines[0].startswith("ZeroDivisionError    ")
    assert lines[1:3] == ["Cell In[2], line 1", f"----> 1 {FAILS}"]
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "submitted at Cell In[2], line 1" in lines
    assert "ratio(clicks=3, views=0)" in lines
    assert "Cell In[1], line 5, in ratio" in lines
    assert "----> 5     return clicks / views" in lines
    told = "\n".join(lines)
    assert re.search("^in a process-pool worker, pid \\d+$", told, re.M)
    for no in ("╭", "│", "ipykernel", "concurrent/futures", "RemoteTraceback"):
        assert no not in told


def test_its_escape_sequences_are_bold_and_underlined_alone(shown):
    (error,) = shown["fails"]
    assert set(re.findall("\x1b\\[([0-9;]*)m", "\n".join(error.traceback))) <= {"0", "1", "4", "1;4"}
    assert "\x1b[1min a process-pool worker" in "\n".join(error.traceback)


def test_magics(shown):
    assert texts(shown["again"]) == texts(shown["fails"])
    assert "Cell In[1], line 5, in ratio" in texts(shown["timed"])
    run = texts(shown["run"])
    assert any(re.fullmatch(r"File .*prog\.py:5, in halve", line) for line in run)
    assert not any("IPython" in line for line in run)


def test_a_plain_error_stays_ipythons(shown):
    lines = texts(shown["plain"])
    assert lines[0].startswith("-----")
    assert "Cell In[1], line 5, in ratio(clicks, views)" in lines


def test_the_mode_is_obeyed(shown):
    assert texts(shown["minimal"])[:1] == ["ZeroDivisionError: division by zero"]
    assert texts(shown["plain_mode"])[0] == "Traceback (most recent call last):"
    assert '  File "Cell In[1]", line 5, in ratio' in texts(shown["plain_mode"])
    assert "views = 0" in [line.strip() for line in texts(shown["verbose"])]


def test_a_story_is_a_cells_value(shown):
    (value,) = shown["explained"]
    page, text = value.data["text/html"], value.data["text/plain"]

    assert page.count("<details") >= 2
    assert "Cell In[1], line 5</span> in <b>ratio</b>" in page
    assert "<script" not in page
    assert text.split("\n")[0] == "Traceback (most recent call last):"
    assert text.endswith("ZeroDivisionError: division by zero")


def test_rich_prints_it(shown):
    told = "".join(str(output.get("data", output.get("text", ""))) for output in shown["rich"])
    assert "Cell In[1], line 5, in ratio" in told
    assert "Stack(" not in told


def test_a_lambda_that_was_sent_by_value_is_in_its_cell(shown):
    for name, number, line in (("sent", 13, 5), ("sent_again", 14, 3)):
        printed, error = shown[name]
        lines = texts([error])
        assert f"Cell In[{number}], line {line}, in <lambda>" in lines
        assert (
            lines.count(f"----> {line}         others.submit(lambda views: 1 / views, 0).result()".replace("views", NAMES[name]))
            == 2
        )
        assert [
            re.sub(r".*, (in|submitted)", r"\1", row) for row in printed.text.split("\n") if row.startswith(("  File", "  [in"))
        ] == [
            "in <module>",
            f"submitted at Cell In[{number}], line {line}]",
            "in <lambda>",
        ]


def test_a_failure_that_nobody_asked_for_is_told_with_its_cell(shown):
    told = "".join(output.text for output in shown["dropped"] if output.output_type == "stream")
    assert "was never retrieved, submitted at Cell In[16], line 2\n" in told


def test_what_a_child_process_says_in_a_page_has_no_box_and_no_colour(shown):
    told = "".join(output.text for output in shown["process"] if output.output_type == "stream")
    assert len(re.findall(r"^  \[in process \S+, pid \d+, started at Cell In\[15\], line 2\]$", told, re.M)) == 1, told
    assert told.count("json.decoder.JSONDecodeError: ") == 1
    assert not re.search("[\x1b│]", told)


SESSION = f"""
from concurrent.futures import ProcessPoolExecutor; import multiprocessing as mp
def ratio(clicks, views): return clicks / views

pool = ProcessPoolExecutor(1, mp_context=mp.get_context("fork"))
{FAILS}
%debug
p "views", views
q
%pdb on
{FAILS}
p "again", views
q
%pdb off
%xmode Verbose
{FAILS}
exit
"""


def test_ipython_in_a_terminal(tmp_path):
    command = [
        sys.executable,
        "-m",
        "IPython",
        "--no-banner",
        "--colors=NoColor",
        "--simple-prompt",
        "--HistoryManager.enabled=False",
    ]
    ran = programs.start(
        command, tmp_path, stdin=SESSION, COLUMNS="100", HOME=str(tmp_path), IPYTHONDIR=str(tmp_path / "ipython")
    )

    rows = [line for line in ran.stdout.split("\n") if line.startswith("│")]
    assert {len(row) for row in rows} == {100}
    assert re.search(r"^│ in a process-pool worker, pid \d+, submitted at Cell In\[\d\], line 1 ", ran.stdout, re.M)
    assert re.search(r"^│ Cell In\[\d\], line 1, in ratio ", ran.stdout, re.M)
    assert "('views', '0')" in ran.stdout.replace("0)", "'0')") or "('views', 0)" in ran.stdout
    assert "'again'" in ran.stdout  # %pdb begins the debugger
    assert re.search(r"^│ +views = 0 ", ran.stdout, re.M)
    assert "RemoteTraceback" not in ran.stdout


def test_equal_cells_are_told_apart(run):
    """Code that says the same in two files is equal, and is not in one place."""
    ran = run(
        """
        from concurrent.futures import ThreadPoolExecutor
        import autotb

        with ThreadPoolExecutor(1) as pool:
            for name in ("first", "second"):
                future = {}
                exec(compile("future['it'] = pool.submit(int, 'x')", name, "exec"))
                print([hop.submitted.path for hop in autotb.explain(future["it"].exception()).stack.hops if hop.submitted])
        """
    )
    assert ran.stdout.splitlines() == ["['first']", "['second']"]
