"""The tables of the documents, made from adapters, settings and the record's schema: ``python -m autotb.cli.table`` prints them,
and with paths of documents writes them into these, between ``<!-- table: NAME -->`` and ``<!-- end -->``.  What is called
``trace.schema.json`` is written as a whole."""

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


_SHAPES = {"exception": schema.Tree, "hop": schema.Hop, "frame": schema.Frame}
TABLES: dict[str, Callable[[], str]] = {
    "engines": engines,
    "environments": environments,
    "settings": options,
    **{name: functools.partial(record_form.table, shape) for name, shape in _SHAPES.items()},
}


def write(path: str) -> None:
    """Put the tables that a document has a place for into it."""
    if path.endswith("trace.schema.json"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(record_form.json_schema())
        return
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = [name for name in TABLES if f"<!-- table: {name} -->\n" in text]
    if not found:
        raise ValueError(f"{path} has no line <!-- table: NAME --> with one of {', '.join(TABLES)}")
    for name in found:
        before, mark, rest = text.partition(f"<!-- table: {name} -->\n")
        text = before + mark + TABLES[name]() + "\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    for path in sys.argv[1:]:
        write(path)
    if not sys.argv[1:]:
        sys.stdout.write("\n\n".join(table() for table in TABLES.values()) + "\n")
