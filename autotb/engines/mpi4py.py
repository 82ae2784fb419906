"""mpi4py.futures: ``MPIPoolExecutor``, whose workers are MPI processes.

A worker formats what a task raised, strips the exception and wraps it in ``_ExceptionWrapper(exception, text)``, which MPI sends
as a pickle; the record rides on that.  Source: https://mpi4py.readthedocs.io/en/stable/mpi4py.futures.html
"""

from __future__ import annotations

import functools
import sys

from autotb import assumption, engine_facts
from autotb.assumption import Frame, Lost
from autotb.instrument import exception_wrappers, submission
from autotb.instrument.patch import Patch, together_with
from autotb.record import static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.instrument.types import Function

MODULES = ("mpi4py.futures._core", "mpi4py.futures.pool")
NAME = "mpi4py.futures"
DISTRIBUTION = "mpi4py"
CAPTURED = "MPIPoolExecutor: submit, map, starmap; workers started by mpiexec or spawned"
TESTED = "4.1"

engine_facts.register(own=("mpi4py",), remote_texts=("mpi4py.futures._core.RemoteTraceback",))

CALL = Frame(
    "mpi4py.futures._core",
    "server_exec.<locals>.call",
    "func",
    "args",
    "kwargs",
    costs=Lost.CALL,
)


def _wrap_format(original: Function) -> Function:
    """Runs in the worker with the exception alive, just before its traceback is taken from it."""

    @functools.wraps(original)
    def _format_exc(exc: BaseException, comm: Any) -> Any:
        text = original(exc, comm)
        try:
            from autotb.record import annotate, build

            given = assumption.read(sys._getframe(2), CALL, limit=5)
            call = build.call_text(*given) if given else None
            hop = build.hop("mpi4py", f"in MPI worker {comm.Get_rank()}", call=call)
            annotate.attach(exc, build.record(exc, static.traceback_of(exc), hop))
        except Exception:
            pass  # without a record the driver reads the text
        return text

    return _format_exc


def _wrap_wrap(original: Function) -> Function:
    """What is sent is made fit to travel, with its record."""

    @functools.wraps(original)
    def _wrap_exc(exc: BaseException, tb: str) -> Any:
        wrapper = original(exc, tb)
        try:
            from autotb.record import pickling
            from autotb.record.capture import KEY, fields_of

            wrapper.args = pickling.travelling(exc, tb, dict.get(fields_of(exc), KEY))
        except BaseException:  # of pickling it: mpi4py will see the same
            pass  # then as mpi4py does it
        return wrapper

    return _wrap_exc


def _wrap_unwrap(original: Function) -> Function:
    """Runs in the driver, on what arrives."""
    return exception_wrappers.wrap_rebuild(original, sys.modules["mpi4py.futures._core"].RemoteTraceback)


def ready(_module: str) -> None:
    """The futures are the standard library's, which nothing else may have loaded."""
    together_with("autotb.engines.futures")


PATCHES = (
    Patch("mpi4py.futures._core", "_format_exc", _wrap_format, costs=Lost.RECORD),
    Patch("mpi4py.futures._core", "_wrap_exc", _wrap_wrap, costs=Lost.FIT),
    Patch("mpi4py.futures._core", "_unwrap_exc", _wrap_unwrap, costs=Lost.RECORD),
    Patch("mpi4py.futures.pool", "MPIPoolExecutor.submit", submission.on_result, costs=Lost.SITE),
)
ASSUMPTIONS = (CALL,)

#: What ``python -m autotb demo --engine mpi4py`` runs: a user's script.
DEMO = '''\
"""MPI processes score eight items; one of them is bad."""

import os
import sys

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor() as executor:
        return list(executor.map(score, ITEMS))


if __name__ == "__main__":
    if "OMPI_COMM_WORLD_RANK" in os.environ or "PMI_RANK" in os.environ:
        main()
    else:
        os.execvp("mpiexec", ["mpiexec", "-n", "2", sys.executable, "-m", "mpi4py.futures", __file__])
'''
