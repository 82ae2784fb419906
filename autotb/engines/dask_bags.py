"""Dask's bags: which line made an operation that failed with no function of the user's among the frames.

A bag's operations run one inside the other, as one task, whose key does not say which of them it was.  A library's function that
was applied to an element is known by its name, and told where one line alone gave it to a bag; of other operations the line is
told where all that the bag went through, from its source on, was made at that line.

Flows in: bags as they are made, with the user's line up the stack; the traceback in the worker.  Flows out: the name of the
operation, and the line, once it is back.
"""

from __future__ import annotations

import functools

from autotb.assumption import Attributes
from autotb.engines import dask_calls
from autotb.instrument import lazy
from autotb.instrument.patch import Patch
from autotb.record import callsite, ownership, static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Any

    from autotb.instrument.types import Function
    from autotb.record.callsite import Site

    Sites = dict[str, Site | None]

NAME = Attributes("dask.bag.core", "Bag", "name", optional=True, costs=lazy.COSTS)
_functions: Sites = {}  # where a library's function was given to a bag; None where that was at several lines
_chains: Sites = {}  # by a bag's name, the one line at which it was made from its source on
_IN_BAG = "in "  # an operation of a bag's that has no name of its own
_MOST = 1_000  # layers that are looked at


def operation(tb: TracebackType | None, name: str) -> str | None:
    """What failed of a bag: the function that it applied, or what stands for all that the task ``name`` does."""
    applied = dask_calls.applied(tb)
    if applied is not None:
        return applied
    innermost = None
    while tb is not None and ownership.kind_of_frame(tb.tb_frame) != ownership.USER:
        if ownership.kind_of_frame(tb.tb_frame) == ownership.ENGINE:
            innermost = static.name_of(tb.tb_frame)
        tb = tb.tb_next
    return _IN_BAG + name if innermost == NAME.module else None


def site_of(operation: str, asked: Iterable[object] = ()) -> Site | None:
    """The line that made it, where there was one alone."""
    if not operation.startswith(_IN_BAG):
        return _functions.get(operation)
    names = [name for one in asked for name in NAME.read(one) or ()]
    names += [name for name in list(_chains) if operation.endswith(name)]
    sites = [_chains.get(name) for name in names]
    return sites[0] if sites and all(_is_same_line(one, sites[0]) for one in sites) else None


def _is_same_line(one: Site | None, other: Site | None) -> bool:
    """Operations of one line are instructions of their own."""
    if one is None or other is None or one[0] is not other[0]:
        return False
    return callsite.line_of(*one[:2]) == callsite.line_of(*other[:2])


def giving(original: Function) -> Function:
    """Remembers the line that gives a function to a bag, a library's by its name."""
    make = lazy.operation(original)

    @functools.wraps(original)
    def give(*args: object, **kwargs: object) -> Any:
        try:
            site = callsite.here(3)
            for value in (*args[1:3], *kwargs.values()):
                if callable(value):
                    _note(_functions, dask_calls.named(value), site)
        except Exception:
            pass  # the line is not told
        return make(*args, **kwargs)

    return give


def _note(table: Sites, name: str, site: Site | None) -> None:
    if name not in table:
        callsite.remember(table, name, site)
    elif not _is_same_line(table[name], site):
        table[name] = None


def _wrap_bag(original: Function) -> Function:
    """Every operation on bags makes one, or an item."""

    @functools.wraps(original)
    def __init__(self: Any, dsk: object, name: str, *args: object, **kwargs: object) -> None:
        original(self, dsk, name, *args, **kwargs)
        _made(self, name)

    return __init__


def _wrap_item(original: Function) -> Function:
    """The same of an item, whose name is its key."""

    @functools.wraps(original)
    def __init__(self: Any, dsk: object, key: str, *args: object, **kwargs: object) -> None:
        original(self, dsk, key, *args, **kwargs)
        _made(self, key)

    return __init__


def _made(bag: Any, name: str) -> None:
    try:
        site = callsite.here(4)
        if not all(_is_same_line(one, site) for one in _before(bag.dask.dependencies, name)):
            site = None
        _note(_chains, name, site)
    except Exception:
        pass  # the line is not told


def _before(dependencies: dict[str, set[str]], name: str) -> Iterator[Site | None]:
    """The lines of the bags that one was made of, but for sources; what else there is among the layers is looked through."""
    todo = [*dependencies.get(name, ())]
    for layer in todo:  # it grows
        further = dependencies.get(layer)
        if further and layer in _chains:
            yield _chains[layer]
        elif further and len(todo) < _MOST:
            todo += further


_GIVING = ("map", "filter", "remove", "map_partitions", "starmap", "fold", "foldby", "groupby", "reduction", "accumulate")
PATCHES = (
    *(Patch("dask.bag.core", f"Bag.{name}", giving, optional=True, costs=lazy.COSTS) for name in _GIVING),
    Patch("dask.bag.core", "Bag.__init__", _wrap_bag, optional=True, costs=lazy.COSTS),
    Patch("dask.bag.core", "Item.__init__", _wrap_item, optional=True, costs=lazy.COSTS),
)
ASSUMPTIONS = (NAME,)
