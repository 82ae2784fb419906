"""``python -m tests.house``: draws ``docs/house.svg`` from the imports, for docs/architecture.md.

A box is a room, a band a floor; a line at the right says that the upper room imports the lower one.  Lines
that follow from others (what is imported by something that is imported) are left out.
"""

from __future__ import annotations

import sys
from html import escape

from tests import test_architecture as architecture

PICTURE = architecture.ROOT / "docs" / "house.svg"
ROW, TOP, LEFT, BOX, WIDTH = 30, 14, 12, 22, 140  # pixels


def rooms() -> set[str]:
    """What stands on the floors."""
    return {_room(name) for name in architecture.modules()}


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def lines_between() -> set[tuple[str, str]]:
    """Which room imports which, without what follows."""
    direct: dict[str, set[str]] = {}
    for name, others in architecture.arrows().items():
        direct.setdefault(_room(name), set()).update(_room(other) for other in others)
    direct = {room: others - {room} for room, others in direct.items()}
    return {
        (room, other)
        for room, others in direct.items()
        for other in others
        if not any(other in _reached(between, direct) for between in others - {other})
    }


def _reached(room: str, direct: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [room]
    while waiting:
        for other in direct.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def picture() -> str:
    """The picture, as SVG that is readable on a light and on a dark page."""
    known = rooms()
    between = sorted(lines_between())
    boxes: dict[str, tuple[int, int]] = {}  # right end, middle
    shown = []
    top = TOP
    for at, floor in enumerate(architecture.FLOORS):
        names = sorted(floor & known)
        shown.append(
            f'<path class="floor{at % 2}" d="M0 {top - 4} h{LEFT + WIDTH + 12} v{len(names) * ROW} h-{LEFT + WIDTH + 12} z"/>'
        )
        for room in names:
            boxes[room] = LEFT + WIDTH, top + BOX // 2
            shown.append(f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{BOX}" rx="4"/>')
            shown.append(f'<text x="{LEFT + 8}" y="{top + 15}">{escape(room)}</text>')
            top += ROW
    shown += [_arc(boxes[upper], boxes[lower]) for upper, lower in between if upper in boxes and lower in boxes]
    body = "\n".join(shown)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 250}" height="{top}" font-family="ui-monospace, monospace" font-size="12">
<style>
rect {{ fill: #eef3f8; stroke: #7790a8 }} text {{ fill: #1c2733 }} path {{ fill: none; stroke: #7790a8 }} path.end {{ fill: #7790a8 }}
path.floor0, path.floor1 {{ stroke: none }} path.floor1 {{ fill: #7790a8; fill-opacity: 0.12 }}
@media (prefers-color-scheme: dark) {{ rect {{ fill: #22303d }} text {{ fill: #e3ebf2 }} }}
</style>
{body}
</svg>
"""


def _arc(upper: tuple[int, int], lower: tuple[int, int]) -> str:
    (right, high), (_, low) = upper, lower
    out = right + 20 + int((low - high) * 0.38)
    return (
        f'<path d="M{right} {high + 4} C{out} {high + 4} {out} {low - 4} {right + 6} {low - 4}"/>'
        f'<path class="end" d="M{right + 1} {low - 4} l6 -3 v6 z"/>'
    )


def main() -> int:
    """Write the picture."""
    PICTURE.write_text(picture(), encoding="utf-8")
    sys.stdout.write(f"{PICTURE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
