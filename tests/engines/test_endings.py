"""Results and exceptions that end in SystemExit, KeyboardInterrupt or the like while they are pickled or made again.

We pickle things once more, to see what is at fault: the outcome is the engine's own all the same.
"""

from __future__ import annotations

import pytest

PROGRAM = '''\
import sys
import threading


class Ending(BaseException):
    pass


KINDS = {"exit": SystemExit(5), "interrupt": KeyboardInterrupt("no"), "ending": Ending("over"), "error": ValueError("plain")}


class AtPickle:
    """Ends so each time that it is pickled."""

    def __init__(self, kind):
        self.kind = kind

    def __reduce__(self):
        raise KINDS[self.kind]


class ErrorAtPickle(Exception):
    def __init__(self, kind):
        self.kind = kind

    def __reduce__(self):
        raise KINDS[self.kind]


class ErrorWithPart(Exception):
    """It cannot be pickled for an usual reason, and a part of it ends so."""

    def __init__(self, kind):
        super().__init__(kind, threading.Lock())
        self.part = AtPickle(kind)


def end(kind):
    raise KINDS[kind]


class ErrorAtUnpickle(Exception):
    def __init__(self, kind):
        self.kind = kind

    def __reduce__(self):
        return end, (self.kind,)


class Unprintable(Exception):
    def __str__(self):
        raise SystemExit(5)


def returns(kind):
    return AtPickle(kind)


def raises(kind):
    raise ErrorAtPickle(kind)


def raises_with_part(kind):
    raise ErrorWithPart(kind)


def raises_unprintable(kind):
    raise Unprintable(kind)


def takes(value):
    return "taken"


TASKS = [returns, raises, raises_unprintable]


def outcomes(submit, *more):
    for task in (*TASKS, *more):
        for kind in KINDS:
            try:
                outcome = repr(submit(task, kind))
            except BaseException as error:
                outcome = type(error).__name__
            print(task.__name__, kind, outcome, flush=True)
'''

ENGINES = {
    "fork": """
        def submit(task, kind):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
                return pool.submit(task, kind).result()
    """,
    "spawn": """
        POOL = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) if __name__ == "__main__" else None

        def submit(task, kind):
            return POOL.submit(task, kind).result()
    """,
    "loky": """
        def submit(task, kind):
            return loky.get_reusable_executor(2, timeout=100).submit(task, kind).result(60)
    """,
}
HEAD = """\
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from endings import *
"""


def program(tmp_path, engine, *more):
    import textwrap

    (tmp_path / "endings.py").write_text(PROGRAM)
    imports = "import loky\n" if engine == "loky" else ""
    tasks = ", ".join(["submit", *more])
    return f'{HEAD}{imports}{textwrap.dedent(ENGINES[engine])}\nif __name__ == "__main__":\n    outcomes({tasks})\n'


@pytest.mark.parametrize("engine", ["fork", "spawn", "loky"])
def test_what_ends_the_pickling_ends_it_as_without_us(tmp_path, run, engine):
    if engine == "loky":
        pytest.importorskip("loky")
    code = program(tmp_path, engine)

    ours, bare = run(code, timeout=60, AUTOTB_UNRETRIEVED="0"), run(code, timeout=60, autotb="0")

    def usual(ran):  # an exception that the engine cannot carry arrives with us: AUTOTB_RESCUE
        return [line for line in ran.stdout.splitlines() if not line.startswith("raises error ")]

    assert usual(ours) == usual(bare)
    assert ours.status == bare.status
    assert len(usual(ours)) == 11


def test_an_argument_that_ends_its_pickling_fails_its_own_task_only(tmp_path, run):
    pytest.importorskip("loky")
    code = program(tmp_path, "loky").replace("outcomes(submit)", "arguments(submit)")
    code = code.replace(
        'if __name__ == "__main__"',
        """
def arguments(submit):
    for kind in KINDS:
        try:
            outcome = submit(takes, AtPickle(kind))
        except BaseException as error:
            outcome = type(error).__name__
        print(kind, outcome, flush=True)


if __name__ == "__main__\"""",
    )

    ours, bare = run(code, timeout=60, AUTOTB_UNRETRIEVED="0"), run(code, timeout=60, autotb="0")

    assert ours.stdout == bare.stdout
    assert ours.stdout.count("\n") == 4


def test_a_part_that_ends_its_pickling_is_left_out(tmp_path, run):
    """The engine's pickling fails of another part, so that the exception is made fit to travel."""
    ours = run(program(tmp_path, "fork", "raises_with_part"), timeout=60)

    told = [line.split()[2] for line in ours.stdout.splitlines() if line.startswith("raises_with_part")]
    assert told == ["ErrorWithPart"] * 4


def test_what_ends_only_the_driver_that_reads_it_arrives_all_the_same(tmp_path, run):
    """Without us the pool breaks, or hangs."""
    code = program(tmp_path, "fork", "raises_at_unpickle")
    code = code.replace(HEAD, HEAD + "\n\ndef raises_at_unpickle(kind):\n    raise ErrorAtUnpickle(kind)\n\n\n")

    ours = run(code, timeout=60)

    assert [line.split()[2] for line in ours.stdout.splitlines() if "at_unpickle" in line] == ["ErrorAtUnpickle"] * 4
