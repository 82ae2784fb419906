"""What a step is compared by when a run is resumed: its function by name, its inputs by a digest, its shape.

Flows in: the nodes of a flow.  Flows out: :class:`Identity`, texts that a run folder keeps; and where the program is.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from autotb.flow.cache import form_of
from autotb.flow.snapshots import ERRORS
from autotb.flow.steps import Nest, Node, Output
from autotb.flow.streams import Stream

_PLAIN = frozenset((str, bytes, int, float, complex, bool, type(None)))
_AT_ONCE = 10_000


@dataclass(frozen=True)
class Identity:
    """A step as a run folder knows it; ``shape`` is JSON, None where it is known when the step begins."""

    name: str
    function: str
    inputs: str
    shape: str | None


def of(node: Node, shape: tuple[int, ...] | None) -> Identity:
    """The identity of a step whose result has this shape, as far as that is known by now."""
    function = node.step.function
    told = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', node.step.name)}"
    return Identity(node.name, told, _inputs(node), None if shape is None else json.dumps(shape))


def _inputs(node: Node) -> str:
    over = (node.over,) if node.over else ()
    digest = hashlib.sha256(repr((node.product, len(node.inputs), sorted(node.constants), *over)).encode())
    for value in (*node.inputs, *(node.constants[name] for name in sorted(node.constants))):
        for text in _all_told(value) if node.is_map and isinstance(value, list) else (_told(value),):
            digest.update(text.encode())
    return digest.hexdigest()


def _all_told(values: list[Any]) -> Iterator[str]:
    """The same texts as :func:`_told` gives, joined: a map may have a million plain values."""
    for start in range(0, len(values), _AT_ONCE):
        some = values[start : start + _AT_ONCE]
        if {*map(type, some)} <= _PLAIN:
            yield "".join([f"({type(value).__name__!r}, {value!r})" for value in some])
        else:
            yield from map(_told, some)


def _told(value: Any) -> str:
    """What an input is compared by.  A function is the same when its lines have changed, an error when it has occurred again."""
    try:
        if isinstance(value, Output):
            return repr(value)
        if isinstance(value, Nest):
            return repr((value.kind.__name__, value.names, [_told(item) for item in value.items]))
        if isinstance(value, ERRORS):
            return repr(value)
        if isinstance(value, Stream):
            return "<stream>"  # nobody has read it
        if isinstance(value, FunctionType):
            return f"{value.__module__}.{value.__qualname__}"
        return repr(form_of(value))
    except Exception:
        return f"<{type(value).__name__}>"  # what cannot be pickled is told by its type alone


def whereabouts() -> dict[str, Any]:
    """Where the program is that runs the flow: its main script, its folder and path, for who calls a function of it again."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return {
        "main": os.path.abspath(main) if isinstance(main, str) else None,
        "path": [entry for entry in sys.path if isinstance(entry, str)],
        "folder": os.getcwd(),
    }
