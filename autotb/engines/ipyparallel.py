"""ipyparallel: engines of a cluster, direct and load-balanced views.

An engine sends the name, the message and IPython's rendering of an error, never the exception; the client raises ``RemoteError``,
or ``CompositeError`` for several.  The record is one more key of the ``engine_info`` that goes along.
Source: https://ipyparallel.readthedocs.io/en/latest/tutorial/direct.html#remote-exceptions
"""

from __future__ import annotations

import functools
import re
import sys
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Attributes, Lost
from autotb.instrument import engine_frames, inherited_settings, submission
from autotb.instrument.patch import Patch, together_with
from autotb.record import annotate, build, capture, cpython_text, static

if TYPE_CHECKING:
    from autotb.instrument.types import Function

    class RemoteError(Exception):
        """``ipyparallel.error.RemoteError``."""

        ename: str
        evalue: str
        traceback: str | None
        engine_info: dict[str, Any] | None


MODULES = ("ipyparallel.error", "ipyparallel.client.asyncresult", "ipyparallel.engine.kernel", "ipyparallel.cluster.launcher")
NAME = "ipyparallel"
DISTRIBUTION = "ipyparallel"
CAPTURED = "direct and load-balanced views: apply, map, several engines' errors"
TESTED = "8.6 to 9.2"

FIELD = "autotb"  # the record's key in engine_info
_PLACE = re.compile(r"^File (?P<path>\S.*?):(?P<line>\d+)(?:, in (?P<name>[\w.<>]+))?", re.M)
ERROR = Attributes(
    "ipyparallel.error",
    "RemoteError",
    "ename",
    "evalue",
    "traceback",
    "engine_info",
    costs="the worker's frames, its error's name",
)
ERRORS = Attributes("ipyparallel.error", "CompositeError", "elist", costs="the errors of several engines, one by one")


def _open(exc: BaseException) -> engine_facts.Opened | None:
    errors = sys.modules.get("ipyparallel.error")
    if errors is None or not issubclass(type(exc), errors.KernelError):
        return None
    if issubclass(type(exc), errors.CompositeError):
        made = [errors.RemoteError(*entry) for entry in (ERRORS.read(exc) or ((),))[0]]
        for error in made:
            _attach(error)
        return engine_facts.Opened(roots=tuple(made)) if made else None
    if not issubclass(type(exc), errors.RemoteError):
        return None
    if capture.attached(exc) is not None:
        return engine_facts.Opened()
    found = ERROR.read(exc)
    return engine_facts.Opened(headline=engine_frames.named(found[0], found[1]), text=_text(*found[:3])) if found else None


def _text(name: str, value: str, traceback: str | None) -> str | None:
    """IPython's rendering in CPython's grammar."""
    places = [
        cpython_text.frame_line(match["path"], match["line"], match["name"] or "<module>")
        for match in _PLACE.finditer(cpython_text.without_colours(traceback or ""))
    ]
    if not places:
        return None
    return f"Traceback (most recent call last):\n{''.join(places)}{name}: {value}\n"


def _attach(error: RemoteError) -> None:
    (*_, info) = ERROR.read(error) or (None,)
    tree = (info or {}).get(FIELD)
    if capture.is_tree(tree):
        annotate.arrive(error, tree)


engine_facts.register(own=("ipyparallel", "ipykernel", "zmq", "tornado", "decorator"), openers=(_open,))


def _wrap_engine_info(original: Function) -> Function:
    """Made in the engine while the exception is alive, and sent along with its text."""

    @functools.wraps(original)
    def get_engine_info(self: Any, *args: object, **kwargs: object) -> Any:
        info = original(self, *args, **kwargs)
        exc = sys.exc_info()[1]
        if exc is None or "method" not in info:
            return info
        try:
            hop = build.hop(
                "ipyparallel", f"in ipyparallel engine {info.get('engine_id')}", call=engine_frames.frame_call(_user_tb(exc))
            )
            tree = build.record(exc, _user_tb(exc), hop)
            return {**info, FIELD: tree} if isinstance(tree, dict) else info
        except Exception:
            return info  # the text is read

    return get_engine_info


def _user_tb(exc: BaseException) -> Any:
    """The traceback below the line ``result = f(*args)`` that the engine runs as a string."""
    tb = static.traceback_of(exc)
    found = tb
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == "<string>" and tb.tb_next is not None:
            found = tb.tb_next
        tb = tb.tb_next
    return found


def _wrap_unwrap(original: Function) -> Function:
    """Makes the exception that the client raises."""

    @functools.wraps(original)
    def unwrap_exception(content: dict[str, Any]) -> Any:
        error = original(content)
        try:
            _attach(error)
        except Exception:
            pass  # the text is read
        return error

    return unwrap_exception


def ready(_module: str) -> None:
    """Its results are futures of the standard library, which nothing else may have loaded."""
    together_with("autotb.engines.futures")


PATCHES = (
    Patch(
        "ipyparallel.cluster.launcher",
        "LocalProcessLauncher.start",
        inherited_settings.telling,
        optional=True,
        costs=Lost.SETTINGS,
    ),
    Patch(
        "ipyparallel.engine.kernel", "IPythonParallelKernel.get_engine_info", _wrap_engine_info, optional=True, costs=Lost.RECORD
    ),
    Patch("ipyparallel.error", "unwrap_exception", _wrap_unwrap, costs=Lost.RECORD),
    Patch("ipyparallel.client.asyncresult", "AsyncResult.__init__", submission.on_self, costs=Lost.SITE),
    Patch("ipyparallel.client.asyncresult", "AsyncResult.get", submission.noted_when_raised, costs=Lost.SITE),
)
ASSUMPTIONS = (ERROR, ERRORS)

#: What ``python -m autotb demo --engine ipyparallel`` runs: a user's script.
DEMO = '''\
"""A cluster of two ipyparallel engines scores eight items; one of them is bad."""

import ipyparallel

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def main():
    with ipyparallel.Cluster(n=2, log_level=50) as client:
        def work(item):
            def rate(clicks, views):
                return clicks / views

            return rate(item["clicks"], item["views"])

        return client.load_balanced_view().map_sync(work, ITEMS)


if __name__ == "__main__":
    main()
'''
