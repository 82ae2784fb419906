"""Files are written whole or not at all, and those of failures are their owner's alone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from autotb import runtime, settings
from autotb.render import files
from autotb.trace.model import Trace
from autotb.trace.parts import Stack

TRACE = Trace(Stack("pkg.Odd/../Error", "x"))


def kept_in(monkeypatch, folder):
    monkeypatch.setattr(settings, "value", lambda name: str(folder) if name == "dir" else None)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_missing_folders_are_made(tmp_path):
    files.write_json(tmp_path / "a" / "b" / "c.json", {"ä": 1})

    assert (tmp_path / "a" / "b" / "c.json").read_text(encoding="utf-8") == '{\n  "ä": 1\n}\n'


def test_half_a_character_is_written_as_its_escape(tmp_path):
    files.write_json(tmp_path / "c.json", {"text": "\ud800"})

    assert json.loads((tmp_path / "c.json").read_bytes()) == {"text": "\ud800"}


@pytest.mark.parametrize(("asked", "given"), [(0o600, 0o600), (None, 0o640)])
def test_permissions_are_those_asked_for_or_of_any_new_file(tmp_path, asked, given):
    before = os.umask(0o027)
    try:
        files.write_whole(tmp_path / "c", b"", asked)
    finally:
        os.umask(before)

    assert mode(tmp_path / "c") == given


def test_without_a_system_that_tells_the_umask_a_file_is_its_owners(monkeypatch):
    def none(_):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", none)

    assert 0o666 & ~files._umask() == 0o600


def test_what_cannot_be_written_whole_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "c").write_bytes(b"before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        files.write_whole(tmp_path / "c", b"after")

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("c", b"before")]


@pytest.mark.parametrize("name", ["x" * 250, "x" * 90])
def test_a_name_as_long_as_the_system_allows(tmp_path, name):
    files.write_whole(tmp_path / name, b"1")

    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_story_is_kept_under_its_types_name(tmp_path, monkeypatch):
    kept_in(monkeypatch, tmp_path)
    trace = files.keep(TRACE)

    assert (Path(trace.kept).parent, Path(trace.kept).name.rpartition("-")[2]) == (tmp_path, "Error.json")
    assert Trace.from_dict(json.loads(Path(trace.kept).read_text())).stack == TRACE.stack


def test_a_kept_story_is_its_owners_alone(tmp_path, monkeypatch):
    kept_in(monkeypatch, tmp_path)

    assert mode(files.keep(TRACE).kept) == 0o600


def test_two_stories_of_one_moment_are_two_files(tmp_path, monkeypatch):
    kept_in(monkeypatch, tmp_path)
    files.keep(TRACE)
    files.keep(TRACE)

    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_kept_unasked(monkeypatch):
    kept_in(monkeypatch, "")

    assert files.keep(TRACE) is TRACE


def test_a_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "told", set())
    monkeypatch.setattr(runtime, "problems", [])
    (tmp_path / "file").touch()
    kept_in(monkeypatch, tmp_path / "file")

    assert files.keep(TRACE) is TRACE
    assert capsys.readouterr().err.startswith(f"autotb: keeping the error in AUTOTB_DIR={tmp_path}/file failed (")
