"""The public names have types: a program that uses them is checked strictly, and its mistakes are found."""

from __future__ import annotations

import ast
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import autotb

BIN = Path(sys.executable).parent
STUB = ast.parse(Path(autotb.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))

GOOD = """\
from __future__ import annotations

import multiprocessing.pool
from concurrent.futures import Future, ThreadPoolExecutor
from typing_extensions import assert_type

import autotb


def ratio(x: int) -> float:
    return 1 / x


def main(result: multiprocessing.pool.AsyncResult[str]) -> None:
    with ThreadPoolExecutor() as pool:
        future: Future[float] = pool.submit(ratio, 1)
        assert_type(autotb.unwrap(future, "it", timeout=3), float)
        assert_type(autotb.unwrap_with_retry(future, max_retries=2), float)
        assert_type(autotb.unwrap(result), str)
        collected = autotb.collect({"a": future})
        assert_type(collected, autotb.Collected)
        for failure in collected.failures:
            print(failure.error)
    assert_type(autotb.map(ratio, [1, 2]), list[float])
    try:
        ratio(0)
    except ZeroDivisionError as error:
        trace = autotb.explain(error)
        assert_type(trace, autotb.Trace)
    except autotb.WorkerDied as death:
        print(death.pid + 1)
    autotb.install()
    assert_type(autotb.uninstall(), list[str])
    assert_type(autotb.__version__, str)
"""

BAD = """\
from concurrent.futures import Future

import autotb


def main(future: "Future[int]") -> None:
    autotb.no_such_name
    autotb.unwrap(future, nonsense=1)
    text: str = autotb.unwrap(future)
    autotb.unwrap_with_retry(future, tries=2)
    autotb.collect([future], prgress=True)
    autotb.explain("no exception")
"""
WRONG = {7, 8, 9, 10, 11, 12}

CHECKERS = {"mypy": ["mypy", "--strict", "--no-error-summary", "--cache-dir", "cache"], "pyright": ["pyright"]}


@pytest.mark.on_main()
@pytest.mark.parametrize("name", CHECKERS)
def test_a_program_is_checked_against_the_public_names(name, tmp_path):
    command = shutil.which(name, path=str(BIN))
    if command is None:
        if name == "mypy" and os.environ.get("CI"):
            pytest.fail("mypy is not here")
        pytest.skip(f"{name} is not here; `python -m tests.release` runs it")
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    done = subprocess.run(
        [command, *CHECKERS[name][1:], "good.py", "bad.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "AUTOTB": "0"},
    )
    lines = [line for line in done.stdout.splitlines() if " error: " in line or " - error: " in line]

    assert "good.py" not in done.stdout, done.stdout
    assert {int(line.partition("bad.py:")[2].partition(":")[0]) for line in lines} == WRONG, done.stdout + done.stderr


def test_the_stub_has_every_public_name_and_no_other():
    imported = {alias.asname for node in STUB.body if isinstance(node, ast.ImportFrom) for alias in node.names if alias.asname}
    defined = {node.name for node in STUB.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}

    assert imported | defined == set(autotb.__all__)


def test_what_the_stub_says_that_a_function_takes_it_takes():
    for node in STUB.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            real = inspect.signature(getattr(autotb, node.name)).parameters
            anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in real.values())
            taken = set(real) | (set(inspect.signature(autotb.unwrap).parameters) if anything else set())
            for argument in (*node.args.args, *node.args.kwonlyargs):
                assert argument.arg in taken, (node.name, argument.arg)


def test_the_marker_is_there():
    assert (Path(autotb.__file__).parent / "py.typed").exists()
