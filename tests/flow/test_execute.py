"""The one way that a call takes, whatever kind it is."""

from __future__ import annotations

import pytest

from autotb import Flow, step
from tests.flow.calls import Here, double, invert, total


@pytest.mark.behaviour("S2-37", "S2-38", "S2-39")
def test_one_order_for_all_kinds_of_calls(monkeypatch):
    from autotb.flow import execute, resources
    from autotb.flow.store import Memory

    seen = []

    def recorded(owner, name, what):
        original = getattr(owner, name)

        def wrapper(*args, **kwargs):
            seen.append(what)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, wrapper)

    recorded(execute.Work, "call", "build")
    recorded(execute, "scan", "scan")
    recorded(resources, "evaluate", "resources")
    recorded(execute, "maybe_propagate_before_call", "guard")
    recorded(Memory, "put", "store")

    class Recording(dict):
        def get(self, *args):
            seen.append("cache")
            return super().get(*args)

        def __setitem__(self, key, value):
            seen.append("keep")
            super().__setitem__(key, value)

    def called(x):
        seen.append("call")
        return total(x) if isinstance(x, list) else x

    orders = {}
    for kind in ("call", "element", "chunk", "reduction", "skipped"):
        flow = Flow(Here(), error_handling="continue", cache=Recording(), progress=lambda *_: seen.append("progress"))
        made = step(called, cache=True, chunksize=5 if kind == "chunk" else None)
        if kind == "call":
            flow.call(made, 1)
        elif kind in ("element", "chunk"):
            flow.map(made, [1])
        elif kind == "reduction":
            flow.call(made, flow.map(double, [1]))
        else:
            flow.call(made, flow.call(invert, 0))
        seen.clear()
        flow.run()
        last = len(seen) - seen[::-1].index("build")
        orders[kind] = seen[last - 1 :]
    expected = ["build", "scan", "resources", "guard", "cache", "call", "keep", "store", "progress"]
    assert orders == {
        **dict.fromkeys(["call", "element", "chunk", "reduction"], expected),
        "skipped": ["build", "scan", "resources", "guard", "store", "progress"],
    }
