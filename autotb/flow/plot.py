"""A flow as a picture: its steps, what they take from each other, and how far each is, as text that others draw.

Flows in: nodes, and counts where the flow has run.  Flows out: Mermaid, which notebooks, GitHub and documentation tools draw, and
Graphviz's DOT.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autotb.flow.steps import Node

#: Fill, line and text: readable on light pages and on dark ones.
_COLOURS = {
    "waiting": ("#eeeeee", "#777777", "#111111"),
    "running": ("#dbe9ff", "#2255aa", "#111111"),
    "done": ("#dff5e1", "#2a7a3b", "#111111"),
    "failed": ("#ffdddd", "#aa2222", "#111111"),
    "skipped": ("#fff3cc", "#8a6d00", "#111111"),
}


class Plot:
    """``str()`` is Mermaid's text, ``dot`` Graphviz's; a notebook that knows Mermaid draws it.

    Attributes:
        mermaid: a ``flowchart`` of `Mermaid <https://mermaid.js.org/>`_.
        dot: a ``digraph`` of `Graphviz <https://graphviz.org/doc/info/lang.html>`_.
    """

    def __init__(self, nodes: Iterable[Node], tallies: Mapping[str, Any]) -> None:
        steps = [(node, tallies.get(node.name)) for node in nodes]
        number = {node.name: at for at, (node, _) in enumerate(steps)}
        arrows = sorted((number[before], at) for at, (node, _) in enumerate(steps) for before in node.predecessors)
        boxes = [(f"s{number[node.name]}", [node.name, _told(node, tally)], _state(tally)) for node, tally in steps]
        self.mermaid = _mermaid(boxes, arrows)
        self.dot = _dot(boxes, arrows)

    def __str__(self) -> str:
        return self.mermaid

    def __repr__(self) -> str:
        return f"<plot of {self.mermaid.count('[')} steps>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/vnd.mermaid": self.mermaid, "text/plain": self.mermaid}


def _state(tally: Any) -> str:
    if tally is None or not (tally.done or tally.total == 0):
        return "waiting"
    if tally.failed or tally.skipped:
        return "failed" if tally.failed else "skipped"
    return "done" if tally.done == tally.total else "running"


def _told(node: Node, tally: Any) -> str:
    if tally is None:
        return "map" if node.is_map else "one call"
    counts = ((tally.sound, "done"), (tally.failed, "failed"), (tally.skipped, "skipped"))
    said = ", ".join(f"{count:,} {word}" for count, word in counts if count) or "none done"
    return f"{said} of {tally.total:,}"


def _mermaid(boxes: list[tuple[str, list[str], str]], arrows: list[tuple[int, int]]) -> str:
    lines = ["flowchart LR"]
    for key, texts, state in boxes:
        label = "<br/>".join(map(_for_mermaid, texts))
        lines.append(f'    {key}["{label}"]:::{state}')
    lines += [f"    s{one} --> s{other}" for one, other in arrows]
    for state in dict.fromkeys(state for _, _, state in boxes):
        fill, line, text = _COLOURS[state]
        lines.append(f"    classDef {state} fill:{fill},stroke:{line},color:{text}")
    return "\n".join(lines)


def _for_mermaid(text: str) -> str:
    """Every character that means something to Mermaid or to HTML as its entity."""
    return "".join(one if one.isalnum() or one in " .,:_-()" else f"#{ord(one)};" for one in text)


def _dot(boxes: list[tuple[str, list[str], str]], arrows: list[tuple[int, int]]) -> str:
    lines = ["digraph flow {", "    rankdir=LR", '    node [shape=box, style="rounded,filled"]']
    for key, texts, state in boxes:
        fill, line, text = _COLOURS[state]
        label = "\\n".join(one.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for one in texts)
        lines.append(f'    {key} [label="{label}", fillcolor="{fill}", color="{line}", fontcolor="{text}"]')
    lines += [f"    s{one} -> s{other}" for one, other in arrows]
    return "\n".join([*lines, "}"])
