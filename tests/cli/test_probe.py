"""``doctor --engine``: a task inside the real workers, under the user's own configuration."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import programs

PARSL = """
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            label="mine",
            max_workers_per_node=1,
            address="127.0.0.1",
            cpu_affinity="none",
            provider=LocalProvider(worker_init="export MINE=1; export API_TOKEN=hidden", max_blocks=1),
        )
    ],
    strategy="none",
)
"""
DASK = """
from distributed import Client

client = Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
"""
PROCESSES = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
"""


def doctor(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "autotb", "doctor", *arguments],
        cwd=folder,
        env=programs.environment(),
        capture_output=True,
        text=True,
        timeout=150,
    )


@pytest.mark.behaviour("S1-45", "S1-47")
@pytest.mark.parametrize(
    ("engine", "config"),
    [("parsl", PARSL), ("dask", DASK), ("processes", PROCESSES), ("ray", ""), ("pyspark", ""), ("torchrun", "")],
)
@pytest.mark.on_main("parsl", "ray")
@pytest.mark.not_in_ci("pyspark", "torchrun")
def test_the_workers_say_what_they_can_import(tmp_path, engine, config):
    (tmp_path / "config.py").write_text(config)
    given = ["--config", "config.py"] if config else []
    ran = doctor(tmp_path, "--engine", engine, *given, "--import", "rich", "--import", "json", "--timeout", "120")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "  Success: rich=" in ran.stdout
    assert "json=" in ran.stdout
    assert "autotb active" in ran.stdout
    if engine == "parsl":
        assert "executor mine: Python 3." in ran.stdout
        assert "MINE is set in the worker only, to 1" in ran.stdout
        assert "API_TOKEN is set in the worker only, to ***" in ran.stdout
        assert "hidden" not in ran.stdout


@pytest.mark.behaviour("S1-47")
def test_a_module_that_is_missing_is_shown_with_its_error(tmp_path):
    ran = doctor(tmp_path, "--engine", "processes", "--import", "rich", "--import", "no_such_module")
    assert ran.returncode == 1
    assert "  Imported: rich=" in ran.stdout
    assert "  Failed: no_such_module" in ran.stdout
    assert "ModuleNotFoundError: No module named 'no_such_module'" in ran.stdout


CHANGED = """
import multiprocessing, os
from concurrent.futures import ProcessPoolExecutor

changed = {"AUTOTB_CONTEXT": "7", "API_TOKEN": "theirs"}
fork = multiprocessing.get_context("fork")
executor = ProcessPoolExecutor(1, mp_context=fork, initializer=os.environ.update, initargs=(changed,))
os.environ |= {"API_TOKEN": "ours", "SET_HERE_TOO": "1"}
"""


def test_settings_and_secrets_that_differ_in_a_worker_are_told(tmp_path):
    """A secret is compared as it is, and shown masked."""
    (tmp_path / "config.py").write_text(CHANGED)
    ran = doctor(tmp_path, "--engine", "processes", "--config", "config.py")

    assert "  setting: context is 7 in the worker, 3 in the driver\n" in ran.stdout
    assert "  environment: API_TOKEN is *** in the worker, *** in the driver\n" in ran.stdout
    assert "SET_HERE_TOO" not in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "nosuch"], "known are dask, parsl, processes, pyspark, ray, torchrun"),
        (["--engine", "parsl", "--config", "nowhere.py"], "there is no such file"),
        (["--engine", "parsl", "--config", "bad.py"], "fails: ZeroDivisionError"),
        (["--engine", "parsl", "--config", "empty.py"], "must define `config`, a Config"),
        (["--import", "rich"], "name it with --engine"),
    ],
)
def test_what_cannot_be_asked_is_one_line(tmp_path, arguments, says):
    (tmp_path / "bad.py").write_text("1 / 0\n")
    (tmp_path / "empty.py").write_text("nothing = 1\n")
    ran = doctor(tmp_path, *arguments)
    assert ran.returncode == 2, ran.stdout
    assert says in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
