"""Dask: which operation of a collection failed where no function of the user's is among the frames, and what file its task read.

A task's key begins with the name of the collection that it is a part of.  Of fused tasks the innermost one that was called says
it.  An array's name comes to the worker as it was made; a data frame's is made anew when the graph is optimised, and its kind
(``read-csv``) is all that stays: it is told where one line alone made what is of that kind, in the whole program or in what was
asked to be computed.

Flows in: collections as they are made, with the user's line up the stack; the traceback in the worker.  Flows out: parts of the
hop, and ``made`` once it is back.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys

from autotb.assumption import Attributes
from autotb.engines import dask_bags, dask_calls
from autotb.instrument import engine_frames, lazy
from autotb.instrument.patch import Patch
from autotb.record import callsite, static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType, TracebackType
    from typing import Any

    from autotb.instrument.types import Function
    from autotb.record.callsite import Site
    from autotb.record.schema import Hop

_FILES = "the file that a failed task of Dask's was reading"
GIVEN = Attributes("dask._task_spec", "Task", "key", "func", "args", "kwargs", optional=True, costs=lazy.COSTS)
FILE = Attributes("fsspec.core", "OpenFile", "path", optional=True, costs=_FILES)
EXPRESSION = Attributes("dask.dataframe.dask_expr._collection", "FrameBase", "expr", optional=True, costs=lazy.COSTS)

TASK = dask_calls.TASK
_MOST = 2_000  # arguments and expressions that are looked at
_MOST_IN = 20  # of a tuple, a list or a dict among what an expression is made of
# By name, where it was made; None where that was at several lines.
_made: dict[str, Site | None] = {}  # arrays and calls of delayed functions
_frames: dict[str, Site | None] = {}  # data frames
_PART = re.compile(r"(?:_\.\d+)+$")  # which block it was, of a task inside of a fused one
_BLOCK = "read-block-"  # a task inside of one that reads a file: the part of that
_TOKEN = re.compile(r"-[0-9a-f]{16,}$")


def _wrap_array(original: Function) -> Function:
    """Every operation on arrays makes one, whose name its tasks have."""

    @functools.wraps(original)
    def __new__(cls: Any, dask: object, name: object, *args: object, **kwargs: object) -> Any:
        _remember(_made, name)
        return original(cls, dask, name, *args, **kwargs)

    return __new__


def wrap_delayed(original: Function) -> Function:
    """A call of a delayed function, which may be a library's, makes a task."""
    call = lazy.call(original)

    @functools.wraps(original)
    def __call__(self: Any, *args: object, **kwargs: object) -> Any:
        made = call(self, *args, **kwargs)
        _remember(_made, getattr(made, "_key", None))
        return made

    return __call__


def _wrap_frame(original: Function) -> Function:
    """The same of data frames; their name is that of an expression."""

    @functools.wraps(original)
    def __init__(self: Any, expr: Any) -> None:
        original(self, expr)
        _remember(_frames, getattr(expr, "_name", None), getattr(expr, "operands", ()))

    return __init__


def _remember(table: dict[str, Site | None], name: object, given: Iterable[object] = ()) -> None:
    try:
        site = callsite.here(4)
        if _is_made_again():
            return
        if type(name) is not str or site is None:
            return
        for value in _functions(given):
            lazy.remember(value, site)
        if name not in table:
            callsite.remember(table, name, site)
        elif (known := table[name]) is not None and not callsite.is_same(known, site):
            table[name] = None
    except Exception:
        pass  # the line is not told


def _functions(given: Iterable[object]) -> Iterator[object]:
    """Those among what an expression is made of, and in its tuples, lists and dicts (``rolling(3).apply(f)`` has them there)."""
    for value in given:
        inner: Iterable[object] = (value,)
        if type(value) is dict:
            inner = value.values()
        elif type(value) is tuple or type(value) is list:
            inner = value
        yield from (one for one in itertools.islice(inner, _MOST_IN) if callable(one))


def _is_made_again() -> bool:
    """Whether it is what was made before that Dask makes anew, of a graph that it has optimised or begun to compute."""
    frame: FrameType | None = sys._getframe(3)
    while frame is not None and static.name_of(frame).partition(".")[0] in ("dask", "distributed", "autotb"):
        if frame.f_code.co_name in ("optimize", "persist"):
            return True
        frame = frame.f_back
    return False


def of(tb: TracebackType | None) -> Hop:
    """What the tasks on a worker's stack say: the operation of the innermost, and the one file that the outermost was given."""
    tasks = [task for task in _tasks(tb) if task is not None]
    found: Hop = {}
    names = [name for name in map(_name, reversed(tasks)) if not name.startswith(_BLOCK)]
    if names and names[0]:
        name = _PART.sub("", names[0])
        found["operation"] = dask_bags.operation(tb, name) or name
    paths = set(_files(tasks[:1]))
    if len(paths) == 1:
        found["reads"] = paths.pop()
    return found


def _name(task: object) -> str:
    key, *_ = GIVEN.read(task) or (None,)
    name = key[0] if type(key) is tuple and key else key
    return name if type(name) is str else ""


def _tasks(tb: TracebackType | None) -> Iterator[Any]:
    while tb is not None:
        if static.name_of(tb.tb_frame) == TASK.module and TASK.matches(tb.tb_frame):
            yield from (TASK.read(tb.tb_frame) or ())[:1]
        tb = tb.tb_next


def _files(values: list[Any]) -> Iterator[str]:
    """The paths of the files, opened by whom runs a task, that are among its arguments or those of tasks inside of it."""
    if FILE.module not in sys.modules:
        return
    for value in values:  # it grows
        kind = static.name(type(value))
        if kind == "OpenFile":
            yield from (path for path in FILE.read(value) or () if type(path) is str)
        elif type(value) in (list, tuple, dict):
            inner: Iterable[Any] = value.values() if type(value) is dict else value
            values.extend(one for one in inner if len(values) < _MOST)
        elif static.module(type(value)) == TASK.module and len(values) < _MOST:
            _, _, args, kwargs = GIVEN.read(value) or (None, None, (), {})
            values += [args, kwargs]


def note_made(hop: Hop, asked: tuple[Any, ...] = ()) -> None:
    """Fill in the line that made the operation which failed, of those that are ``asked`` for where these are known."""
    name = hop.get("operation")
    if name is None or "made" in hop:
        return
    site = dask_bags.site_of(name, asked) or _made.get(name)
    if site is not None or name in _made:
        place = engine_frames.place_of(site)
    else:
        names = [one for one in _names_in(asked) or list(_frames) if _kind(one) == _kind(name)]
        place = engine_frames.place_of(callsite.common(_frames.get(name) for name in names))
    if place is not None:
        hop["made"] = place


def _names_in(asked: tuple[Any, ...]) -> list[str]:
    """The names of all data frames that went into these."""
    found: list[str] = []
    for collection in asked:
        (expr,) = EXPRESSION.read(collection) or (None,)
        for one, _ in zip(expr.walk() if hasattr(expr, "walk") else (), range(_MOST), strict=False):
            found.append(one._name)
    return found


def _kind(name: str) -> str:
    """``read-csv`` of ``read-csv-2119d739016b5003f5e1e7eb1052eaea``, ``readcsv`` to its expression."""
    return _TOKEN.sub("", name).replace("-", "").replace("_", "")


def _wrap_compute(original: Function) -> Function:
    """``compute()`` and ``dask.compute(…)``: what is asked for says which of several operations of a kind it can have been."""

    @functools.wraps(original)
    def compute(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except Exception as error:
            try:
                from autotb.record.capture import attached

                for hop in (attached(error) or {}).get("hops") or ():
                    note_made(hop, args)
            except Exception:
                pass  # the line is not told
            del args, kwargs  # the traceback's frames lead to this one: it must keep nothing alive
            raise

    return compute


PATCHES = (
    Patch("dask.base", "compute", _wrap_compute, also=("dask",), optional=True, costs=lazy.COSTS),
    Patch("dask.array.core", "Array.__new__", _wrap_array, optional=True, costs=lazy.COSTS),
    Patch("dask.dataframe.dask_expr._collection", "FrameBase.__init__", _wrap_frame, optional=True, costs=lazy.COSTS),
)
ASSUMPTIONS = (*dask_calls.ASSUMPTIONS, GIVEN, FILE, EXPRESSION)
