"""An engine whose internals moved: each patch in turn finds nothing, or meets another signature, or our own code raises.

The program's results, exceptions and status are those of a run without autotb; the user's line in the worker is shown where the
engine's text has it; ``doctor`` names the patch.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotb.cli import triggers
from autotb.instrument import code_swap, patch
from tests import programs
from tests.engines import kit

BREAKING = str(Path(__file__).parent / "breaking")

#: An adapter's program: the test module that has it, its cases, what stands before them.
PROGRAMS = {
    "joblib": ("test_joblib", ["loky:ok", "loky:score", "threads:score", "processes:score"], []),
    "loky": ("test_joblib", ["submit:ok", "submit:score"], []),
    "dask": ("test_dask", ["threads:ok", "threads:score", "processes:score"], []),
    "distributed": ("test_dask", ["submit:ok", "submit:score", "gather:score", "actor:score"], ["processes"]),
    "torch": ("test_torch", ["loader:ok", "loader:score", "spawn:score"], []),
    "multiprocess": ("test_multiprocess", ["apply:ok", "apply:score", "pathos_map:score"], []),
    "mpire": ("test_mpire", ["map_:ok", "map_:score", "apply:score"], []),
    "pebble": ("test_pebble", ["schedule:ok", "schedule:score", "map_:score", "threads:score"], []),
    "speedy_utils": ("test_speedy_utils", ["threads:ok", "threads:score", "spawned:score", "process_threads:score"], []),
    "pipefunc": ("test_pipefunc", ["mapped:ok", "mapped:score"], []),
    "executorlib": ("test_executorlib", ["submit:ok", "submit:score", "cached:score"], []),
    "celery": ("test_celery", ["get:ok", "get:score"], []),
    "pyspark": ("test_pyspark", ["rdd:ok", "rdd:score"], []),
    "ipyparallel": ("test_ipyparallel", ["sync:ok", "sync:score"], []),
    "prefect": ("test_prefect", ["threads:ok", "threads:score"], []),
    "gevent": ("test_gevent", ["spawn:ok", "spawn:score"], []),
    "ray": ("test_degrading", ["task:ok", "task:score", "actor:score"], []),
    "parsl": ("test_degrading", ["app:ok", "app:score"], []),
    "futures": ("test_degrading", ["thread:ok", "thread:score", "process:score"], []),
    "multiprocessing": ("test_degrading", ["pool:ok", "pool:score", "imap:score", "child:ok"], []),
}
MAINS = {"loky": "LOKY", "dask": "LOCAL", "distributed": "CLUSTER", "ray": "RAY", "parsl": "PARSL", "futures": "FUTURES"}
MAINS |= {"multiprocessing": "MULTIPROCESSING"}
#: Told by what runs them: no engine of ours, or a command of its own.
ELSEWHERE = {"asyncio", "threads", "interpreters", "trio", "anyio", "hamilton", "datasets", "mpi4py", "torchelastic"}

SHOWN_BY_THE_ENGINE = {"speedy_utils", "prefect"}  # they draw panels of their own

RAY = """\
import os
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
import ray
import cases

def task(task):
    return ray.get(ray.remote(task).remote(0))

class Actor:
    def call(self, task):
        return task(0)

def actor(task):
    return ray.get(ray.remote(Actor).remote().call.remote(task))

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    ray.init(num_cpus=1, include_dashboard=False, logging_level=40, runtime_env={"env_vars": {"PYTHONPATH": here + os.pathsep + os.environ.get("PYTHONPATH", "")}})
    cases.run(globals())
"""
PARSL = """\
import parsl
from parsl import Config, python_app
from parsl.executors import ThreadPoolExecutor
import cases

def app(task):
    return python_app(task)(0).result()

if __name__ == "__main__":
    with parsl.load(Config(executors=[ThreadPoolExecutor(max_threads=1)], initialize_logging=False)):
        cases.run(globals())
"""
FUTURES = """\
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import cases

def thread(task):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(task, 0).result()

def process(task):
    with ProcessPoolExecutor(1) as pool:
        return list(pool.map(task, [1, 0]))

if __name__ == "__main__":
    cases.run(globals())
"""
MULTIPROCESSING = """\
import multiprocessing
import cases

def pool(task):
    with multiprocessing.Pool(1) as pool:
        return pool.map(task, [1, 0])

def imap(task):
    with multiprocessing.Pool(1) as pool:
        return list(pool.imap(task, [1, 0]))

def child(task):
    process = multiprocessing.Process(target=task, args=(0,))
    process.start()
    process.join()
    return process.exitcode

if __name__ == "__main__":
    cases.run(globals())
"""


def short(name: str) -> str:
    return name.rpartition(".")[2]


ADAPTERS = [name for name in sorted(triggers.adapters()) if ".engines." in name]
RUN = [name for name in ADAPTERS if short(name) in PROGRAMS]
pytestmark = kit.on_main


def test_every_adapter_is_broken_somewhere():
    assert {short(name) for name in ADAPTERS} == set(PROGRAMS) | ELSEWHERE


def program(name: str) -> tuple[kit.Program, list[str]]:
    module, cases, before = PROGRAMS[short(name)]
    found = importlib.import_module(f"tests.engines.{module}")
    main = getattr(found, MAINS.get(short(name), "MAIN"))
    return kit.Program(main, environment={"C_FORCE_ROOT": "1", "SPARK_LOCAL_IP": "127.0.0.1"}), [*before, *cases]


_bare: dict[str, programs.Ran] = {}


def bare(name: str, folder: Path) -> programs.Ran:
    """What the program does without autotb: once for all patches of an adapter."""
    if name not in _bare:
        made, cases = program(name)
        _bare[name] = made.run(folder, *cases, autotb="0")
    return _bare[name]


def check(name: str, tmp_path: Path, workers: str = "", **environment: str) -> programs.Ran:
    """The program does what it does without autotb; ``workers`` is its switch in processes that the program starts."""
    made, cases = program(name)
    expected = bare(name, tmp_path / "bare")
    if workers:
        made.main = f"import os\n\nos.environ['AUTOTB'] = {workers!r}\n" + made.main
        environment["autotb"] = "01"[workers == "0"]
    ran = made.run(tmp_path / "ours", *cases, PYTHONPATH=BREAKING, **environment)

    assert made.outcomes(ran) == made.outcomes(expected), ran.stderr
    assert ran.status == expected.status
    told, without = programs.sections(ran.stderr), programs.sections(expected.stderr)
    for case, text in without.items():
        if "in divide" in text:
            assert "in divide" in told[case], f"{case}\n{told[case]}"
    return ran


class Breaking:
    """The tests of one adapter, whose program without autotb is run once."""

    NAME = ""

    def test_a_name_that_moved_costs_that_one_nicety(self, target, tmp_path):
        ran = check(self.NAME, tmp_path, BREAK=target)

        assert "autotb:" not in ran.stderr, ran.stderr

    def test_our_own_functions_raise(self, tmp_path):
        check(self.NAME, tmp_path, RAISE="1")

    def test_workers_without_autotb(self, tmp_path):
        ran = check(self.NAME, tmp_path, workers="0")

        assert "autotb:" not in ran.stderr, ran.stderr

    def test_a_driver_without_autotb(self, tmp_path):
        ran = check(self.NAME, tmp_path, workers="1")

        assert "__autotb__" not in ran.stderr
        assert "╭─" not in ran.stderr.replace("Exception in", "") or short(self.NAME) in SHOWN_BY_THE_ENGINE

    @classmethod
    def targets(cls):
        patches = importlib.import_module(cls.NAME).PATCHES
        return [f"{entry.module}:{entry.qualname}" for entry in patches if entry.module != "concurrent.futures.interpreter"]


# One class an adapter, so that each is run by one process of the tests.
for _name in RUN:
    _class = type(f"Test_{short(_name)}", (Breaking,), {"NAME": _name})
    _command = programs.ENGINES_NEED.get(short(_name))
    globals()[_class.__name__] = programs.needs(_command)(_class) if _command else _class


@pytest.mark.parametrize("name", ADAPTERS, ids=short)
def test_another_signature_is_refused(name):
    """The wrapper would not take the calls that the function takes by now: the function stays as it is."""

    def theirs(first_of_another_name, second_of_another_name, third, fourth, fifth, *, sixth):
        return "theirs"

    for declared in importlib.import_module(name).PATCHES:
        new = None
        try:
            new = declared.wrap(theirs)
        except Exception:
            continue  # it asks the module that it is for
        try:
            patch._check_signature(new, theirs)
        except code_swap.Moved as moved:
            assert "another way" in str(moved)
        else:
            code = new.__code__
            assert code.co_flags & 0x04, f"{declared.qualname} takes no further arguments"
            assert code.co_flags & 0x08, f"{declared.qualname} takes no further arguments by name"


def test_doctor_names_every_patch_that_found_nothing(tmp_path):
    targets = [
        declared
        for name in ADAPTERS
        for declared in importlib.import_module(name).PATCHES
        if declared.module not in ("concurrent.futures.interpreter", "threading")
    ]
    gone = ",".join(f"{declared.module}:{declared.qualname}" for declared in targets)
    ran = subprocess.run(
        [sys.executable, "-m", "autotb", "doctor", "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=tmp_path,
        env={**programs.environment(), "PYTHONPATH": BREAKING, "BREAK": gone},
    )
    report = json.loads(ran.stdout)

    assert ran.returncode == 1
    told = "\n".join(report["problems"])
    for declared in targets:
        if not declared.optional:
            assert f"{declared.module}.{declared.qualname} is absent" in told, declared.qualname
    assert "autotb does without it" in told


def test_doctor_is_content_with_the_engines_as_they_are(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "autotb", "doctor"],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=tmp_path,
        env={**programs.environment(), "HOME": os.environ.get("HOME", str(tmp_path))},
    )

    assert ran.returncode == 0, ran.stdout[-3000:]
    assert ran.stdout.rstrip().endswith("all is well")
