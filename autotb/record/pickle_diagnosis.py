"""Which attribute of a task's arguments or result it is that cannot be pickled: ``config.callbacks[2].fh → _io.TextIOWrapper``.

Flows in: the values that an engine failed to send, after it failed, or the traceback of that failure.  Flows out: a path, through
the parts that fail by themselves, and what stands at its end.  Every part is pickled once more, into nothing, up to limits of
size, depth, number and time.
"""

from __future__ import annotations

import contextlib
import functools
import io
import pickle
import re
import sys
import time
from collections.abc import Iterator
from types import FrameType, FunctionType, MemberDescriptorType, MethodType, ModuleType, TracebackType
from typing import Any

from autotb.record import ownership, safe_repr, static

MAX_BYTES = 10_000_000  # of one part; a larger one is taken to be sound
MAX_DEPTH, MAX_PARTS, MAX_SECONDS = 20, 500, 0.5


#: Objects of the standard library's that are told as they are: what they are made of says less.
_WHOLE = {
    *("threading", "_thread", "queue", "_queue", "asyncio", "socket", "ssl", "subprocess", "tempfile", "concurrent", "logging"),
    *("multiprocessing", "http", "zipfile", "tarfile", "selectors", "sqlite3", "io", "_io"),
}


def of_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], pickler: Any = pickle.Pickler) -> str:
    """The path to what is at fault in a call; empty where nothing is found."""
    return _Search(pickler).among(_of_call(function, args, kwargs))


def of_result(value: Any, pickler: Any = pickle.Pickler) -> str:
    """The path to what is at fault in a result."""
    return _Search(pickler).among([("result", value)])


def of_traceback(tb: TracebackType | None, name: str) -> str:
    """The path to what is at fault in the value that an engine's line gave to a pickler, which raised; empty where none did.

    ``name`` is what a value is called that has no name of its own.
    """
    caller, frame = _pickling(tb)
    if frame is None or caller is None or ownership.kind_of_frame(caller) not in (ownership.ENGINE, ownership.STDLIB):
        return ""  # or the user's own line did it, who knows what he gave it
    found, module = _first_argument(frame), static.name_of(frame)
    if found and type(found[0]) is list and module.endswith(".cloudpickle.cloudpickle"):
        # An engine with a copy of its own writes the plain parts of a value itself: these are the others.
        kinds = [static.qualname(type(item)).rpartition(".")[2] for item in found[0]]
        parts = [("result…" if name == "result" else kind, item) for kind, item in zip(kinds, found[0], strict=True)]
    else:
        parts = _named(found[0], name) if found else []
    with _starting(found[0] if found else None):
        return _Search(_pickler_of(module)).among(parts)


class _Child:
    """Stands for the process that is being started: what is given to a child alone asks for one."""

    def duplicate_for_child(self, handle: int) -> int:
        """Nothing is sent."""
        return handle

    DupFd = int  # so a descriptor is written down


@contextlib.contextmanager
def _starting(value: Any) -> Iterator[None]:
    """As it was while a process was pickled: queues, locks and connections may be in one, and nowhere else."""
    # The base class of processes says which package they are of: multiprocessing itself, or a copy of it.
    base = next((kind for kind in type(value).__mro__ if static.qualname(kind) == "BaseProcess"), None)
    context: Any = None if base is None else sys.modules.get(static.module(base).rpartition(".")[0] + ".context")
    if not hasattr(context, "set_spawning_popen"):
        yield
        return
    before = context.get_spawning_popen()
    context.set_spawning_popen(_Child())
    try:
        yield
    finally:
        context.set_spawning_popen(before)


def _pickling(tb: TracebackType | None) -> tuple[FrameType | None, FrameType | None]:
    """The innermost frame of a function that pickles its argument, and the first one above those of picklers."""
    before = caller = found = None
    while tb is not None:
        frame, tb = tb.tb_frame, tb.tb_next
        if frame.f_code.co_name in _PICKLING and _is_picklers(frame):
            if before is None or not (before.f_code.co_name in _PICKLING and _is_picklers(before)):
                caller = before
            found = frame
        before = frame
    return caller, found


_PICKLING = ("dump", "dumps")
_PICKLERS = {"pickle", "cloudpickle", "dill", "reduction"}  # the last part of a module's name


def _is_picklers(frame: FrameType) -> bool:
    name = static.name_of(frame)
    return name.rpartition(".")[2] in _PICKLERS or name.partition(".")[0] in _PICKLERS


def _first_argument(frame: FrameType) -> tuple[Any, ...]:
    """The value, alone in a tuple; nothing where it is not there any more."""
    code = frame.f_code
    names = [name for name in code.co_varnames[: code.co_argcount] if name not in ("self", "cls")]
    values = frame.f_locals
    found = (values[names[0]],) if names and names[0] in values else ()
    if sys.version_info < (3, 13):  # a snapshot of them, which would stay with the frame
        values.clear()
    return found


def _pickler_of(module: str) -> Any:
    """What the function of a module pickles with."""
    loaded = sys.modules.get(module)
    if module.rpartition(".")[2] == "reduction":
        lokys: Any = getattr(loaded, "get_loky_pickler", None)
        return lokys() if lokys is not None else getattr(loaded, "ForkingPickler", pickle.Pickler)
    if module.endswith(".pickle"):  # an engine's, which takes what cloudpickle takes
        loaded = sys.modules.get("cloudpickle.cloudpickle")
    elif module.startswith("dill"):
        loaded = sys.modules.get("dill")
    return getattr(loaded, "CloudPickler", None) or getattr(loaded, "Pickler", pickle.Pickler)


def _named(value: Any, name: str) -> list[tuple[str, Any]]:
    """The parts of what an engine sends: of a call those of a call."""
    if type(value) is tuple and len(value) == 5 and callable(value[2]) and type(value[3]) is tuple:  # a pool's task
        return _of_call(value[2], value[3], value[4] if type(value[4]) is dict else {})
    if type(value) is tuple and len(value) == 3 and type(value[2]) is tuple and len(value[2]) == 2:  # a pool's result
        return [("result", value[2][1])]
    fields = static.attributes(value)
    if callable(fields.get("_target")) and type(fields.get("_args")) is tuple:  # a process
        return [*_of_call(fields["_target"], fields["_args"], fields.get("_kwargs") or {}), (name, value)]
    if type(value) is FunctionType:
        name = safe_repr.function_name(value)
    return [(name, value)]


def _of_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    chunk = static.module_of(function).endswith(".pool") and safe_repr.function_name(function) in ("mapstar", "starmapstar")
    if chunk and args and type(args[0]) is tuple and len(args[0]) == 2:
        (function, items), star = args[0], safe_repr.function_name(function) == "starmapstar"
        calls = [_of_call(function, tuple(item) if star else (item,), {}) for item in items]
        return [part for call in calls for part in call]
    while type(function) is functools.partial:
        args, kwargs, function = (*function.args, *args), {**function.keywords, **kwargs}, function.func
    names = safe_repr._parameters(function)
    parts: list[tuple[str, Any]] = [(safe_repr.function_name(function), function)]
    parts += [(names[at] if at < len(names) else f"args[{at}]", value) for at, value in enumerate(args)]
    return [*parts, *kwargs.items()]


_KEYWORD = re.compile(r"^(?:kwargs|kwds|keywords)\['(\w+)'\]")  # of a call that an engine has wrapped


TOO_DEEP = " (nested too deeply)"


class _FullError(Exception):
    """More was written than is looked at."""


class _Nothing(io.RawIOBase):
    """Takes bytes and keeps none."""

    count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.count += len(data)
        if self.count > MAX_BYTES:
            raise _FullError
        return len(data)


class _Search:
    def __init__(self, pickler: Any) -> None:
        self.pickler = pickler
        self.left = MAX_PARTS
        self.until = time.monotonic() + MAX_SECONDS
        self.deep: list[Any] = []

    def among(self, parts: list[tuple[str, Any]]) -> str:
        """The deepest part that fails, of the first of these that fails; else the first that is nested too deeply."""
        if self.fails(None):
            return ""  # it is the pickler that does not work here
        path, value = next((part for part in parts if self.fails(part[1])), ("", None))
        if not path and self.deep:
            value = self.deep[0]
            path = next((path for path, each in parts if each is value), "")
            return f"{safe_repr.cut(path, 200)} → {_kind(value)}{TOO_DEEP}" if path else ""
        for _ in range(MAX_DEPTH if path else 0):
            is_engines = ownership.is_engines(type(value)) and type(value) is not FunctionType
            if type(value) is FunctionType and self.takes_names():
                break
            inner = next((part for part in _parts("" if is_engines else path, value) if self.fails(part[1])), None)
            if inner is None:
                break
            path, value = inner
            if path.startswith("."):  # what an engine keeps a call in says nothing
                path = path[1:]
        path = _KEYWORD.sub(r"\1", path)
        if type(value) is FunctionType and path == safe_repr.function_name(value):
            return _kind(value)
        return f"{safe_repr.cut(path, 200)} → {_kind(value)}" if path else ""

    def fails(self, value: Any) -> bool:
        if self.left <= 0 or time.monotonic() > self.until:
            return False
        self.left -= 1
        try:
            self.pickler(_Nothing()).dump(value)
        except (_FullError, MemoryError):
            return False
        except BaseException as error:  # SystemExit too: it has ended the engine's own pickling, and must end nothing else
            if not isinstance(error, RecursionError) and not isinstance(static.cause_of(error), RecursionError):
                return True
            self.deep.append(value)
        return False

    def takes_names(self) -> bool:
        """Whether functions are sent by their names alone: what they hold of others is then not what fails."""
        return self.fails(lambda: None)


def _kind(value: Any) -> str:
    """What a value is: its type; a function, a class or a module by its name, which says why it cannot be sent."""
    kind = safe_repr.type_name(type(value))
    if type(value) is FunctionType:
        return f"{kind} {static.text_of(value.__qualname__)}"
    if type(value) is ModuleType:
        return f"{kind} {static.names_of(value).get('__name__')}"
    return f"class {safe_repr.type_name(value)}" if issubclass(type(value), type) else kind


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, each with the expression that leads there."""
    kind = type(value)
    package = static.module(kind).partition(".")[0]
    if package in _WHOLE or f"{package}ing" in _WHOLE:  # multiprocessing has a copy of that name
        return
    if any(static.module(each).startswith("concurrent.futures") for each in kind.__mro__):  # an engine's future, or its pool
        return
    fields: Any = static.own(kind).get("_fields")
    if issubclass(kind, tuple) and type(fields) is tuple:
        yield from ((f"{path}.{name}", item) for name, item in zip(fields, tuple.__iter__(value), strict=False))
    elif issubclass(kind, (list, tuple)):
        base: Any = list if issubclass(kind, list) else tuple
        yield from ((f"{path}[{at}]", item) for at, item in enumerate(base.__iter__(value)))
    elif issubclass(kind, (set, frozenset)):
        base = set if issubclass(kind, set) else frozenset
        yield from ((f"an element of {path}", item) for item in base.__iter__(value))
    elif issubclass(kind, dict):
        for key, item in dict.items(value):
            yield f"a key of {path}", key
            yield f"{path}[{safe_repr.brief(key)}]", item
    elif kind is functools.partial:
        yield from ((f"{path}.func", value.func), (f"{path}.args", value.args), (f"{path}.keywords", value.keywords))
    elif kind is MethodType:
        yield f"{path}.__self__", value.__self__
    elif kind is FunctionType:
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=False)
        yield from ((f"{name} in {path}", cell.cell_contents) for name, cell in cells if _is_full(cell))
    if kind not in (functools.partial, MethodType, FunctionType):
        yield from ((f"{path}.{name}", item) for name, item in (static.attributes(value) | _slots(value)).items())


def _slots(value: Any) -> dict[str, Any]:
    """What stands in the slots of its class, those of the user's among them."""
    found: dict[str, Any] = {}
    for kind in static.mro(type(value)):
        own = static.own(kind)
        for name, member in own.items() if "__slots__" in own else ():
            if type(member) is MemberDescriptorType and type(name) is str:
                try:
                    found.setdefault(name, member.__get__(value))
                except AttributeError:
                    pass  # empty
    return found


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018  raises where it is empty
    except ValueError:
        return False
    return True
