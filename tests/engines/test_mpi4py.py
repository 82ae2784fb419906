"""mpi4py.futures: a real MPIPoolExecutor under Open MPI."""

from __future__ import annotations

import shutil
import sys

import pytest

from tests import programs
from tests.engines import kit
from tests.engines.declared import Engine

pytestmark = [kit.on_main, programs.needs("mpiexec")]

MAIN = """\
import os
import sys

from mpi4py.futures import MPIPoolExecutor

import cases


def submit(task):
    with MPIPoolExecutor(max_workers=1) as executor:
        return executor.submit(task, 0).result()


def map_(task):
    with MPIPoolExecutor(max_workers=1) as executor:
        return list(executor.map(task, [1, 0]))


def starmap(task):
    with MPIPoolExecutor(max_workers=1) as executor:
        return list(executor.starmap(task, [(1,), (0,)]))


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "mpi4py": Engine(
        requires=("mpi4py>=4.1",),
        heavy=True,
        oldest=("mpi4py==4.1.0",),
        needs="mpiexec",
        environment={"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"},
        unbroken="its programs are started by mpiexec",
    ),
}
COMMAND = ["mpiexec", "--oversubscribe", "-n", "2", sys.executable, "-m", "mpi4py.futures"]
ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}
CASES = [f"{way}:{task}" for way in ("submit", "map_") for task in kit.STORIES] + ["starmap:score"]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    assert shutil.which("mpiexec"), "Open MPI is not installed: apt-get install openmpi-bin"
    ran = kit.Program(MAIN, hangs=("submit:locked", "map_:locked", "submit:two", "map_:two"))
    ours, bare = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("bare")
    ran.ours = ran.run(ours, *CASES, "submit:ok", command=COMMAND, **ROOT)
    kept = [case for case in CASES if case not in ran.hangs]
    ran.bare = ran.run(bare, *kept, "submit:ok", command=COMMAND, autotb="0", **ROOT)
    return ran


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_failure_is_one_short_story(program, case):
    kit.check(program, case, where="in MPI worker 0, pid", own=("/mpi4py/",))
    if case.endswith(":score"):
        assert kit.submitted(program.story(case)) == [case.partition(":")[0]]
        assert "score(item=0)" in program.story(case)


def test_the_program_catches_the_exceptions_themselves(program):
    ours, bare = program.outcomes(program.ours), program.outcomes(program.bare)

    assert set(bare) <= set(ours)
    assert "submit two raised NeedsTwo" in ours
    assert "submit locked raised HoldsLock" in ours
    assert "submit ok returned 0" in ours


def test_the_exit_status(tmp_path):
    statuses = {
        switch: kit.Program(MAIN).run(tmp_path / switch, "!submit:score", command=COMMAND, autotb=switch, **ROOT).status
        for switch in ("0", "1")
    }

    assert statuses["0"] == statuses["1"] != 0
