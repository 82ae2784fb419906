"""A path in as many cells as there are."""

from __future__ import annotations

import os

import pytest

from autotb.render import paths

PATH = "/home/me/src/job.py"


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (19, PATH),
        (18, "…/me/src/job.py"),
        (15, "…/me/src/job.py"),
        (14, "…/src/job.py"),
        (11, "…/job.py"),
        (8, "…/job.py"),
        (7, None),
        (-3, None),
    ],
)
def test_its_first_folders_are_left_out(room, shown):
    assert paths.fitted(PATH, room, len) == shown


def test_the_mark_may_be_another():
    assert paths.fitted(PATH, 12, len, "...") == ".../job.py"


def test_below_the_folder_of_the_program_it_is_one_that_can_be_opened(monkeypatch, tmp_path):
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "src" / "job.py")

    assert paths.fitted(path, 12, len) == os.path.join("src", "job.py")
    assert paths.fitted(str(tmp_path) + "2/src/job.py", 12, len) == "…/src/job.py"


def test_a_folder_that_is_gone_is_none(monkeypatch, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    assert paths.fitted(f"{folder}/job.py", 12, len) == "…/job.py"


def test_windows_has_another_separator():
    assert paths.fitted("C:\\Users\\me\\job.py", 10, len) == "…\\job.py"


@pytest.mark.parametrize("path", ["<string>", "job.py", "", "/", "a/"])
def test_what_has_no_folder_stays(path):
    assert paths.fitted(path, 8, len) == path
    assert paths.fitted("<a long name>", 8, len) is None


@pytest.mark.parametrize(("path", "shown"), [(PATH, "…/job.py"), ("job.py", "job.py"), ("", ""), ("a\\b", "…\\b")])
def test_the_shortest(path, shown):
    assert paths.shortest(path) == shown
