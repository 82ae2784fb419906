"""What Spark's workers know of their driver, and what goes with that."""

from __future__ import annotations

import os

import pytest

from autotb.engines.pyspark import driver
from autotb.postmortem import status_file


@pytest.fixture
def here(monkeypatch, tmp_path):
    monkeypatch.setattr(driver, "_folder", "")
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(tmp_path / f"{prefix}1"))
    monkeypatch.setattr("atexit.register", lambda *_: None)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(status_file, "_mine", None)
    return tmp_path


def test_the_jvm_inherits_the_folders_name(here):
    seen = driver.telling(lambda: os.environ.get(driver.FOLDER))()

    assert driver.FOLDER not in os.environ
    assert seen == driver.folder() == driver.made() == str(here / "autotb-spark-1")


def test_a_driver_that_starts_no_jvm_has_none(here):
    assert driver.folder() == ""


def test_the_numbers_of_two_drivers_tasks_differ():
    assert driver.number("/tmp/autotb-spark-1", 5) != driver.number("/tmp/autotb-spark-2", 5)
    assert driver.number("/tmp/autotb-spark-1", 5) != driver.number("/tmp/autotb-spark-1", 6)


@pytest.mark.parametrize(("of", "left"), [("autotb-spark-1", 0), ("autotb-spark-2", 1)])
def test_at_the_end_what_its_own_workers_left_is_taken_away(here, of, left):
    status = status_file.begin()
    status.runs(driver.number(f"/tmp/{of}", 5), 0, "price()")
    driver._end(driver.made(), os.getpid())

    assert len(list(here.glob("autotb/*"))) == left
    status.end()


def test_a_forked_child_takes_nothing_away(here):
    os.mkdir(driver.made())
    driver._end(driver.made(), os.getpid() + 1)

    assert os.path.isdir(driver.made())
