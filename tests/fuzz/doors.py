"""The ways into autotb and out of it, in this process; what is checked of each.

Flows in: a case's chance.  Flows out: the faults that were found, as lines.
"""

from __future__ import annotations

import concurrent.futures
import gc
import io
import json
import logging
import multiprocessing
import pickle
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import autotb
from autotb import render, settings
from autotb.futures import report
from autotb.hooks import events, logs
from autotb.postmortem import death_report, status_reader
from autotb.record import annotate, arrival, build, capture, pickling, static
from autotb.render import clean, panels, plain, terminal
from autotb.trace import build as stories
from autotb.trace import model
from tests import programs
from tests.fuzz import RAW, exceptions, hostile, outlets, records, reports
from tests.fuzz.chance import Chance

MOST_LINES = 300


class Found(list):  # type: ignore[type-arg]
    """The faults of one case."""

    def check(self, holds: object, what: str) -> None:
        if not holds:
            self.append(what)


class Planted:
    """An object of the program's, of which nothing may be kept."""


# What is checked of a story


def drawn(found: Found, chance: Chance, trace: Any, exc: BaseException | None = None) -> None:
    """One trace in several styles, on several streams."""
    in_force = _settings(chance)
    abilities = terminal.Abilities(
        width=chance.one((20, 41, 80, 80, 250)), unicode=chance.is_so(0.8), colour=chance.is_so(0.05), dumb=False, collected=False
    )
    telling = _telling(exc) if exc is not None else ()
    style = int(chance.random.random() * 3)
    if style != 1:
        text = panels.draw(trace, abilities, in_force)
        _look_at(found, chance, "rich", text if not abilities.colour else _uncoloured(text), telling)
    if style != 0:
        text = "\n".join(plain.lines(trace, in_force, with_hints=True)) + "\n"
        _look_at(found, chance, "plain", text, telling)
    if chance.is_so(0.1):
        _through_json(found, chance, trace)
    if chance.is_so(0.05):
        stream = (
            io.StringIO()
            if chance.is_so(0.5)
            else io.TextIOWrapper(io.BytesIO(), chance.one(("ascii", "utf-16", "cp1252", "cp932")))
        )
        render.show(trace, stream, chance.one(("", "json", "plain", "rich")))


def _uncoloured(text: str) -> str:
    import re

    return re.sub("\x1b\\[[0-9;]*m", "", text)


def _look_at(found: Found, chance: Chance, style: str, text: str, telling: tuple[str, ...] = ()) -> None:
    raw = RAW.search(text)
    found.check(not raw, f"{style}: a raw {raw[0]!r}" if raw else "")
    found.check(style == "json" or text.count("\n") <= MOST_LINES, f"{style}: {text.count(chr(10))} lines")
    for name in telling:
        found.check(name in text, f"{style}: {name!r:.60} is not in it")
    found.check(not chance.secrets or not chance.told(text), f"{style}: a secret got out: {chance.told(text)}")


def _telling(exc: BaseException) -> tuple[str, ...]:
    """What a story must tell: the type of the error and, where that is another, of its root."""
    root, seen = exc, {id(exc)}
    while True:
        cause, members = static.cause_of(root), static.members(root)
        following = cause if cause is not None else members[0] if members is not None and len(members) == 1 else None
        if following is None or id(following) in seen:
            break
        root = following
        seen.add(id(root))
    return tuple([clean.text(capture.type_name(type(each))).split("\n")[0] for each in (exc, root)])


def _settings(chance: Chance) -> Any:
    if chance.is_so(0.5):
        return settings.current()
    in_force = settings.current()
    given = {name: getattr(in_force, name) for name in settings.OPTIONS}
    given |= {
        "frames": chance.one(("user", "all")),
        "context": chance.one((0, 1, 3, 40)),
        "args": chance.is_so(0.8),
        "locals": "1",
    }
    return settings.Settings(given, in_force.sources, (), "")


def _through_json(found: Found, chance: Chance, trace: Any) -> None:
    tree = trace.to_dict()
    _of_builtins(found, tree)
    said = json.dumps(tree)
    found.check(not RAW.search(said) and not chance.told(said), "json: a raw character or a secret")
    again = model.Trace.from_dict(json.loads(said))
    one, other = str(again), str(trace)
    found.check(
        one == other or len(said) > arrival.MAX_TEXT or "pid" in one or "host" in one, "json: read again it tells another story"
    )


def _of_builtins(found: Found, value: Any) -> None:
    """Nothing of the program's is kept in a story."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        kind = type(each)
        if kind is dict:
            waiting += [*dict.keys(each), *dict.values(each)]
        elif kind is list:
            waiting += each
        elif not any(kind is known for known in (str, int, bool, float, type(None))):
            found.append(f"a {object.__repr__(each):.60} is kept in a story")


class Watched:
    """An exception before and after: what code of the program's was run, and whether it is what it was."""

    def __init__(self, chance: Chance, exc: BaseException) -> None:
        self.exc = exc
        self.before = _state(exc)
        # Python asks each exception of a chain for its text, and so do we: what that runs may run.
        hostile.called.clear()
        for each in exceptions.chain(exc):
            try:
                str(each)
            except BaseException:
                pass  # hostile
        self.allowed = set(hostile.called) | {"Loader.get_source"}
        hostile.called.clear()

    def check(self, found: Found) -> None:
        more = sorted(set(hostile.called) - self.allowed)
        for told in hostile.watching or ():
            if told.partition(":")[0] in more:
                print(told)
        found.check(not more, f"code of the program's was run: {', '.join(more)}")
        after = _state(self.exc)
        found.check(
            len(after) == len(self.before) and all(one is other for one, other in zip(after, self.before)),
            "the exception was altered",
        )


def _state(exc: BaseException) -> list[Any]:
    fields = static.fields_of(exc)
    own = [value for key, value in dict.items(fields) if not (type(key) is str and key == "__autotb__")]
    return [
        type(exc),
        static.args_of(exc),
        static.cause_of(exc),
        static.context_of(exc),
        static.suppresses(exc),
        static.traceback_of(exc),
        *own,
    ]


# The doors


def told_here(found: Found, chance: Chance) -> None:
    """``explain``: built from the live exception, and drawn."""
    exc = _exception(chance)
    watched = Watched(chance, exc)
    if chance.is_so(0.9):
        trace = stories.build(exc)
    else:
        trace = autotb.explain(exc)
        str(trace), trace.root_cause, trace.frames, trace.hints
    drawn(found, chance, trace, exc if static.members(exc) is None else None)
    watched.check(found)


def _exception(chance: Chance) -> BaseException:
    exc = exceptions.exception(chance)
    if chance.is_so(0.03):
        planted = Planted()
        dict.__setitem__(static.fields_of(exc), "planted", planted)
        _planted.append(weakref.ref(planted))
    return exc


_planted: list[Any] = []


def recorded(found: Found, chance: Chance) -> None:
    """A record that somebody made, on an exception."""
    exc = ValueError(chance.text()) if chance.is_so(0.5) else exceptions.exception(chance)
    record = records.record(chance) if chance.is_so(0.9) else records.light(chance)
    dict.__setitem__(static.fields_of(exc), capture.KEY, record)
    if chance.is_so(0.1):
        annotate.share(exc)
    if chance.is_so(0.1):
        annotate.note_submitted(exc, {"path": "a.py", "line": 3, "name": "f"})
    drawn(found, chance, stories.build(exc))
    stories.root_of(exc)


def carried(found: Found, chance: Chance) -> None:
    """A worker's exception: recorded, pickled, unpickled, drawn."""
    exc = _exception(chance)
    watched = Watched(chance, exc)
    name, secret = chance.secret()
    call = build.call_text(_task, (hostile.thing(chance), chance.plain()), {name: secret, "a": hostile.thing(chance)})
    hop = build.hop("process pool", "in a process-pool worker", call=call)
    tree = build.record(exc, static.traceback_of(exc), hop)
    watched.check(found)
    _of_builtins(found, tree if type(tree) is dict else {"base": tree[1]})
    found.check(len(pickle.dumps(tree)) <= build.MAX_RECORD + 2_000, f"a record of {len(pickle.dumps(tree)):,} bytes")
    if type(tree) is dict and chance.is_so(0.3):
        tree = records.altered(chance, tree, 0.01)
    hostile.muted += 1  # pickling runs what it runs
    try:
        if type(tree) is not dict and type(tree) is not tuple:
            return
        try:
            arrived = pickle.loads(pickle.dumps(pickling.packed(exc, tree if type(tree) is tuple else {**tree})))
        except BaseException as error:
            if hostile.watching is not None:
                print(*_places(error)[-9:], sep="\n")
            found.check(_is_theirs(error), f"it does not travel: {type(error).__name__}: {error!s:.60}")
            return
    finally:
        hostile.muted -= 1
    if static.is_exception(arrived):
        drawn(found, chance, stories.build(arrived), None)


def _is_theirs(error: BaseException) -> bool:
    """Whether a method of a hostile class raised it."""
    tb = static.innermost(static.traceback_of(error))
    return tb is not None and tb.tb_frame.f_code.co_filename.endswith("hostile.py")


def _task(first: Any, second: Any, **more: Any) -> None: ...


def text(found: Found, chance: Chance) -> None:
    """A worker's traceback as text, where no record came."""
    said = records.text(chance)
    exc = ValueError(chance.text())
    dict.__setitem__(static.fields_of(exc), capture.KEY, {"v": 1, "hops": [], "text": said, "where": chance.text()})
    drawn(found, chance, stories.build(exc), exc)


def file(found: Found, chance: Chance) -> None:
    """A JSON file of a story, as ``show`` reads it."""
    said = json.dumps(records.story(chance, _real_story()), default=repr, skipkeys=True)
    if chance.is_so(0.3):
        said = records.mangled(chance, said)
    try:
        trace = model.Trace.from_dict(arrival.parsed(said))
    except ValueError as error:
        clean.line(str(error))
        return
    drawn(found, chance, trace)


_story: dict[str, Any] = {}


def _real_story() -> dict[str, Any]:
    if not _story:
        for number in range(40):  # one of many parts
            chance = Chance(7, number, "")
            try:
                tree = stories.build(exceptions.exception(chance)).to_dict()
            finally:
                exceptions.tidy()
            if len(json.dumps(tree)) > len(json.dumps(_story)) and len(json.dumps(tree)) < 20_000:
                _story.clear()
                _story.update(tree)
    return _story


def dead_worker(found: Found, chance: Chance) -> None:
    """A status file of a worker that died."""
    try:
        left = status_reader.Remains(records.status_file(chance), chance.number())
    except ValueError:
        return
    hop = death_report.hop("loky", "in a worker", chance.one((None, 77)), chance.one((None, -9, -11, 3, -99)), left)
    exc = RuntimeError("broken")
    annotate.note_death(exc, [hop], None)
    drawn(found, chance, stories.build(exc), exc)


def thread(found: Found, chance: Chance) -> None:
    """What ``threading.excepthook`` shows."""
    exc = _exception(chance)
    watched = Watched(chance, exc)
    stream, real = io.StringIO(), sys.stderr
    sys.stderr = stream
    try:
        done = events.thread_failed(
            threading.ExceptHookArgs((type(exc), exc, static.traceback_of(exc), threading.current_thread()))
        )
    finally:
        sys.stderr = real
    watched.check(found)
    found.check(done, "not shown")
    _look_at(found, chance, "thread", stream.getvalue(), _telling(exc)[:1] if static.members(exc) is None else ())


def log(found: Found, chance: Chance) -> None:
    """What logging's formatter makes of it."""
    logs.install()
    chance.devices = False
    exc = _exception(chance)
    told = (type(exc), exc, static.traceback_of(exc))
    formatter = logging.Formatter()
    if chance.is_so(0.5):
        annotate.note(exc, submitted={"path": chance.path(), "line": 3, "name": chance.text()})
        watched = Watched(chance, exc)
        said = formatter.formatException(told)
        watched.check(found)
        _look_at(found, chance, "log", said)
        return
    before, after = _format(_stock, formatter, told), _format(logging.Formatter.formatException, formatter, told)
    found.check(after in (before, _format(_stock, formatter, told)), "logging formats a plain error otherwise")


def _stock(_: Any, told: Any) -> str:
    """What the formatter does of its own."""
    stream = io.StringIO()
    traceback.print_exception(*told, None, stream)
    return stream.getvalue().removesuffix("\n")


def _format(function: Any, formatter: Any, told: Any) -> Any:
    try:
        return function(formatter, told)
    except BaseException:
        return None  # a class that answers for itself may raise now this and now that


def collected(found: Found, chance: Chance) -> None:
    """Futures that somebody holds: ``collect``, its summary and files, ``unwrap``."""
    exc = _exception(chance)
    if not isinstance(type(exc), type) or not static.is_exception(exc) or not issubclass(type(exc), Exception):
        return
    future: Any = concurrent.futures.Future()
    future.set_exception(exc)
    try:
        future.result()
    except Exception:
        pass  # itself, or what its class raises instead
    except BaseException:
        return  # the future asks whether there is one, and its class ends the program
    logging.getLogger("autotb").handlers[:] = [logging.NullHandler()]
    hostile.called.clear()
    done = autotb.collect([future], names=[chance.text()])
    for said in (done.summary(), str(done), json.dumps(done.to_dict())):
        found.check(not RAW.search(said), "collect: a raw character")
        found.check(not chance.told(said), "collect: a secret got out")
    try:
        autotb.unwrap(future, name="it")
    except BaseException as error:
        found.check(error is exc or not _is_raised_as_it_is(exc), f"unwrap raised another error: {static.name(type(error))}")
    try:
        done.raise_for_failures()
    except BaseException:
        pass  # its own group, or the one error
    trace = stories.build(exc)
    json.dumps(report.failed("it", exc, trace))


def _is_raised_as_it_is(exc: BaseException) -> bool:
    """Whether neither the interpreter nor the pool, which asks whether there is one, stumbles over its class."""
    try:
        if exc:
            raise exc
        return False
    except BaseException as error:
        return error is exc


# Pools that live on


def failing(seed: int, number: int, folder: str) -> Any:
    """The task of a pool: one of the cases."""
    hostile.muted += 1
    try:
        chance = Chance(seed, number, folder)
        chance.devices = False  # the engines format tracebacks
        exc = exceptions.exception(chance)
    finally:
        exceptions.tidy()
    if not issubclass(type(exc), Exception):
        exc = ValueError("no Exception")
    raise exc


_pools: dict[str, Any] = {}
_before: dict[str, list[Any]] = {}  # the tasks that each of them has had
MOST_TASKS = 60  # of one pool: whatever it is broken by can be tried again


def pool(found: Found, chance: Chance, seed: int, number: int, folder: str) -> None:
    """Delivered by a real pool: a thread's, a process's, multiprocessing's."""
    kind = chance.one(("threads", "processes", "multiprocessing"))
    hostile.muted += 1
    chance.devices = False
    try:
        _delivered(found, chance, kind, (seed, number + (1 << 40), folder))
    finally:
        hostile.muted -= 1


def _delivered(found: Found, chance: Chance, kind: str, task: Any) -> None:
    tasks = _before.setdefault(kind, [])
    tasks.append(task)  # a worker may die of any of those before
    how, exc = outcome(kind, task)
    if len(tasks) >= MOST_TASKS or exc is None:
        del _before[kind]
        if exc is not None:
            _end(_pools.pop(kind))
    if exc is None:
        ours, bare = (_alone(kind, tasks, switch).split(", ") for switch in ("1", "0"))
        # The first difference counts: a task that breaks the bare pool, and not ours, leaves ours with another past.
        told = next((f"{one}; without autotb: {other}" for one, other in zip(ours, bare) if one != other), "arrived")
        if not told.startswith("arrived"):
            found.append(f"{kind}: {how}; alone: {told}")
        return
    found.check(capture.attached(exc) is not None or kind == "threads", f"{kind}: no record came with it")
    drawn(found, chance, stories.build(exc))


def outcome(kind: str, task: Any) -> tuple[str, BaseException | None]:
    """What comes of a failing task, and its error where that arrives; a pool that did not survive is replaced."""
    place = _pool_of(kind)
    waiting = place.apply_async(failing, task) if kind == "multiprocessing" else place.submit(failing, *task)
    try:
        (waiting.get if kind == "multiprocessing" else waiting.result)(15)
    except (concurrent.futures.TimeoutError, multiprocessing.TimeoutError) as error:
        if waiting.ready() if kind == "multiprocessing" else waiting.done():
            return "arrived", error
        how = "it hangs"
    except concurrent.futures.BrokenExecutor:
        how = "the pool is broken"
    except BaseException as error:
        return "arrived", error
    else:
        how = "no error arrived"
    _lost.append(_pools.pop(kind))
    return how, None


def _alone(kind: str, tasks: list[Any], switch: str) -> str:
    """What comes of each in a program of its own."""
    command = [sys.executable, "-m", "tests.fuzz.alone", kind, *(str(part) for task in tasks for part in task)]
    ran = subprocess.run(
        command, env=programs.environment(switch), capture_output=True, text=True, timeout=120, cwd=programs.REPOSITORY
    )
    return ran.stdout.strip() or f"status {ran.returncode}"


def _end(place: Any) -> None:
    """End a pool that has had its tasks."""
    if isinstance(place, concurrent.futures.Executor):
        place.shutdown(wait=False)
    else:
        place.terminate()


_lost: list[Any] = []  # what may hang is left as it is


def _pool_of(kind: str) -> Any:
    if kind not in _pools:
        forking = multiprocessing.get_context("fork")
        _pools[kind] = (
            concurrent.futures.ThreadPoolExecutor(1)
            if kind == "threads"
            else concurrent.futures.ProcessPoolExecutor(1, mp_context=forking)
            if kind == "processes"
            else forking.Pool(1)
        )
    return _pools[kind]


def close() -> None:
    """Ends the processes of the pools; their threads end with this one."""
    for child in multiprocessing.active_children():
        child.kill()
    _pools.clear()


def page(found: Found, chance: Chance) -> None:
    """HTML and cells of notebooks."""
    exc = _exception(chance)
    if issubclass(type(exc), Exception):
        outlets.page(found, chance, exc)


def handled(found: Found, chance: Chance) -> None:
    """asyncio's handler."""
    chance.devices = False  # asyncio formats tracebacks itself
    outlets.handled(found, chance, _exception(chance))


def shown(found: Found, chance: Chance) -> None:
    """``show FILE``."""
    outlets.shown(found, chance, _real_story())


def folder(found: Found, chance: Chance) -> None:
    """``show FOLDER``."""
    outlets.folder(found, chance)


def pasted(found: Found, chance: Chance) -> None:
    """``show -``."""
    reports.pasted(found, chance)


def reported(found: Found, chance: Chance) -> None:
    """``report FILE``."""
    reports.reported(found, chance, _real_story())


DOORS: dict[str, tuple[float, Callable[..., None]]] = {
    "told": (0.28, told_here),
    "recorded": (0.18, recorded),
    "carried": (0.13, carried),
    "text": (0.07, text),
    "file": (0.06, file),
    "status_file": (0.03, dead_worker),
    "thread": (0.04, thread),
    "log": (0.03, log),
    "collected": (0.03, collected),
    "pool": (0.02, pool),
    "page": (0.04, page),
    "handled": (0.03, handled),
    "shown": (0.02, shown),
    "folder": (0.01, folder),
    "pasted": (0.02, pasted),
    "reported": (0.01, reported),
}


def faults_of(door: str, chance: Chance, seed: int, number: int, folder: str) -> list[str]:
    """What is wrong with one case."""
    found = Found()
    hostile.called.clear()
    _planted.clear()
    try:
        if door == "pool":
            pool(found, chance, seed, number, folder)
        else:
            DOORS[door][1](found, chance)
    except BaseException as error:
        places = _places(error)
        found.append(f"{capture.type_name(type(error))}: {_said(error)}, at {places[-1]}")
        faults_of.last = "\n".join(places[-12:])  # type: ignore[attr-defined]
        error = None  # type: ignore[assignment]
    finally:
        exceptions.tidy()
    if _planted:
        gc.collect()
        found.check(not any(each() is not None for each in _planted), "an object of the program's is kept alive")
    return [f"{door}: {what}" for what in found]


def _said(error: BaseException) -> str:
    try:
        return str(error)[:80]
    except BaseException:
        return "?"


def _places(error: BaseException) -> list[str]:
    """Where an error of ours came from, without asking anybody."""
    tb, found = static.traceback_of(error), []
    while tb is not None:
        code = tb.tb_frame.f_code
        found.append(f"{static.exact(code.co_filename).rpartition('/')[2]}:{tb.tb_lineno} in {static.exact(code.co_name)}")
        tb = tb.tb_next
    return found
