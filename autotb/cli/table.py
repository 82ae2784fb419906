"""The tables of the documents, made from adapters, settings and the record's schema: ``python -m autotb.cli.table`` prints them.

A document has them between ``<!-- table: NAME -->`` and ``<!-- end -->``; ``python -m tests.generated`` writes them there.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable

from autotb import settings
from autotb.cli import record_form
from autotb.cli.triggers import adapters
from autotb.record import schema


def engines() -> str:
    """Name, versions tested, what is captured: one row an adapter."""
    return _adapters("engine", "engines")


def environments() -> str:
    """The same of programs that show errors themselves."""
    return _adapters("environment", "environments")


def _adapters(kind: str, folder: str) -> str:
    rows = [f"| {kind} | tested with | what is captured |", "|---|---|---|"]
    for name in adapters():
        if name.split(".")[1] != folder:
            continue
        adapter = importlib.import_module(name)
        tested = getattr(adapter, "TESTED", "CPython 3.10 to 3.15")
        rows.append(f"| {adapter.NAME} | {tested} | {adapter.CAPTURED} |")
    return "\n".join(rows)


def options() -> str:
    """Every setting with its values and default."""
    rows = ["| environment | `[tool.autotb]` | values | default | what it does |", "|---|---|---|---|---|"]
    for name, option in settings.OPTIONS.items():
        values = "`0`…`1000`" if option.choices is None else ", ".join(f"`{choice}`" for choice in option.choices if choice)
        default = f"`{option.default}`" if option.default else "unset"
        rows.append(f"| `AUTOTB_{name.upper()}` | `{name}` | {values} | {default} | {option.help} |")
    return "\n".join(rows)


def noise() -> str:
    """The settings that engines are given before they are imported."""
    rows = ["| engine | setting |", "|---|---|"]
    for name in adapters():
        adapter = importlib.import_module(name)
        rows += [f"| {adapter.NAME} | `{key}={value}` |" for key, value in getattr(adapter, "NOISE", {}).items()]
    return "\n".join(rows)


_SHAPES = {"exception": schema.Tree, "hop": schema.Hop, "frame": schema.Frame}
TABLES: dict[str, Callable[[], str]] = {
    "engines": engines,
    "environments": environments,
    "settings": options,
    "noise": noise,
    **{name: functools.partial(record_form.table, shape) for name, shape in _SHAPES.items()},
}


def filled(text: str) -> str:
    """A document with the tables that it has a place for."""
    for name in TABLES:
        before, mark, rest = text.partition(f"<!-- table: {name} -->\n")
        if mark:
            text = before + mark + TABLES[name]() + "\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    return text


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(table() for table in TABLES.values()) + "\n")
