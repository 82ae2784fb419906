"""``python -m tests.generated [--check]``: writes whatever is made from the adapters, the settings and the engines' tests.

Flows in: the adapters' declarations, those of the engines' test modules, ``settings.OPTIONS``.  Flows out: ``autotb/_triggers.py``,
the tables of README and documents, the JSON Schema of a trace, the extras ``engines`` and ``heavy`` of ``pyproject.toml``.  ``--check`` writes nothing, names
the files that are stale and ends with 1 if there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from autotb.cli import record_form, table, triggers
from tests.engines import declared

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "pyproject.toml"
SCHEMA = ROOT / "autotb" / "trace" / "trace.schema.json"


def files() -> Iterator[tuple[Path, str]]:
    """Each file that is generated, or has a part that is, with its text as it should be."""
    yield triggers.TABLE, triggers.table()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        if "<!-- table: " in text:
            yield path, table.filled(text)
    yield SCHEMA, record_form.json_schema()
    yield PROJECT, extras(PROJECT.read_text(encoding="utf-8"))


def extras(text: str) -> str:
    """``pyproject.toml`` with the packages that the engines' tests require."""
    for name, heavy in (("engines", False), ("heavy", True)):
        before, mark, rest = text.partition(f"\n{name} = [\n")
        _, end, after = rest.partition("]\n")
        assert mark and end, f"pyproject.toml has no extra {name}"
        text = before + mark + "".join(f'  "{wanted}",\n' for wanted in declared.extra(heavy=heavy)) + end + after
    return text


def main() -> int:
    stale = [(path, text) for path, text in files() if path.read_text(encoding="utf-8") != text]
    for path, text in stale:
        print(path.relative_to(ROOT))
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
