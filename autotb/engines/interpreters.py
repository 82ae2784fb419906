"""``concurrent.interpreters`` (PEP 734): a call in another interpreter of this process.

What the call raises stays there; here ``ExecutionFailed`` is raised, whose message holds the traceback as text.  The pool of
interpreters is concurrent.futures' matter.  CPython 3.14 and 3.15.
Source: https://docs.python.org/3/library/concurrent.interpreters.html
"""

from __future__ import annotations

from autotb import engine_facts
from autotb.assumption import Attributes
from autotb.instrument import engine_frames
from autotb.instrument.patch import Patch
from autotb.record import static

MODULES = ("concurrent.interpreters",)
NAME = "concurrent.interpreters"
DISTRIBUTION = None
CAPTURED = "Interpreter.call and exec, from the text of ExecutionFailed"
TESTED = "CPython 3.14 and 3.15"

INFO = Attributes("concurrent.interpreters", "ExecutionFailed", "excinfo", costs="the other interpreter's frames", optional=True)


def _open(exc: BaseException) -> engine_facts.Opened | None:
    (info,) = INFO.read(exc) or (None,)
    if static.name(type(exc)) != "ExecutionFailed" or info is None:
        return None
    text = getattr(info, "errdisplay", None)
    kind = getattr(getattr(info, "type", None), "__qualname__", None)
    if not isinstance(text, str) or not isinstance(kind, str):
        return None
    headline = engine_frames.headline_of(text) or engine_frames.named(kind, str(getattr(info, "msg", "")))
    return engine_facts.Opened(headline=headline, text=text, where="in another interpreter")


engine_facts.register(openers=(_open,))

PATCHES: tuple[Patch, ...] = ()
ASSUMPTIONS = (INFO,)

#: What ``python -m autotb demo --engine interpreters`` runs: a user's script.
DEMO = '''\
"""Another interpreter of this process scores an item, which is bad (Python 3.14)."""

from concurrent import interpreters

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return interpreters.create().call(score, ITEMS[5])


if __name__ == "__main__":
    main()
'''
