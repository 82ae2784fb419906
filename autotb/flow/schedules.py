"""When a step is ready, in two ways: eager and by generations.

Flows in: the nodes of a flow, and which of them are done.  Flows out: those that became ready by it, each once; a step costs as
much as it has predecessors, however many others there are.
"""

from __future__ import annotations

from collections.abc import Iterable

from autotb.flow.steps import Node


class Eager:
    """A step is ready as soon as the steps are done whose outputs it takes."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._first: list[Node] = []
        self._lacks: dict[str, int] = {}
        self._after: dict[str, list[Node]] = {}
        for node in nodes:
            self._lacks[node.name] = len(node.predecessors)
            for name in node.predecessors:
                self._after.setdefault(name, []).append(node)
            if not node.predecessors:
                self._first.append(node)

    def first(self) -> list[Node]:
        """What is ready when nothing is done."""
        return self._first

    def done(self, node: Node) -> list[Node]:
        """What became ready by this one."""
        ready = []
        for after in self._after.get(node.name, ()):
            self._lacks[after.name] -= 1
            if not self._lacks[after.name]:
                ready.append(after)
        return ready


class Generation:
    """A step is ready once all steps are done that are fewer steps from the start."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        steps: dict[int, list[Node]] = {}
        for node in nodes:
            steps.setdefault(node.generation, []).append(node)
        self._generations = [steps[number] for number in sorted(steps, reverse=True)]
        self._left = 0

    def first(self) -> list[Node]:
        """What is ready when nothing is done."""
        ready = self._generations.pop() if self._generations else []
        self._left = len(ready)
        return ready

    def done(self, _node: Node) -> list[Node]:
        """What became ready by this one."""
        self._left -= 1
        return [] if self._left else self.first()


SCHEDULES: dict[str, type[Eager] | type[Generation]] = {"eager": Eager, "generation": Generation}
