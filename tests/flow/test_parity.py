"""One flow on every executor that people have comes to the same: values, snapshots, reasons, root causes, what is stored."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests import programs
from tests.engines import kit
from tests.postmortem.test_executor_deaths import flat

PROGRAMS = Path(__file__).parent / "programs"
EXECUTORS = [
    "processes",
    "pool",
    "spawned",
    "loky",
    "ray",
    "dask",
    "parsl",
    pytest.param("mpi", marks=[kit.on_main, programs.needs("mpiexec")]),
]


def ran(tmp_path, name, program="parity.py", **options):
    folder = tmp_path / f"{program}-{name}"
    folder.mkdir(parents=True)
    for path in PROGRAMS.glob("*.py"):
        shutil.copy(path, folder)
    script = str(folder / program)
    command = [sys.executable, script, name]
    if name == "mpi":
        command = ["mpiexec", "--oversubscribe", "-n", "3", sys.executable, "-m", "mpi4py.futures", script, name]
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return programs.start(command, folder, PYTHONPATH=str(folder), **root, **options)


def outcome(tmp_path, name):
    done = ran(tmp_path, name)
    assert done.status == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return outcome(tmp_path_factory.mktemp("parity"), "threads")


@pytest.mark.behaviour("S2-10", "S2-12", "S2-55", "S2-57", "S2-61")
@pytest.mark.on_main("ray", "parsl")
@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_comes_to_the_same(tmp_path, name, expected):
    assert outcome(tmp_path, name) == expected


@pytest.mark.behaviour("S2-12", "S2-55", "S2-57")
def test_what_it_comes_to(expected):
    load = expected["memory"]["load"]
    assert load[:3] == [0, 10, 20]
    story = ["failed", "load", {"number": 3, "scale": 10}, "Unlucky", "3 is unlucky", {"number": 3, "note": "as ever"}]
    assert load[3] == [*story, ["load"], ["[load(number=3, scale=10)]"]]
    assert expected["memory"]["summarise"][:5] == [
        "skipped",
        "summarise",
        "array_contains_errors",
        {"values": ["partial", [[3, 5]], 2]},
        [[3, 5]],
    ]
    assert expected["memory"]["summarise"][5] == [load[3], load[5]]
    assert expected["memory"]["pair"] == [[0, 0, 0], [5, 6, 7]]
    assert expected["memory"] == expected["folder"] == expected["resumed"]
    assert expected["raised"] is True
    assert [(name, len(found)) for name, found in expected["left out"].items() if found] == [
        ("rest", 1),
        ("kind", 2),
        ("rows", 1),
    ]
    assert expected["memory"]["rest"] == 1 + 11 + 21 + 41 + 61 + 71
    assert expected["streamed"] == [number * number for number in range(30)]
    products = [[2 * at for at in range(start, start + 6)] for start in (0, 10, 20)]
    assert expected["made again"] == [[one, [at + 1 for at in one], sum(one) + 6] for one in products]
    assert expected["tried"] == {
        "lines": [
            "attempt 3 of 3, before: ConnectionError: 2 is reset; KeyError: 2",
            "attempt 1 of 3 (ConnectionError is not retried)",
            "",
        ],
        "earlier": [["ConnectionError", "KeyError"], [], []],
        "counts": [[3, 0], [0, 0], [0, 1]],
        "kinds": [["int", "int", "ErrorSnapshot"], ["ErrorSnapshot"], ["int", "ErrorSnapshot"]],
        "frames": ["rests"],
    }


@pytest.mark.behaviour("S2-4")
@pytest.mark.parametrize("name", ["processes", "loky", "ray", "dask"])
@pytest.mark.on_main("ray", "dask")
def test_a_worker_that_dies_ends_the_run_and_is_told_with_the_call(tmp_path, name):
    told = []
    for autotb in ("1", "0"):
        done = ran(tmp_path / autotb, name, "deaths.py", autotb=autotb)
        assert done.status == 1
        told.append(re.search(r"dies\((number=)?2\) and 1 more .*started and then crashed", flat(done.stderr)) is not None)
    assert told == [True, False]


@pytest.mark.behaviour("S2-4")
def test_results_that_are_never_had_do_not_keep_a_death_from_being_told(tmp_path):
    done = ran(tmp_path, "dask", "lost.py")
    assert done.status == 1
    assert "KilledWorker: " in done.stderr
