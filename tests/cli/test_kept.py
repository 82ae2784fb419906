"""Failures are read of every file and folder that has them; what is torn, or another program's, is told apart."""

from __future__ import annotations

import json
import os

import pytest

from autotb.cli import kept
from autotb.record import arrival
from autotb.trace.serial import NoStoryError
from tests.render.stories import ZERO, trace

STORY = trace(ZERO).to_dict()
STAMPED = "20261126-031500-7-1-ZeroDivisionError.json"


def write(path, *records, text=""):
    path.write_text(text + "".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def everything(*paths):
    bad = []
    found = list(kept.everything(list(map(str, paths)), lambda path, why: bad.append((os.path.basename(path), why))))
    return found, bad


def test_one_story_and_when_it_was(tmp_path):
    (one,) = kept.stories(write(tmp_path / STAMPED, STORY))
    assert (one.call, one.time, one.trace.stack) == ("score(x=0)", 1795662900.0, ZERO)

    (other,) = kept.stories(write(tmp_path / "other.json", {"name": "x", **STORY}))
    assert (other.name, other.time) == ("x", 0.0)


@pytest.mark.parametrize("when", ["soon", -1.0, 1e300, None, True])
def test_lines_with_their_times(tmp_path, when):
    path = write(
        tmp_path / "l.jsonl", {"name": "a", "time": 1795662900.5, **STORY}, {"status": "success"}, {"time": when, **STORY}
    )

    assert [(one.name, one.time) for one in kept.stories(path)] == [("a", 1795662900.5), ("", 0.0)]


def test_lines_are_read_one_by_one_however_large_the_file(tmp_path, monkeypatch):
    path = write(tmp_path / "l.jsonl", *[STORY] * 20)
    monkeypatch.setattr(arrival, "MAX_FILE", os.path.getsize(path) // 10)

    assert len(list(kept.stories(path))) == 20
    with pytest.raises(ValueError, match="larger than"):
        list(kept.stories(write(tmp_path / "whole.json", text=json.dumps({"failures": [STORY] * 20}, indent=1))))


def test_a_torn_line_is_told_and_the_others_are_read(tmp_path):
    path = write(tmp_path / "l.jsonl", STORY, STORY)
    with open(path, "a") as file:
        file.write(json.dumps(STORY)[:50] + "\n" + json.dumps(STORY) + "\n")

    with pytest.raises(ValueError, match="line 3 is not JSON"):
        list(kept.stories(path))
    found, bad = everything(path)
    assert len(found) == 3
    assert [str(why).partition(" (")[0] for _, why in bad] == ["line 3 is not JSON, or was cut off"]


def test_a_folder_with_all_kinds_and_others_among_them(tmp_path):
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep" / STAMPED, STORY)
    write(tmp_path / "lines.jsonl", STORY, {"status": "success"}, STORY)
    write(tmp_path / "all.json", text=json.dumps({"failures": [STORY]}, indent=1))
    write(tmp_path / "package.json", {"name": "x"})
    write(tmp_path / "torn.json", text=json.dumps(STORY)[:50])
    write(tmp_path / "notes.txt", text="no JSON")
    os.mkfifo(tmp_path / "pipe.json")
    found, bad = everything(tmp_path)

    assert len(found) == 4
    assert {name: type(why) for name, why in bad} == {
        "package.json": NoStoryError, "torn.json": ValueError, "pipe.json": ValueError,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "text", "{}", "[1]", '{"a": 1}\n{"b": 2}\n'])
def test_a_file_that_is_named_must_hold_something(tmp_path, text):
    with pytest.raises(ValueError, match=r"no story|not JSON"):
        everything(write(tmp_path / "x.json", text=text))


def test_what_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError):
        everything(tmp_path / "nothing")


def test_an_empty_folder_has_no_failure(tmp_path):
    assert everything(tmp_path) == ([], [])
