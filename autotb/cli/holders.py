"""Who holds the hooks by which Python shows errors, and what a user sees by them: for ``doctor``.

Flows in: this interpreter, as start-up has left it, and what a child of it showed of one worker's error.  Flows out: plain
builtins, a text for each.  No hook of others is called here.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from autotb import boot, import_hook
from autotb.instrument import patch

OURS, PYTHONS = "autotb", "Python"
_IPYTHON = ("IPython.core.interactiveshell", "InteractiveShell.showtraceback")
#: What of a worker's error may be seen, and how one knows it in a text.
_SEEN = (
    ("the worker's line", "return clicks / views"),
    ("where it ran", "in a process-pool worker"),
    ("the line that submitted it", "submitted at"),
    ("its arguments", "ratio(clicks=3, views=0)"),
)
_ENGINES = ("__get_result", "_process_worker", "RemoteTraceback")


def now() -> dict[str, Any]:
    """The hooks as they are, to be told of later: engines that are imported meanwhile may put theirs there."""
    return {"sys.excepthook": sys.excepthook, "threading.excepthook": threading.excepthook}


def of(held: dict[str, Any], shown: str, drawn: str, *, off: bool = False) -> dict[str, dict[str, str]]:
    """By hook: who holds it, and what is seen; ``shown`` is what a child showed, ``drawn`` what ours shows."""
    ours = {"sys.excepthook": boot.excepthook, "threading.excepthook": import_hook.thread_excepthook}
    pythons = {"sys.excepthook": sys.__excepthook__, "threading.excepthook": threading.__excepthook__}
    ours_shows = {"sys.excepthook": drawn, "threading.excepthook": "every error in a thread"}
    found = {which: _told(hook, ours[which], pythons[which], ours_shows[which]) for which, hook in held.items()}
    if found["sys.excepthook"]["holder"] not in (OURS, PYTHONS) and not off:
        found["sys.excepthook"]["seen"] = seen(shown)
    entry = patch.applied.get(_IPYTHON)
    if entry is not None and entry.state == patch.APPLIED:
        drawn_there = "workers' errors as autotb draws them; plain ones are IPython's own"
        found["IPython's showtraceback"] = {"holder": OURS, "seen": drawn_there}
    elif "IPython" in sys.modules and not off:
        found["IPython's showtraceback"] = {"holder": "IPython", "seen": "IPython's own drawing"}
    return found


def name(hook: Any) -> str:
    """A hook by its module, its name, and its file where there is one."""
    where = getattr(getattr(hook, "__code__", None), "co_filename", "")
    named = f"{getattr(hook, '__module__', '?')}.{getattr(hook, '__qualname__', type(hook).__name__)}"
    return f"{named} ({where})" if where else named


def _told(hook: Any, ours: Any, pythons: Any, drawn: str) -> dict[str, str]:
    if hook is ours:
        return {"holder": OURS, "seen": drawn}
    if hook is pythons:
        return {"holder": PYTHONS, "seen": "Python's own text"}
    return {"holder": name(hook), "seen": "what that shows"}


def seen(shown: str) -> str:
    """What a text tells of the worker's error that a trial fails with."""
    text = " ".join(line.strip("│ ") for line in shown.splitlines())
    there = [what for what, sign in _SEEN if sign in text]
    lacking = [what for what, sign in _SEEN if sign not in text]
    told = (
        f"of a worker's error {', '.join(there)}"
        if there
        else "nothing of a worker's error"
        if text.strip()
        else "nothing at all"
    )
    if lacking and there:
        told += f"; not {', '.join(lacking)}"
    return told + ("; the engine's own frames or text as well" if any(sign in text for sign in _ENGINES) else "")
