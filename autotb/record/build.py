"""Makes the record of an exception.

Flows in: an exception in a worker, and where it ran.  Flows out: a *record*, a tree of ``capture`` in bounds, which ``annotate``
puts on the exception and ``pickling`` makes fit to be pickled.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
import threading
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType, TracebackType

from autotb import settings
from autotb.imports import own
from autotb.record import made_frames, ownership, safe_repr, schema, static
from autotb.record.capture import VERSION, Capture, attached, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from typing import Any

    from autotb.record.schema import Frame, Hop, Light, Tree

MAX_RECORD = 64 * 1024  # bytes, pickled
_LONGEST = 1_200  # characters of a path or a name in a light record; a driver takes no more of one
FULL_RECORDS = 100  # of one place in a process; further ones are light
MAX_PLACES = 1_000

_JOB_VARIABLES = (
    "RANK",
    "SLURM_PROCID",
    "SLURM_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
)
_MOST_VERSIONS = 10
_UNTOLD = sys.stdlib_module_names | {"", "__main__", "__mp_main__", "autotb"}  # these have no version of their own
_seen: dict[CodeType, int] = {}
worker_log: str | None = None  # the file in which this worker logs its tasks
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_seen.clear)


def hop(engine: str, where: str, *, call: str | None = None, **more: Any) -> Hop:
    """A hop's description: which engine, in words where it ran, and what was called."""
    made: Hop = {"engine": engine, "where": where, "pid": os.getpid(), "host": host()}
    thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
    if thread is not None and thread is not threading.main_thread():
        made["thread"] = thread.name
    if settings.switch("keep_inputs"):
        from autotb.record import inputs

        more["inputs"] = inputs.taken()
    if worker_log is not None:
        made["log"] = worker_log
    job = _job()
    if job:
        made["job"] = job
    if call is not None:
        made["call"] = call
    known: Any = {key: value for key, value in more.items() if value is not None}
    made.update(known)
    return made


@functools.cache
def _job() -> dict[str, str]:
    return {name: os.environ[name] for name in _JOB_VARIABLES if name in os.environ}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_job.cache_clear)  # it may be another rank than its parent


@functools.cache
def host() -> str:
    """This machine's name; empty where it has none."""
    if hasattr(os, "uname"):
        return str(os.uname().nodename)
    return os.environ.get("COMPUTERNAME", "")


def call_text(function: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> str | None:
    """The failing call with its arguments as safe text; without them under ``AUTOTB_ARGS=0``."""
    ownership.note_user_function(function)
    if settings.switch("keep_inputs"):
        from autotb.record import inputs

        inputs.keep(function, args, kwargs)
    if not settings.switch("args"):
        return None
    return safe_repr.call(function, args, kwargs)


def record(exc: BaseException, tb: TracebackType | None, hop: Hop) -> Tree | Light:
    """What a worker sends along with ``exc``: at most MAX_RECORD bytes of plain builtins."""
    if is_flood(tb) and attached(exc) is None:
        return _light(exc, tb, hop)
    context, variables = settings.value("context"), settings.value("locals")
    with own:
        tree = Capture(context=max(3, context), local_variables=variables != "0").tree(exc, tb, hop)
    hop = tree["hops"][0]
    hop["versions"] = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", **versions(tb, exc), **_searched(exc)}
    return _bounded(tree)


def _searched(exc: BaseException) -> dict[str, str]:
    """Where a module was looked for that was not found: another interpreter, or the same without a folder of the driver's."""
    folders = [folder for folder in sys.path if type(folder) is str] if type(exc) is ModuleNotFoundError else []
    text = os.pathsep.join(map(os.path.abspath, folders))
    return {"executable": sys.executable or "", "sys.path": text} if text and len(text) < 4_000 else {}


def is_this_python(executable: str) -> bool:
    """Whether a worker's interpreter is this environment's: ``python`` and ``python3.11`` in one folder are links to one file."""
    own = sys.executable or ""
    beside = os.path.dirname(executable) == os.path.dirname(own)
    return executable == own or (beside and os.path.realpath(executable) == os.path.realpath(own))


def versions(tb: TracebackType | None, exc: BaseException | None = None) -> dict[str, str]:
    """The packages that a traceback's frames are of, or that the user's own lines name, by what they say is their version."""
    found: dict[str, str] = {}
    if type(exc) is ImportError:
        _add_version(found, exc.name)
    elif type(exc) is AttributeError and type(exc.obj) is ModuleType:
        _add_version(found, static.names_of(exc.obj).get("__name__"))
    before: CodeType | None = None
    while tb is not None and len(found) < _MOST_VERSIONS and not made_frames.is_made(tb.tb_frame):
        frame, tb = tb.tb_frame, tb.tb_next
        if frame.f_code is before:
            continue  # of a recursion
        before = frame.f_code
        names = [static.name_of(frame)]
        for name in frame.f_code.co_names if ownership.kind_of_frame(frame) == ownership.USER else ():
            value: Any = dict.get(frame.f_globals, name)
            kind = type(value)
            if kind is ModuleType:
                names.append(static.text_of(static.names_of(value).get("__name__")))
            elif kind is FunctionType or kind is type:
                names.append(static.module_of(value))
        for module in names:
            _add_version(found, module)
    return found


def _add_version(found: dict[str, str], module: object) -> None:
    package = module.partition(".")[0] if type(module) is str else ""
    version = version_of(package) if package not in _UNTOLD else ""
    if version:
        found.setdefault(package, version[:40])


def version_of(module: str) -> str:
    """What a loaded module says is its version.  No code of its own is run: it may be one that is loaded on first use."""
    loaded = sys.modules.get(module)
    version = static.names_of(loaded).get("__version__") if issubclass(type(loaded), ModuleType) else None
    return version if type(version) is str else ""


def is_flood(tb: TracebackType | None) -> bool:
    """Whether this place has failed so often that a light record must do."""
    tb = static.innermost(tb)
    if tb is None:
        return False
    code = tb.tb_frame.f_code
    if len(_seen) >= MAX_PLACES:
        _seen.clear()
    _seen[code] = count = _seen.get(code, 0) + 1
    return count > FULL_RECORDS


def _light(exc: BaseException, tb: TracebackType | None, hop: Hop) -> Light:
    """Positions, type, message and arguments only: for programs that handle failures by the thousand."""
    frames: list[Frame] = []
    while tb is not None and len(frames) < 20:
        path, name = static.exact(tb.tb_frame.f_code.co_filename), static.exact(tb.tb_frame.f_code.co_name)[:_LONGEST]
        module, kind = static.name_of(tb.tb_frame)[:_LONGEST], ownership.kind_of_frame(tb.tb_frame)
        if kind != ownership.ENGINE:
            frames.append({"path": path[:_LONGEST], "line": tb.tb_lineno or 0, "name": name, "module": module, "kind": kind})
        tb = tb.tb_next
    call = hop.pop("call", None)
    cut = "source and variables, as of many failures from one place"
    base = {**hop, "type": type_name(type(exc)), "cut": cut, "frames": frames}
    return VERSION, base, safe_repr.cut(call, 300) if call is not None else None


def _bounded(tree: Tree) -> Tree:
    if _size(tree) <= MAX_RECORD:
        return tree
    for what, shrink in (("local variables", _drop_locals), ("source lines", _drop_source), ("most frames", _drop_frames)):
        _each_hop(tree, shrink)
        tree["cut"] = what if "cut" not in tree else f"{tree['cut']}, {what}"
        if _size(tree) <= MAX_RECORD:
            return tree
    _without_middle(tree)
    tree["cut"] += ", most members and most of a long chain"
    if _size(tree) <= MAX_RECORD:
        return tree
    root = _headline_of(_root(tree))
    short: Tree = {**_headline_of(tree), "cut": tree["cut"] + ", causes and arguments"}
    return short if root["hops"] == short["hops"] else {**short, "cause": root}


def _headline_of(tree: Tree) -> Tree:
    """An exception without anything that may be large."""
    hops = [_with_short_texts(schema.without(hop, "call")) for hop in tree["hops"][:1]]
    return {"v": VERSION, "type": tree["type"][:1000], "message": tree["message"][:1000], "hops": hops}


_MOST_TEXT = 200  # characters of a path, a name, a line, where all else did not help


def _with_short_texts(value: Any) -> Any:
    """A part of a record whose texts may be of any length: code may say that its file has a name of a megabyte."""
    if type(value) is str:
        return value if len(value) <= _MOST_TEXT else "…" + value[-_MOST_TEXT:]
    if type(value) is dict:
        return {key: _with_short_texts(each) for key, each in list(value.items())[:50]}
    return [_with_short_texts(each) for each in value[:50]] if type(value) is list else value


def _root(tree: Tree) -> Tree:
    while (cause := tree.get("cause")) is not None:
        tree = cause
    return tree


_KEPT = 3  # of the members of a group; twice as many of a chain


def _without_middle(tree: Tree) -> None:
    """Keep the ends of a long chain, and the first members of a group; count the others."""
    chain = [tree]
    while (before := chain[-1].get("cause") or chain[-1].get("context")) is not None:
        chain.append(before)
    left_out = chain[_KEPT:-_KEPT]
    if left_out:
        outer = chain[_KEPT - 1]
        implied = any(not each.get("cause") for each in (outer, *left_out))
        outer["skipped"] = outer.get("skipped", 0) + sum(1 + each.get("skipped", 0) for each in left_out)
        outer["cause"], outer["context"] = (None, chain[-_KEPT]) if implied else (chain[-_KEPT], None)
        chain = [*chain[:_KEPT], *chain[-_KEPT:]]
    for each in chain:
        members = each.get("members") or []
        if len(members) > _KEPT:
            each["unlisted"] = each.get("unlisted", 0) + sum(1 + member.get("alike", 0) for member in members[_KEPT:])
            each["members"] = members[:_KEPT]
        for member in members[:_KEPT]:
            _without_middle(member)


def _size(tree: Tree) -> int:
    return len(pickle.dumps(tree, 4))


def _each_hop(tree: Tree, shrink: Callable[[Hop], None]) -> None:
    for hop in tree.get("hops", ()):
        shrink(hop)
    for other in (tree.get("cause"), tree.get("context"), *(tree.get("members") or ())):
        if other is not None:
            _each_hop(other, shrink)


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
