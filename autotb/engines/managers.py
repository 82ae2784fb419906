"""multiprocessing.managers: objects that live in a process of their own, whose methods others call by proxies.

What a method raised is pickled by itself, so of its frames nothing arrives; the record rides on that pickle.  A result that
cannot be pickled, and what an object's making raised, come as text, inside ``RemoteError``; so does, without us or with
``AUTOTB_RESCUE=0``, an exception that cannot be pickled.  CPython 3.10 to 3.15.
Source: https://docs.python.org/3/library/multiprocessing.html#managers
"""

from __future__ import annotations

import functools
import sys

from autotb import engine_facts
from autotb.assumption import Attributes, Lost
from autotb.instrument.patch import Patch
from autotb.record import static

TYPE_CHECKING = False
if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.managers import Server
    from types import FrameType
    from typing import Any

    from autotb.instrument.types import Function

MODULES = ("multiprocessing.managers",)
NAME = "multiprocessing.managers"
DISTRIBUTION = None
CAPTURED = "methods of objects that a manager holds, called by their proxies"

_MODULE = "multiprocessing.managers"
_UNSENT = "Unserializable message: "


def _open(error: BaseException) -> engine_facts.Opened | None:
    """What an object's own making raised, or what could not be sent: a text is all that comes of it."""
    text = error.args[0] if error.args else None
    if type(text) is not str:
        return None
    from autotb.instrument import engine_frames

    text = text.removeprefix(_UNSENT)
    return engine_facts.Opened(headline=engine_frames.headline_of(text), text=text, where="in a manager process")


engine_facts.register(
    asks=((_MODULE, "_callmethod"),),
    runs=((_MODULE, "serve_client"), (_MODULE, "create")),
    wrappers={f"{_MODULE}.RemoteError": _open},
)

OBJECTS = Attributes(_MODULE, "Server", "id_to_obj", costs=Lost.CALL)


def _wrap_serve_client(original: Function) -> Function:
    """Runs in the manager, a thread for each proxy's connection."""

    @functools.wraps(original)
    def serve_client(self: Server, conn: Connection) -> Any:
        return original(self, _Connection(self, conn))

    return serve_client


class _Connection:
    """A connection to a proxy: the errors that it sends have their records."""

    def __init__(self, server: Server, conn: Connection) -> None:
        self._server, self._conn = server, conn
        self._request: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)

    def recv(self) -> Any:
        self._request = None  # while it waits it keeps nothing of the program's alive
        self._request = self._conn.recv()
        return self._request

    def send(self, message: object) -> None:
        if type(message) is tuple and len(message) == 2 and message[0] in ("#ERROR", "#TRACEBACK", "#UNSERIALIZABLE"):
            try:
                kind, said = message
                message = kind, _sent(said, self._server, self._request) if kind == "#ERROR" else _without_ours(said)
            except Exception:
                pass  # it goes as it is
        self._conn.send(message)


def _without_ours(text: str) -> str:
    """The text of a traceback that passes through ``_Connection``."""
    import re

    return re.sub(rf'  File "{re.escape(__file__)}", line \d+, in \w+\n(?:    .*\n)*', "", text)


def _sent(error: BaseException, server: Server, request: tuple[str, str, tuple[Any, ...], dict[str, Any]]) -> object:
    from autotb.record import build, pickling

    tb = static.traceback_of(error)
    tree = build.record(error, tb, build.hop(NAME, "in a manager process", call=_call(server, *request)))
    return pickling.packed(error, tree)


def _call(server: Server, ident: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The method that a proxy called, with its arguments."""
    from types import FunctionType, MethodType

    from autotb.record import build

    (objects,) = OBJECTS.read(server) or ({},)
    target = (objects.get(ident) or (None,))[0]
    method = static.lookup(type(target), name)
    if type(method) is not FunctionType:
        return None  # what a method of a builtin type says, its message says
    return build.call_text(MethodType(method, target), args, kwargs)


def _wrap_convert_to_error(original: Function) -> Function:
    """Runs where the proxy is, which raises what this gives."""

    @functools.wraps(original)
    def convert_to_error(kind: str, result: object) -> Any:
        error = original(kind, result)
        try:
            if kind == "#ERROR":
                from autotb.record import annotate

                annotate.arrived(error)
            _name_proxy(sys._getframe(2))
        except Exception:
            pass  # its story is told all the same
        return error

    return convert_to_error


def _name_proxy(frame: FrameType) -> None:
    """The methods of proxies are made by ``exec``, in a namespace of their own that says of which module it is nowhere."""
    caller = frame.f_back
    if frame.f_code.co_name == "_callmethod" and caller is not None and caller.f_code.co_filename == "<string>":
        caller.f_globals.setdefault("__name__", _MODULE)


PATCHES = (
    Patch(_MODULE, "Server.serve_client", _wrap_serve_client, costs=Lost.RECORD),
    Patch(_MODULE, "convert_to_error", _wrap_convert_to_error, costs=Lost.RECORD),
)
ASSUMPTIONS = (OBJECTS,)

#: What ``python -m autotb demo --engine multiprocessing.managers`` runs: a user's script.
DEMO = '''\
"""A manager holds a table of scores; one of its rows cannot be rated."""

from multiprocessing.managers import BaseManager


class Table:
    def __init__(self):
        self.rows = {n: {"clicks": n % 7, "views": 5 - n} for n in range(8)}

    def rate(self, number):
        row = self.rows[number]
        return row["clicks"] / row["views"]


class Manager(BaseManager):
    pass


Manager.register("Table", Table)


def main():
    with Manager() as manager:
        table = manager.Table()
        return [table.rate(number) for number in range(8)]


if __name__ == "__main__":
    main()
'''
