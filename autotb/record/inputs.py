"""Kept inputs: the call of a failed task, pickled into ``AUTOTB_DIR`` where ``AUTOTB_KEEP_INPUTS=1`` asks for it.

Flows in: a function and its arguments, in the worker, as they are when it has failed.  Flows out: a file that only its owner may
read, for ``python -m autotb rerun``; its path goes into the record.  Nothing is masked: these are the inputs themselves.
"""

from __future__ import annotations

import itertools
import os
import pickle
import sys
import threading
import time
from types import FunctionType

from autotb import settings
from autotb.record import static

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from typing import Any

FORMAT = "autotb inputs 1"
MOST = 100  # files of one process: a flood of failures must not fill the disk

_numbers = itertools.count(1)
_last = threading.local()


def keep(function: Any, args: Any, kwargs: Any) -> None:
    """Write the call, if that is wanted, and remember the file for :func:`taken`."""
    _last.path = None
    folder = settings.value("dir")
    number = next(_numbers)
    if not folder or number > MOST:
        return
    if not (type(args) is tuple or type(args) is list) or not (kwargs is None or type(kwargs) is dict):
        return  # an iterable of the user's is not to be used up
    content = _pickled(function, tuple(args), kwargs or {})
    if content is None:
        return
    name = "".join(c if c.isalnum() else "_" for c in _name(function))[:50]
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = os.path.join(os.path.abspath(folder), f"{stamp}-{os.getpid()}-{number}-{name}.inputs")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError:
        return  # a full disk: the failure itself is told all the same
    _last.path = path


def _name(function: Any) -> str:
    return static.text_of(function.__qualname__) if type(function) is FunctionType else static.qualname(type(function))


def taken() -> str | None:
    """The file that this thread has just written, once."""
    path = getattr(_last, "path", None)
    _last.path = None
    return path


def _pickled(function: Any, args: Any, kwargs: Any) -> bytes | None:
    """By reference where that is possible, so that a mended function is the one that runs again."""
    main = sys.modules.get("__main__")
    call = _dumped((function, args, kwargs))
    if call is None:
        return None
    about = {
        "format": FORMAT,
        "main": getattr(sys.modules.get("__mp_main__", main), "__file__", None),
        "path": [entry for entry in sys.path if isinstance(entry, str)],
        "folder": os.getcwd(),
        "call": call,
    }
    return pickle.dumps(about)


def _dumped(call: Any) -> bytes | None:
    import importlib

    for name in ("pickle", "cloudpickle", "dill"):
        try:
            data: bytes = importlib.import_module(name).dumps(call)
        except BaseException:  # noqa: S112  the next one may know how, where it is installed; SystemExit ends no task here
            continue
        return data
    return None
