"""What a worker attaches to an exception, and how it makes an exception fit to travel.

Flows in: an exception in a worker, and where it ran.  Flows out: a *record* (a tree of ``capture`` within bounds), and objects
whose pickles rebuild exception and record with nothing but the standard library, so that a driver without autotb reads them.
"""

from __future__ import annotations

import functools
import operator
import os
import pickle
import sys
import threading
from collections.abc import Callable
from types import CodeType, TracebackType

from autotb import registry, settings, summary
from autotb.capture import KEY, VERSION, Capture, Hop, Tree, attached, fields_of, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from typing import Any

MAX_RECORD = 64 * 1024  # bytes, pickled
FULL_RECORDS = 100  # of one place in a process; further ones are light
MAX_PLACES = 1_000
MAX_TRIAL = 1 << 20  # bytes of an exception that is tried

_JOB_VARIABLES = (
    "RANK",
    "SLURM_PROCID",
    "SLURM_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
)
Light = tuple[int, Hop, str | None]  # see capture.attached
_seen: dict[CodeType, int] = {}
_logs = False  # whether the logging hook was asked for
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_seen.clear)


def place(engine: str, where: str, *, call: str | None = None, **more: Any) -> Hop:
    """A hop's description: which engine, in words where it ran, and what was called."""
    hop: Hop = {"engine": engine, "where": where, "pid": os.getpid(), "host": _host()}
    thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
    if thread is not None and thread is not threading.main_thread():
        hop["thread"] = thread.name
    job = _job()
    if job:
        hop["job"] = job
    if call is not None:
        hop["call"] = call
    hop.update({key: value for key, value in more.items() if value is not None})
    return hop


@functools.cache
def _job() -> dict[str, str]:
    return {name: os.environ[name] for name in _JOB_VARIABLES if name in os.environ}


@functools.cache
def _host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    return os.environ.get("COMPUTERNAME", "")


def call_text(function: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> str | None:
    """The failing call with its arguments as safe text; without them under ``AUTOTB_ARGS=0``."""
    registry.note_user_function(function)
    if not settings.switch("args"):
        return None
    return summary.call(function, args, kwargs)


def record(exc: BaseException, tb: TracebackType | None, hop: Hop) -> Tree | Light:
    """What a worker sends along with ``exc``: at most MAX_RECORD bytes of plain builtins."""
    if is_flood(tb) and attached(exc) is None:
        return _light(exc, tb, hop)
    in_force = settings.current()
    tree = Capture(context=max(3, in_force.context), local_variables=in_force.locals != "0").tree(exc, tb, hop)
    return _bounded(tree)


def is_flood(tb: TracebackType | None) -> bool:
    """Whether this place has failed so often that a light record must do."""
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    if tb is None:
        return False
    code = tb.tb_frame.f_code
    if len(_seen) >= MAX_PLACES:
        _seen.clear()
    _seen[code] = count = _seen.get(code, 0) + 1
    return count > FULL_RECORDS


def _light(exc: BaseException, tb: TracebackType | None, hop: Hop) -> Light:
    """Positions, type, message and arguments only: for programs that handle failures by the thousand."""
    frames: list[dict[str, Any]] = []
    while tb is not None and len(frames) < 20:
        code, module = tb.tb_frame.f_code, tb.tb_frame.f_globals.get("__name__")
        module = module if isinstance(module, str) else ""
        kind = registry.kind_of(code.co_filename, module)
        if kind != registry.ENGINE:
            frames.append({"path": code.co_filename, "line": tb.tb_lineno, "name": code.co_name, "module": module, "kind": kind})
        tb = tb.tb_next
    call = hop.pop("call", None)
    cut = "source and variables, as of many failures from one place"
    base = {**hop, "type": type_name(type(exc)), "cut": cut, "frames": frames}
    return VERSION, base, summary.cut(call, 300) if call is not None else None


_shared: dict[object, Any] = {}


def _one(key: object, value: Any) -> Any:
    """The one object that stands for all values of this key."""
    if len(_shared) > MAX_PLACES:
        _shared.clear()
    return _shared.setdefault(key, value)


def share(exc: BaseException) -> None:
    """A light record has arrived: let all from the same place share one base."""
    try:
        light = fields_of(exc).get(KEY)
        if type(light) is tuple:
            version, base, call = light
            key = (base["pid"], base["type"], tuple([(frame["path"], frame["line"]) for frame in base["frames"]]))
            fields_of(exc)[KEY] = (version, _one(key, base), call)
    except Exception:
        pass  # a record of another version stays as it came


def attach_shared(exc: BaseException, engine: str, where: str) -> None:
    """The light record of a failure in a thread; its frames and arguments are in the traceback."""
    hop = place(engine, where)
    base = _one((where, hop.get("thread")), {**hop, "live": True})
    attach(exc, _one(("of", id(base)), (VERSION, base, None)))


def _bounded(tree: Tree) -> Tree:
    if _size(tree) <= MAX_RECORD:
        return tree
    for what, shrink in (("local variables", _drop_locals), ("source lines", _drop_source), ("most frames", _drop_frames)):
        _each_hop(tree, shrink)
        tree["cut"] = what if "cut" not in tree else f"{tree['cut']}, {what}"
        if _size(tree) <= MAX_RECORD:
            return tree
    keep = {key: tree[key] for key in ("v", "type", "cut")}
    first = {key: value for key, value in tree["hops"][0].items() if key != "call"}
    return {**keep, "message": tree["message"][:1000], "hops": [first], "cut": tree["cut"] + ", causes and arguments"}


def _size(tree: Tree) -> int:
    return len(pickle.dumps(tree, 4))


def _each_hop(tree: Tree, shrink: Callable[[Hop], None]) -> None:
    for hop in tree.get("hops", ()):
        shrink(hop)
    for key in ("cause", "context"):
        if tree.get(key):
            _each_hop(tree[key], shrink)
    for member in tree.get("members") or ():
        _each_hop(member, shrink)


def _drop_locals(hop: Hop) -> None:
    for frame in hop["frames"]:
        frame.pop("locals", None)


def _drop_source(hop: Hop) -> None:
    for frame in hop["frames"][:-2]:
        frame.pop("source", None)


def _drop_frames(hop: Hop) -> None:
    frames = hop["frames"]
    if len(frames) > 20:
        hop["frames"] = [*frames[:10], {"omitted": len(frames) - 20}, *frames[-10:]]
    for frame in hop["frames"]:
        frame.pop("source", None)


def tell_lost(tree: Tree | Light, lost: list[str]) -> None:
    """Note in a record what could not travel."""
    if lost and isinstance(tree, dict):
        tree["lost"] = lost


def attach(exc: BaseException, tree: Tree | Light) -> None:
    """Put a record on an exception without running any code of its class."""
    fields_of(exc)[KEY] = tree
    _a_record_is_here()


def _a_record_is_here() -> None:
    """The first one of this process: from now on log records of such exceptions are to be short."""
    global _logs
    if not _logs:
        _logs = True
        registry.surface("shorten_logs")


def note_submitted(exc: BaseException, place: dict[str, Any] | None) -> None:
    """Note where the task was submitted that ``exc`` came from: on its outermost hop, which nobody has asked for before."""
    if place is None:
        return
    raw = fields_of(exc).get(KEY)
    if type(raw) is tuple:
        _note_on_light(exc, raw, place)
        return
    tree = attached(exc)
    if tree is not None and tree.get("hops"):
        tree["hops"][0].setdefault("submitted", place)
        _a_record_is_here()
    else:
        note(exc, submitted=place)


def _note_on_light(exc: BaseException, light: Light, place: dict[str, Any]) -> None:
    version, base, call = light
    if "submitted" not in base:
        base = _one((id(base), place["path"], place["line"]), {**base, "submitted": place})
        attach(exc, (version, base, call) if call is not None else _one(("of", id(base)), (version, base, call)))


def note(exc: BaseException, **what: Any) -> None:
    """Add to an exception's record, making one where it has none."""
    tree = attached(exc) or {"v": VERSION, "hops": []}
    tree.update({key: value for key, value in what.items() if value is not None})
    attach(exc, tree)


def note_live(exc: BaseException, hop: Hop) -> None:
    """Note in which thread of this process an exception was raised; its frames stay where they are, in the traceback."""
    tree = attached(exc) or {"v": VERSION, "hops": []}
    attach(exc, {**tree, "hops": [{**hop, "live": True}, *tree["hops"]]})


class Rebuild:
    """Pickles as the call ``function(*args)``: this class itself is in no pickle."""

    __slots__ = ("args", "function", "state")

    def __init__(self, function: Any, args: tuple[Any, ...], state: Any = None) -> None:
        self.function, self.args, self.state = function, args, state

    def __call__(self) -> None:
        """Never called here; pickle asks for a callable where one Rebuild is the function of another."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.args) if self.state is None else (self.function, self.args, self.state)


def with_record(exc: Any, text: str, tree: Tree | Light) -> tuple[Any, Any]:
    """The arguments ``(exc, text)`` of an engine's rebuild function, whose unpickling also hangs ``tree`` on ``exc``.

    No code of the user's runs that would not have run: ``exc.__dict__[KEY] = tree`` and nothing else.
    """
    setting = Rebuild(operator.setitem, (dict_of(exc), KEY, tree))
    return exc, Rebuild(operator.getitem, ((text, setting), 0))


def dict_of(exc: Any) -> Rebuild:
    """What unpickles into ``exc.__dict__``, without asking a class that answers for itself."""
    for base in type(exc).__mro__:
        own = base.__dict__.get("__dict__")
        if ("__getattribute__" in base.__dict__ and base.__module__ != "builtins") or type(own).__name__ not in _STOCK:
            getter = Rebuild(operator.getitem, (Rebuild(getattr, (BaseException, "__dict__")), "__dict__"))
            return Rebuild(Rebuild(getattr, (getter, "__get__")), (exc,))
    return Rebuild(getattr, (exc, "__dict__"))


_STOCK = ("NoneType", "getset_descriptor")
_PLAIN = (str, int, float, bool, type(None), bytes)


def is_suspect(exc: BaseException) -> bool:
    """Whether ``exc`` might not survive pickling: its class has ways of its own, or it holds more than plain values."""
    kind = type(exc)
    for base in kind.__mro__:
        if base.__module__ == "builtins":
            break
        names = base.__dict__
        if any(name in names for name in _OWN_WAYS) or "<locals>" in base.__qualname__:
            return True
    if kind.__module__ == "builtins" and not isinstance(exc, Exception):
        return True
    values = [*exc.args, *(value for name, value in fields_of(exc).items() if name != KEY)]
    return any(type(value) not in _PLAIN for value in values) or bool(getattr(exc, "exceptions", None))


_OWN_WAYS = (
    "__init__",
    "__new__",
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
    "__setattr__",
    "__getattribute__",
    "__slots__",
    "__getnewargs__",
    "__getnewargs_ex__",
)


def fit_to_travel(
    exc: BaseException, dumps: Callable[[Any], Any] = pickle.dumps, loads: Callable[[Any], Any] = pickle.loads
) -> tuple[Any, list[str]]:
    """``exc`` itself where it survives a round trip, else something that pickles into it; and what had to be left out."""
    if not settings.switch("rescue") or not is_suspect(exc):
        return exc, []
    if _survives(exc, dumps, loads):
        return exc, []
    lost: list[str] = []
    return _rebuilt(exc, dumps, loads, lost, 0), lost


def _survives(value: Any, dumps: Callable[[Any], Any], loads: Callable[[Any], Any]) -> bool:
    try:
        data = dumps(value)
        if len(data) > MAX_TRIAL:
            return True  # not tried: that would cost more than it may save
        arrived = loads(data)
    except Exception:
        return False
    return type(arrived) is type(value) or not isinstance(value, BaseException) or isinstance(arrived, BaseException)


def _rebuilt(exc: BaseException, dumps: Callable[[Any], Any], loads: Callable[[Any], Any], lost: list[str], depth: int) -> Any:
    """``exc`` made without its ``__init__``: ``base.__new__(cls)``, then what it holds, set piece by piece."""
    kind = _nearest_class(type(exc), dumps, lost)
    base = next(cls for cls in kind.__mro__ if cls.__module__ == "builtins")
    new_args: tuple[Any, ...] = ()
    args: tuple[Any, ...] = ()
    members = getattr(exc, "exceptions", None)
    if members and base.__name__ in ("ExceptionGroup", "BaseExceptionGroup"):
        sent = [_value("member", member, dumps, loads, lost, depth, True) for member in members]
        new_args = (getattr(exc, "message", ""), sent)
    else:
        args = tuple(_value(f"args[{i}]", value, dumps, loads, lost, depth, True) for i, value in enumerate(exc.args))
    fields = {}
    for name, value in fields_of(exc).items():
        if name != KEY:
            kept = _value(name, value, dumps, loads, lost, depth, False)
            if kept is not _LOST:
                fields[name] = kept
    made = Rebuild(base.__new__, (kind, *new_args))
    steps = [(_BASE_ARGS, args)] if not new_args else []
    steps += _slot_values(exc, kind, dumps, loads, lost, depth)
    actions = [Rebuild(_method(descriptor, "__set__"), (made, value)) for descriptor, value in steps]
    actions += [Rebuild(operator.setitem, (Rebuild(getattr, (made, "__dict__")), name, value)) for name, value in fields.items()]
    return Rebuild(operator.getitem, ((made, *actions), 0))


_LOST = object()
_BASE_ARGS = BaseException.__dict__["args"]


def _method(descriptor: Any, name: str) -> Any:
    """``descriptor.__set__``, pickled as a look-up on the class that holds the descriptor."""
    owner = descriptor.__objclass__
    found = Rebuild(operator.getitem, (Rebuild(getattr, (owner, "__dict__")), descriptor.__name__))
    return Rebuild(getattr, (found, name))


def _value(
    name: str, value: Any, dumps: Callable[[Any], Any], loads: Callable[[Any], Any], lost: list[str], depth: int, needed: bool
) -> Any:
    if type(value) in _PLAIN or _survives(value, dumps, loads):
        return value
    if isinstance(value, BaseException) and depth < 5:
        return _rebuilt(value, dumps, loads, lost, depth + 1)
    lost.append(f"{name} ({summary.brief(value, name)})")
    return summary.brief(value, name) if needed else _LOST


def _nearest_class(kind: type, dumps: Callable[[Any], Any], lost: list[str]) -> type:
    for cls in kind.__mro__:
        if _can(dumps, cls):
            if cls is not kind:
                lost.append(f"the class {type_name(kind)}, which cannot be pickled")
            return cls
    return Exception


def _can(function: Callable[[Any], Any], value: Any) -> bool:
    try:
        function(value)
    except Exception:
        return False
    return True


def _slot_values(
    exc: BaseException,
    kind: type,
    dumps: Callable[[Any], Any],
    loads: Callable[[Any], Any],
    lost: list[str],
    depth: int,
) -> list[tuple[Any, Any]]:
    """What builtin fields (``errno``, ``filename``, ``code``…) and ``__slots__`` hold; not None, not read-only."""
    steps = []
    for cls in kind.__mro__:
        if cls in (BaseException, object):
            continue
        for name, descriptor in cls.__dict__.items():
            if type(descriptor).__name__ not in ("member_descriptor", "getset_descriptor") or name in _NOT_STATE:
                continue
            try:
                value = descriptor.__get__(exc)
                if value is None:
                    continue
                descriptor.__set__(exc, value)  # read-only fields refuse; the others keep the value that they have
            except (AttributeError, TypeError):
                continue
            kept = _value(name, value, dumps, loads, lost, depth, False)
            if kept is not _LOST:
                steps.append((_Held(cls, descriptor), kept))
    return steps


_NOT_STATE = ("__dict__", "__weakref__", "__traceback__", "__context__", "__cause__", "exceptions", "message", "args")


class _Held:
    """A descriptor with the class to look it up on."""

    def __init__(self, owner: type, descriptor: Any) -> None:
        self.__objclass__, self.__name__ = owner, descriptor.__name__


def travelling(
    exc: BaseException,
    text: str,
    tree: Tree | Light | None,
    dumps: Callable[[Any], Any] = pickle.dumps,
    loads: Callable[[Any], Any] = pickle.loads,
) -> tuple[Any, Any]:
    """The ``(exc, text)`` to pickle in place of an engine's own: fit to travel, with its record."""
    fields = fields_of(exc)
    if tree is not None and KEY in fields:
        del fields[KEY]  # an inner worker's record, now part of ours
    fit, lost = fit_to_travel(exc, dumps, loads)
    if tree is None:
        return fit, text
    tell_lost(tree, lost)
    return with_record(fit, text, tree)


def is_worker_of_ours() -> bool:
    """Whether this process was started to run tasks (and so shows nothing of its own)."""
    return "multiprocessing.process" in sys.modules and (sys.modules["multiprocessing.process"].parent_process() is not None)
