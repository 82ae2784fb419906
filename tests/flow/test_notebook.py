"""A flow in a notebook: a real kernel runs the cells, one after the other."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from autotb.flow import notebook

CELLS = {
    "slow": """
import time
import autotb
def slow(x):
    time.sleep(0.1)
    return 1 / x
flow = autotb.Flow("threads", error_handling="continue")
shares = flow.map(slow, [1, 2, 0, *range(3, 20)])
total = flow.call(sum, shares)
results = flow.run()
""",
    "results": "results",
    "text": "text = str(results)",
    "length": "print(len(text.splitlines()) > 5, 'root cause of 1 failure' in text)",
    "brief": "autotb.map(abs, range(3))",
    "asynchronous": """
async def main():
    return (await autotb.Flow("threads").run_async()).tallies
await main()
""",
    "raises": """
failing = autotb.Flow("threads")
failing.map(slow, [0, *range(1, 20)])
failing.run()
""",
    "quiet": "print(autotb.map(abs, range(3), progress=False))",
}


@pytest.fixture(scope="module")
def outputs():
    """The outputs of each cell, by its name."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    book.cells[[*CELLS].index("raises")].metadata.tags = ["raises-exception"]
    NotebookClient(book, timeout=120, kernel_name="python3").execute()
    return dict(zip(CELLS, [cell.outputs for cell in book.cells]))


def test_run_works_in_a_cell_and_shows_the_steps_while_it_goes_on(outputs):
    (shown,) = outputs["slow"]
    assert shown.output_type == "display_data"
    assert shown.data["text/html"].count("<progress") == 2
    assert '<progress value="20" max="20">' in shown.data["text/html"]
    assert "slow     19        1         0   20" in shown.data["text/plain"]


def test_results_have_a_table_for_the_page_with_their_root_causes(outputs):
    (shown,) = outputs["results"]
    assert shown.data["text/html"].startswith("<table>")
    assert "root cause of 1 failure:" in shown.data["text/html"]
    assert '<details class="frame"' in shown.data["text/html"]
    assert shown.data["text/plain"] == "<results of 2 steps: slow, sum>"


def test_their_text_displays_nothing_by_itself(outputs):
    assert outputs["text"] == []
    assert outputs["length"][0].text == "True True\n"


def test_of_a_brief_run_that_went_well_nothing_stays(outputs):
    shown, value = outputs["brief"]
    assert shown.data == {"text/html": "", "text/plain": ""}
    assert value.data["text/plain"] == "[0, 1, 2]"


def test_an_awaited_run_works_too(outputs):
    assert outputs["asynchronous"][-1].data["text/plain"] == "{}"


def test_where_an_error_ends_the_run_it_is_counted(outputs):
    shown = outputs["raises"][0].data["text/plain"].splitlines()[-1].split()
    assert shown[:1] + shown[2:5] == ["slow", "1", "0", "20"]


def test_nothing_is_shown_where_no_progress_is_wanted(outputs):
    (shown,) = outputs["quiet"]
    assert shown.output_type == "stream"


def test_here_is_no_notebook():
    assert not notebook.is_one()
