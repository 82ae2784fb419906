"""``report``: a night's failures on one page, from real pools, flows and files."""

from __future__ import annotations

import argparse
import json
import os

import pytest

from autotb import cli
from autotb.cli import report
from tests import programs
from tests.cli import test_kept
from tests.render import pages

PROGRAM = """
from concurrent.futures import ProcessPoolExecutor

import autotb


def ratio(clicks, views):
    return clicks / views


def look_up(key):
    return {}[key]


def main():
    with ProcessPoolExecutor(1) as pool:
        futures = [pool.submit(ratio, clicks, views=0) for clicks in range(4)] + [pool.submit(look_up, "<b>&amp;</b>")]
        autotb.collect(futures, [f"task {at}" for at in range(5)], jsonl="lines.jsonl")
    flow = autotb.Flow("threads", error_handling="continue", progress=False, run_folder="runs/1")
    flow.map(look_up, ["a", "b"])
    flow.run()


if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    ran = programs.run(folder, PROGRAM, AUTOTB_DIR="kept")
    assert ran.status == 0, ran.stderr
    return folder


def made(folder, *paths, **env):
    ran = programs.start([*PYTHON, "report", *paths, "-o", "page.html"], folder, **env)
    assert (ran.status, ran.stderr) == (0, "")
    return ran.stdout, (folder / "page.html").read_text()


PYTHON = (os.sys.executable, "-m", "autotb")


def test_everything_of_a_night_on_one_page(night):
    said, text = made(night, "kept", "lines.jsonl", "runs/1")
    page = pages.is_harmless(text)
    data = json.loads(page.scripts[0])

    assert said == "page.html: 7 failures, 2 root causes\n"
    assert [cause["count"] for cause in data["causes"]] == [4, 3]
    assert "counted once, as it stands in two of these: 5" in page.text
    for told in (
        "kept: 5",
        "lines.jsonl: 5",
        "runs/1: 2",
        "in a process-pool worker",
        "ratio(clicks=0, views=0)",
        "return clicks / views",
    ):
        assert told in page.text
    texts = set(data["texts"])
    assert {"ratio(clicks=3, views=0)", "look_up(key='<b>&amp;</b>')", "look_up 1"} <= texts
    assert all(cause["first"] > 1e9 for cause in data["causes"])


def test_a_folder_that_holds_them_all_is_looked_through(night):
    assert made(night, ".")[0] == "page.html: 7 failures, 2 root causes\n"


def test_two_failures_of_one_input_are_two(tmp_path):
    test_kept.write(tmp_path / "a.jsonl", *[{"time": 1795662900.0, **test_kept.STORY}] * 2)
    test_kept.write(tmp_path / "b.jsonl", *[{"time": 1795662909.0, **test_kept.STORY}] * 2)

    assert made(tmp_path, "a.jsonl", "b.jsonl")[0].startswith("page.html: 4 failures, 1 root cause")


def test_no_failure_is_a_page_too(tmp_path):
    (tmp_path / "empty").mkdir()
    said, text = made(tmp_path, "empty")
    assert said == "page.html: no failure\n"
    assert "0 failures" in text


def options(*arguments):
    return cli.parser().parse_args(["report", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "autotb report: {0}/nothing: No such file or directory\n"),
        (["no.json"], "autotb report: {0}/no.json: it holds no story of autotb's (an object with `schema` and `error`)\n"),
        (
            ["torn.json"],
            "autotb report: {0}/torn.json: it is not JSON, or was cut off (Expecting value: line 1 column 1 (char 0))\n",
        ),
        (["run"], "autotb report: {0}/run: "),
    ],
)
def test_bad_input_is_one_line_and_no_page(tmp_path, capsys, arguments, said):
    (tmp_path / "no.json").write_text("{}")
    (tmp_path / "torn.json").write_text("")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "index.sqlite").write_text("no index")
    page = tmp_path / "page.html"

    assert report.command(options(*(tmp_path / name for name in arguments), "-o", page)) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(said.format(tmp_path))
    assert (shown.out, shown.err.count("\n"), page.exists()) == ("", 1, False)


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert report.command(argparse.Namespace(paths=[str(tmp_path)], output=str(tmp_path / "file" / "page.html"))) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_torn_in_a_folder_is_told_and_the_rest_is_there(tmp_path, capsys):
    test_kept.write(tmp_path / "good.json", test_kept.STORY)
    test_kept.write(tmp_path / "torn\x1b.json", text='{"schema"')
    test_kept.write(tmp_path / "package.json", {})
    page = tmp_path / "page.html"

    assert report.command(options(tmp_path, "-o", page)) == 0
    shown = capsys.readouterr()
    assert "torn\\x1b.json: it is not JSON" in shown.err
    assert shown.err.count("\n") == 1
    text = pages.is_harmless(page.read_text()).text
    assert "not read: 1" in text
    assert "no failure of autotb's: 1" in text


def test_what_is_not_listed_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST_LISTED", 10)
    monkeypatch.setattr(report, "LEAST_LISTED", 2)
    path = test_kept.write(tmp_path / "l.jsonl", *[test_kept.STORY] * 30)

    assert report.command(options(path, "-o", tmp_path / "page.html")) == 0
    (cause,) = json.loads(pages.Page((tmp_path / "page.html").read_text()).scripts[0])["causes"]
    assert (cause["count"], len(cause["name"])) == (30, 10)


def test_to_stdout(tmp_path, capsys):
    assert report.command(options(test_kept.write(tmp_path / "a.json", test_kept.STORY), "-o", "-")) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")
