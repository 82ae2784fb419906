"""Stories of a text that somebody pasted: tracebacks of CPython, Ray, Parsl, joblib, Dask and PySpark, on any machine's paths.

Flows in: text with anything around.  Flows out: :class:`Trace` each; none where there is no traceback.  Nothing is known beside
the text: whose code a frame is says its path, and the lines around the failing one are this machine's file's where that has the
same line there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from autotb import engine_facts
from autotb.cli import surroundings
from autotb.cli.surroundings import END
from autotb.record import arrival, ownership
from autotb.record.cpython_text import FRAME, without_colours
from autotb.trace import build, parse_traceback
from autotb.trace.data import replace
from autotb.trace.model import Trace
from autotb.trace.parts import HEADER, Frame, Gap, Hop, Stack
from autotb.trace.phrases import CAUSED, DURING

MOST = 20 << 20  # characters
_RAY = re.compile(r"^(?:[\w.]*RayTaskError(?:\(\w+\))?: |[\w.]*Error: )?ray::(?P<task>\S+?)(?:\(\))? ?\((?P<job>pid=\d+.*)\)$")
# Of an actor: its id, and a ``repr`` that says its class alone, which its task says too.
_ACTOR = re.compile(r", actor_id=\w+(?:, repr=<\S+ object at 0x\w+>)?")
_REMOTE = re.compile(r"^(?:.*[^\w.])?(?P<module>[\w.]+)\._?RemoteTraceback: *$")
_JVM = re.compile(r"^\s+at \S+\(.*\)$|^\s+\.\.\. \d+ (?:more|common frames omitted)$|^Driver stacktrace:$|^Caused by: ")
_DASK = re.compile(r"^(?P<key>Key|State|Task|Function|args|kwargs|Exception|Traceback): +\S")
# What ends a message: a log's next line, a prompt, Spark's own words.
_LOGGED = re.compile(
    r"^\[?\d{2,4}[-/]\d\d[-/]\d\d[ T]\d\d:|^\[?\d\d:\d\d:\d\d|^(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b"
    r"|^(?:\$|>>>|In \[\d+\]:|[➜❯%])|^ SQLSTATE: "
    r"|^(?:\([\w.-]+\) )?(?:[\w.-]+@[\w.-]+[: ].*[$#%]|PS [A-Z]:\\|[A-Z]:\\[^>]*>)(?: |$)"
)
_POOLS = {
    "concurrent.futures.process": "in a process-pool worker",
    "multiprocessing.pool": "in a pool worker",
    "multiprocess.pool": "in a pool worker",
    "joblib.externals.loky.process_executor": "in a loky worker",
    "loky.process_executor": "in a loky worker",
    "mpi4py.futures._core": "in an MPI worker",
}
_CUT_OFF = "[the text ends before it says what the error was]"
_WORKER = "\0"  # the path of a frame that is none: its name says where the frames after it ran; no text has this character


def traces(text: str) -> list[Trace]:
    """Every story of a text, in its order."""
    lines = surroundings.lines(without_colours(text[:MOST]))
    return [Trace(_told(stack)) for stack in _stacks(_begun(list(_plain(_of_dask(iter(lines))))))]


def _begun(lines: list[str]) -> list[str]:
    """With a header where the first traceback's beginning was not copied."""
    for at, line in enumerate(lines):
        frame = FRAME.match(line)
        if frame is not None and frame["name"] is not None:
            return [*lines[:at], HEADER, *lines[at:]]
        if line.strip().endswith(HEADER):
            break
    return lines


# The text, made CPython's own


def _of_dask(lines: Iterator[str]) -> Iterator[str]:
    """What Dask's log says of a task that failed, whose parts are each the ``repr`` of a text."""
    held: dict[str, str] = {}
    for line in lines:
        match = _DASK.match(line)
        if match is not None and (match["key"] == "Key" or held) and match["key"] not in held:
            held[match["key"]] = line
            if match["key"] == "Traceback":
                yield from _failed_on_dask({key: said.partition(":")[2].strip() for key, said in held.items()})
                held = {}
            continue
        yield from held.values()
        held = {}
        yield line
    yield from held.values()


def _failed_on_dask(said: dict[str, str]) -> list[str]:
    where = f"in a Dask worker, {said['Key']}"
    return [HEADER, _marker(where), *_literal(said["Traceback"]).rstrip("\n").split("\n"), _headline(said.get("Exception", ""))]


def _literal(shown: str) -> str:
    try:
        value = ast.literal_eval(shown)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    return value if isinstance(value, str) else ""


def _headline(shown: str) -> str:
    """``Type: message``, of an exception's ``repr``."""
    said = _literal(shown) or shown
    name, _, rest = said.partition("(")
    message = _literal(rest.removesuffix(")").removesuffix(","))
    return f"{name}: {message or rest.removesuffix(')')}" if rest else name


def _plain(lines: Iterator[str]) -> Iterator[str]:
    """Without the JVM's stack, and with a header where a worker's frames begin."""
    is_spark = False
    for line in lines:
        task = _RAY.match(line)
        if task is not None:
            job = _ACTOR.sub("", task["job"])
            kind = "worker" if job == task["job"] else "actor"
            yield from (HEADER, _marker(f"in a Ray {kind}, {job}, {task['task']}"))
        elif is_spark and line.strip() == HEADER:
            yield from (HEADER, _marker("in a PySpark worker"))
        elif not _JVM.match(line):
            yield line
        if line.strip():
            is_spark = line.rstrip().endswith("PythonException:") or "An exception was thrown from the Python worker" in line


def _marker(where: str) -> str:
    return f'  File "{_WORKER}", line 0, in {where}'


# Stories


def _stacks(lines: list[str]) -> Iterator[Stack]:
    """The last exception of each chain."""
    lines = [parse_traceback.without_margin(line) for line in parse_traceback.folded(lines)]
    pools = [match["module"] for match in map(_REMOTE.match, lines) if match is not None]
    stack: Stack | None = None
    for sentence, block in parse_traceback.blocks(lines):
        current = parse_traceback.block(_cut(block), lambda member: next(_stacks(member), None))
        if current is None:
            continue
        where, current = _marked(current)
        if stack is None:
            stack = current
        elif sentence == CAUSED and _is_sent(stack, current) and pools:
            worker = replace(stack.hops[-1], where=_POOLS.get(pools.pop(0), "in a worker"))
            hops = (*current.hops, *stack.hops[:-1], worker)
            stack = replace(stack, hops=hops, final=current.final)  # a group's members have their frames in the worker's text
        elif sentence in (CAUSED, DURING):
            outer = stack.hops[:-1] if where else ()
            inner = replace(stack, hops=stack.hops[-1:]) if where else stack
            current = replace(current, hops=(*outer, *current.hops))
            stack = replace(current, cause=inner) if sentence == CAUSED else replace(current, context=inner)
        elif where and _places(current) == _places(stack, of_hop=-1):
            continue  # Spark tells it twice
        elif where:
            outer = _without(stack.hops, _places(current))  # Spark 4 puts them there as well
            stack = replace(current, hops=(*outer, *current.hops), raised_as=stack.raised_as or stack.type)
        else:
            yield stack
            stack = current
    if stack is not None:
        yield stack


def _places(stack: Stack, of_hop: int = 0) -> list[tuple[str, int, str]]:
    return [(frame.path, frame.line, frame.name) for frame in stack.hops[of_hop].frames if isinstance(frame, Frame)]


def _without(hops: tuple[Hop, ...], places: list[tuple[str, int, str]]) -> tuple[Hop, ...]:
    return tuple(
        replace(
            hop,
            frames=tuple(one for one in hop.frames if isinstance(one, Gap) or (one.path, one.line, one.name) not in places),
        )
        for hop in hops
    )


def _cut(block: list[str]) -> list[str]:
    """Without what else was pasted: a log's further lines, a prompt, the quotes around a worker's text."""
    ends = (at for at, line in enumerate(block) if line.strip() in ('"""', END) or _LOGGED.match(line) or _REMOTE.match(line))
    return block[: next(ends, len(block))]


def _marked(stack: Stack) -> tuple[str, Stack]:
    """Where it ran, as its marker says."""
    (hop,) = stack.hops
    first = hop.frames[0] if hop.frames else None
    if not isinstance(first, Frame) or first.path != _WORKER:
        return "", stack
    return first.name, replace(stack, hops=(replace(hop, frames=hop.frames[1:], where=first.name),))


def _is_sent(worker: Stack, stack: Stack) -> bool:
    """Whether a worker's text is of the very error that it hangs on."""
    return (worker.type, worker.message) == (stack.type, stack.message)


def _told(stack: Stack) -> Stack:
    """With whose code each frame is, and the lines around."""
    hops = tuple(replace(hop, frames=tuple(map(_frame, hop.frames))) for hop in stack.hops)
    cause = _told(stack.cause) if stack.cause is not None else None
    context = _told(stack.context) if stack.context is not None else None
    members = tuple(map(_told, stack.members)) if stack.members is not None else None
    final = stack.final if stack.type or stack.final else (_CUT_OFF,)
    message = arrival.shortened(stack.message)
    return replace(stack, hops=hops, cause=cause, context=context, members=members, message=message, final=final)


def _frame(frame: Frame | Gap) -> Frame | Gap:
    if isinstance(frame, Gap):
        return frame
    module = _module(frame.path)
    kind = _kind(frame.path, module)
    failing = frame.failing_line.strip()
    here = build.local_source(frame.path, frame.line) if kind == ownership.USER else ()
    agrees = failing and dict(here).get(frame.line, "").strip() == failing
    return replace(frame, module=module, kind=kind, source=here if agrees else frame.source)


_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\](?P<rest>.+)$")
_STDLIB = re.compile(r"[/\\][Ll]ib(?:64)?[/\\](?:python3\.\d+t?[/\\])?(?P<rest>[^/\\].*)$")


def _module(path: str) -> str:
    """The module that a file of a library or of the standard library is; "" for the user's."""
    match = _INSTALLED.search(path) or (_STDLIB.search(path) if re.search(r"python|Python", path) else None)
    return re.sub(r"[/\\]", ".", match["rest"].removesuffix(".py").removesuffix("__init__").rstrip("/\\")) if match else ""


def _kind(path: str, module: str) -> str:
    if path.startswith("<frozen"):
        return ownership.STDLIB
    if not module:
        return ownership.USER
    if any(module == own or module.startswith(own + ".") for own in engine_facts.facts.own_modules):
        return ownership.ENGINE
    if module == "autotb" or module.startswith("autotb."):
        return ownership.OWN
    return ownership.LIBRARY if _INSTALLED.search(path) else ownership.STDLIB
