"""Build hook: the long description is the README on its own, for an index page has neither the checkout's files nor its pictures.

Flows in: README.md and docs/picture.svg.  Flows out: ``readme``: the picture as text, links into the checkout as the file's name.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"^!\[[^\]]*\]\((docs/[^)]+\.svg)\)$", re.M)
_LINK = re.compile(r"\[([^\]]+)\]\(([\w./-]+\.(?:md|py|txt|svg))\)")
_TEXT = re.compile(r'<text class="[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', re.S)
_CELL = 12.2  # width of a character in the pictures that rich makes


class Readme(MetadataHookInterface):
    """Sets the dynamic field ``readme``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Called by hatchling for every build, editable ones too."""
        root = Path(self.root)
        metadata["readme"] = {"content-type": "text/markdown", "text": description(root)}


def description(root: Path) -> str:
    """The README without anything that leads into the checkout."""
    text = (root / "README.md").read_text(encoding="utf-8")
    text = _PICTURE.sub(lambda found: f"```text\n{_as_text((root / found[1]).read_text(encoding='utf-8'))}\n```", text)
    return _LINK.sub(lambda found: _named(*found.groups()), text)


def _named(words: str, file: str) -> str:
    name = f"`{file}`"
    return name if words in (name, file) else f"{words} ({name} in the sources)"


def _as_text(picture: str) -> str:
    rows: dict[float, str] = {}
    for x, y, words in _TEXT.findall(picture):
        row = rows.get(float(y), "")
        rows[float(y)] = row.ljust(round(float(x) / _CELL)) + html.unescape(words).replace("\N{NO-BREAK SPACE}", " ")
    return "\n".join(rows[y].rstrip() for y in sorted(rows)).strip("\n")


def get_metadata_hook() -> type[MetadataHookInterface]:
    """What hatchling looks for."""
    return Readme
