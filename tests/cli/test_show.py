"""``AUTOTB_DIR`` keeps failures in files, and ``show`` prints them again."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys

import pytest

import autotb
from autotb.cli.show import command
from tests import programs
from tests.futures import tasks

PROGRAM = """
from concurrent.futures import ProcessPoolExecutor

import autotb


def divide(value):
    return 1 / value


def main():
    with ProcessPoolExecutor(1) as pool:
        autotb.collect([pool.submit(divide, value) for value in (1, 0)], ["good", "bad"], jsonl="lines.jsonl").to_json("all.json")
        try:
            autotb.unwrap(pool.submit(divide, 0), "one", log_to="one.json")
        except ZeroDivisionError:
            pass
        pool.submit(divide, 0).result()


if __name__ == "__main__":
    main()
"""


def show(folder, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "autotb", "show", *arguments],
        cwd=folder,
        env=programs.environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    ran = programs.run(folder, PROGRAM, AUTOTB_DIR="failures/new")
    assert ran.last == "ZeroDivisionError: division by zero"
    return ran


@pytest.mark.behaviour("S1-48")
def test_each_failure_is_kept_in_a_file_of_its_owner(kept):
    files = sorted((kept.folder / "failures" / "new").iterdir())

    assert len(files) == 3  # collected, unwrapped, uncaught
    for file in files:
        assert re.fullmatch(r"\d{8}-\d{6}-\d+-\d-ZeroDivisionError\.json", file.name)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text())["error"]["hops"][-1]["call"] == "divide(value=0)"
    assert f"\nkept in {files[-1]}\nZeroDivisionError: division by zero\n" in kept.stderr
    assert f"\nkept in {files[1]}" in kept.stderr


def test_a_kept_failure_is_printed_as_it_was(kept):
    (path,) = re.findall(r"^kept in (.*)\nZeroDivisionError", kept.stderr, re.M)
    shown = show(kept.folder, path)

    story = kept.stderr[kept.stderr.index("╭") :].replace(f"kept in {path}\n", "")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, story, "")
    plain = show(kept.folder, path, AUTOTB_STYLE="plain").stdout
    assert plain.startswith("Traceback (most recent call last):\n")
    assert plain.endswith("\nZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("name", ["one.json", "all.json", "lines.jsonl"])
def test_other_records_are_shown_too(kept, name):
    shown = show(kept.folder, name)

    assert shown.returncode == 0
    assert shown.stdout.startswith("one:\n╭" if name == "one.json" else "bad:\n╭")
    assert "divide(value=0)" in shown.stdout
    assert shown.stdout.count("ZeroDivisionError: division by zero") == 1


def test_a_record_of_success_has_no_failure(tmp_path):
    (tmp_path / "good.json").write_text('{"name": "x", "status": "success", "result": "3"}')

    assert show(tmp_path, "good.json").stdout == "good.json: no failure in it\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"text", "not JSON"),
        (b"[1, 2]", "no story"),
        (b"{}", "no story"),
        (b"\x80\x04\x95", "not JSON"),
        (b'{"schema": 99, "error": {}}', "version 99"),
        (b'{"schema": 1, "error": {"type": "X"}}', "not whole"),
        (b'{"schema": 1, "error": {"type": "X", "message": 3, "hops": []}}', "not whole"),
        (b'{"schema": 1, "error": "X"}', "not whole"),
        (b'{"status": "success"}\n{"sta', "line 2 is not JSON"),
    ],
)
def test_a_bad_file_is_one_line_and_status_2(tmp_path, content, reason):
    (tmp_path / "bad.json").write_bytes(content)
    shown = show(tmp_path, "bad.json")

    assert (shown.returncode, shown.stdout) == (2, "")
    assert re.fullmatch(rf"autotb show: bad\.json: .*{reason}.*\n", shown.stderr)


def test_every_cut_of_a_file_is_told(kept, tmp_path):
    whole = (kept.folder / "one.json").read_bytes()
    for length in (1, 10, len(whole) // 2, len(whole) - 3):
        (tmp_path / "cut.json").write_bytes(whole[:length])
        shown = show(tmp_path, "cut.json")
        assert (shown.returncode, shown.stderr.count("\n")) == (2, 1)


def test_what_does_not_exist(tmp_path):
    shown = show(tmp_path, "nothing.json")

    assert (shown.returncode, shown.stderr) == (2, "autotb show: nothing.json: No such file or directory\n")
    assert show(tmp_path, ".").returncode == 2


TORN = (
    ("UPDATE elements SET offset = ?", b"x"),
    ("UPDATE elements SET offset = ?", -1),
    ("UPDATE elements SET offset = ?", 1 << 40),
    ("UPDATE shards SET name = ?", None),
    ("UPDATE shards SET name = ?", "/dev/zero"),
    ("UPDATE shards SET name = ?", "../fifo"),
    ("UPDATE steps SET seconds = ?", "long"),
    ("UPDATE steps SET shape = ?", "{}"),
    ("UPDATE steps SET shape = ?", "[1e400]"),
    ("UPDATE steps SET name = ?", b"\xff"),
)


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "it"
    flow = autotb.Flow(error_handling="continue", progress=False, run_folder=folder)
    flow.map(tasks.fails_with, [0])
    flow.run()
    return folder


@pytest.mark.parametrize(("statement", "value"), TORN)
def test_a_run_folder_whose_index_says_what_is_not_is_refused_in_one_line(a_run, tmp_path, capsys, statement, value):
    folder = tmp_path / "torn"
    shutil.copytree(a_run, folder)
    os.mkfifo(folder / "fifo")
    with contextlib.closing(sqlite3.connect(folder / "index.sqlite")) as index, index:
        assert index.execute(statement, (value,)).rowcount

    assert command(argparse.Namespace(file=str(folder))) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"autotb show: {folder}: ")
    assert said.err.count("\n") == 1


def test_a_shard_that_claims_to_be_larger_than_its_file_is_not_read(a_run, tmp_path, capsys):
    folder = tmp_path / "torn"
    shutil.copytree(a_run, folder)
    (shard,) = (folder / "shards").iterdir()
    data = bytearray(shard.read_bytes())
    data[29:41] = b"\xff" * 12  # the lengths of its text and its pickle
    shard.write_bytes(data)

    assert command(argparse.Namespace(file=str(folder))) == 2
    assert "is torn" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_loses_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    ran = programs.run(tmp_path, "1 / 0", AUTOTB_DIR=str(tmp_path / "file" / "folder"))

    assert "ZeroDivisionError: division by zero\n" in ran.stderr
    assert ran.stderr.count("autotb: keeping the error in AUTOTB_DIR") == 1
    assert ran.status == 1


def test_no_file_without_the_setting(tmp_path):
    programs.run(tmp_path, "1 / 0")

    assert os.listdir(tmp_path) == ["main.py"]
