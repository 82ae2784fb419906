"""What adapters share to ask an engine's real workers, for ``doctor --engine``.

Flows in: what the file of ``--config`` defines.  Flows out: ``Ask``, which an adapter's ``probe(given, timeout)`` yields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Ask = Callable[[str], "list[tuple[str, Any]]"]  # an expression to its values, each with its worker's name


class Unusable(Exception):  # noqa: N818
    """The configuration or the engine's name; the text says what to do."""


def configured(given: dict[str, Any], name: str, kind: Any, engine: str) -> Any:
    """What the configuration file calls ``name``; None without a file."""
    if not given:
        return None
    found = given.get(name)
    if not isinstance(found, kind):
        raise Unusable(f"--config: for {engine} the file must define `{name}`, a {kind.__name__}")
    return found
