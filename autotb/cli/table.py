"""The README's tables, made from the adapters and the settings: ``python -m autotb.cli.table`` prints them, and with the path
of a README writes them into it, between ``<!-- table: NAME -->`` and ``<!-- end -->``."""

from __future__ import annotations

import importlib
import sys

from autotb import settings
from autotb.cli.triggers import adapters


def engines() -> str:
    """Name, versions tested, what is captured: one row an adapter."""
    rows = ["| engine | tested with | what is captured |", "|---|---|---|"]
    for name in adapters():
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


def write(path: str) -> None:
    """Put both tables into a document."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for name, table in (("engines", engines()), ("settings", options())):
        before, mark, rest = text.partition(f"<!-- table: {name} -->\n")
        if not mark:
            raise ValueError(f"{path} has no line <!-- table: {name} -->")
        text = before + mark + table + "\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(sys.argv[1])
    else:
        sys.stdout.write(engines() + "\n\n" + options() + "\n")
