"""Spark's Python workers that die: which, at which partition, and the Python lines of a crash; nothing is left on the machine."""

from __future__ import annotations

import re
import types
from typing import Any

import pytest

from autotb.engines.pyspark import deaths, driver, records
from autotb.postmortem import status_file
from autotb.record.annotate import attached
from tests import programs
from tests.engines import kit
from tests.programs import sections

PROGRAM = """
import ctypes
import os
import signal
import sys

from pyspark.sql import SparkSession
from pyspark.sql.functions import udf

builder = SparkSession.builder.master("local[2, 2]").config("spark.ui.showConsoleProgress", "false")
spark = builder.config("spark.ui.enabled", "false").getOrCreate()


def ended(how):
    if how == "crashed":
        ctypes.string_at(0)
    os.kill(os.getpid(), signal.SIGKILL)


def price(how):
    return ended(how) if how else 1


def crashed():
    spark.createDataFrame([("",), ("crashed",)], "how string").repartition(1).select(udf(price, "int")("how")).collect()


def killed():
    spark.sparkContext.parallelize(["", "killed"], 2).map(price).collect()


for name in sys.argv[1:]:
    sys.stderr.write(f"=== {name}\\n")
    sys.stderr.flush()
    try:
        globals()[name]()
    except Exception as error:
        print(name, type(error).__name__, "exited unexpectedly" in str(error), flush=True)
        sys.excepthook(type(error), error, error.__traceback__)
print(spark.sparkContext.parallelize(["", ""], 2).map(price).collect())
spark.stop()
"""
CASES = ("killed", "crashed")


def needs_spark(test):
    return kit.on_main(kit.newer(programs.needs("java")(test)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("deaths")


@pytest.fixture(scope="module")
def ran(folder):
    (folder / "runtime").mkdir()
    return run(folder)


def run(folder, **more: Any) -> programs.Ran:
    environment = {"SPARK_LOCAL_IP": "127.0.0.1", "AUTOTB_STYLE": "plain", "XDG_RUNTIME_DIR": str(folder / "runtime")}
    return programs.run(folder, PROGRAM, *CASES, timeout=300, **environment, **more)


@needs_spark
def test_a_killed_worker_is_told_with_its_partition(ran):
    text = sections(ran.stderr)["killed"]

    assert re.search(r"\[in a PySpark worker, pid \d+, partition 1, stage 0, attempt 2 of 2\]\n", text), text
    assert "started and then crashed: gone, its exit status is not known" in text
    assert text.count("in a PySpark worker") == 1


@needs_spark
def test_a_crash_has_its_python_lines(ran):
    text = sections(ran.stderr)["crashed"]

    assert re.search(r"in price\n    return ended\(how\).*\n.*in ended\n    ctypes\.string_at\(0\)\n", text, re.S), text
    assert "Fatal Python error: Segmentation fault" in text
    assert "price(…)" in text


@needs_spark
def test_the_program_is_as_without_autotb(ran, folder):
    bare = run(folder, autotb="0")

    assert ran.stdout == bare.stdout
    assert ran.stdout.splitlines()[-1] == "[1, 1]"
    assert ran.status == bare.status
    assert "in a PySpark worker" not in bare.stderr
    assert list((folder / "runtime").iterdir()) == []  # workers end after the program


# Without Spark


@pytest.fixture
def task(monkeypatch, tmp_path):
    """A task runs, in a worker of a driver that is this process too."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv(driver.FOLDER, str(tmp_path / "records"))
    monkeypatch.setattr(driver, "_folder", str(tmp_path / "records"))
    monkeypatch.setattr(deaths, "_status", None)
    monkeypatch.setattr(status_file, "_mine", None)
    found = types.SimpleNamespace(running=(3, 2, 1, 7))
    monkeypatch.setattr(records, "task", lambda: found.running)
    yield found
    if deaths._status is not None:
        deaths._status.end()


def price():
    pass


def read(command):
    return deaths.noting(lambda: command)()


LOST = "Job aborted: Lost task 3.1 in stage 2.0 (TID 7) (host executor driver): Python worker exited unexpectedly"


def test_a_task_that_ran_when_its_worker_ended_is_told(task, monkeypatch):
    assert read((price, "int")) == (price, "int")
    monkeypatch.setattr(status_file, "has_ended", lambda pid: True)
    error = RuntimeError(LOST)
    deaths.note(error, LOST, 4)
    hop = attached(error)["hops"][0]

    assert hop["label"] == "partition 3, stage 2, attempt 2 of 4"
    assert hop["call"] == "price(…)"
    assert hop["died"][0].startswith("started and then crashed: gone")


def test_of_a_task_of_two_functions_it_is_not_said_which_ran(task, monkeypatch):
    read((price, "int"))
    read((read, "int"))
    monkeypatch.setattr(status_file, "has_ended", lambda pid: True)
    error = RuntimeError(LOST)
    deaths.note(error, LOST, 4)

    assert "call" not in attached(error)["hops"][0]


def test_nothing_is_said_of_a_worker_that_lives_or_did_another_task(task, monkeypatch):
    monkeypatch.setattr(deaths, "_PATIENCE", 0.0)
    error = RuntimeError(LOST)
    read((price, "int"))
    deaths.note(error, LOST, 4)
    monkeypatch.setattr(status_file, "has_ended", lambda pid: True)
    deaths.note(error, LOST.replace("TID 7", "TID 8"), 4)
    deaths.note(error, "Job aborted.", 4)
    deaths.ending(lambda: None)()  # it was done
    deaths.note(error, LOST, 4)

    assert attached(error) is None


def test_a_worker_without_a_driver_on_this_machine_leaves_no_word(task, monkeypatch):
    monkeypatch.delenv(driver.FOLDER)
    read((price, "int"))
    task.running = (-1, -1, 0, -1)
    monkeypatch.setenv(driver.FOLDER, "/records")
    read((price, "int"))

    assert deaths._status is None
