"""An exception as plain data: its type and message, its frames, its causes, notes and members.

Flows in: a live exception, in a worker or in the driver, and what workers attached to it.  Flows out: a *tree*, a dict of
builtins only, that can be pickled, sent, stored and drawn without the exception.  ``schema`` has its keys.
"""

from __future__ import annotations

from types import TracebackType

from autotb import settings
from autotb.record import arrival, frames, last_lines, ownership, safe_repr, schema, static, wrappers

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from collections.abc import Sequence
    from typing import Any, TypeGuard

    from autotb.engine_facts import Opened
    from autotb.record.schema import Hop, Light, Tree

VERSION = 1
KEY = "__autotb__"  # where a worker's record hangs in an exception's __dict__

MAX_MESSAGE = 10_000  # characters
MAX_CHAIN = 50  # exceptions of a chain: the first half of them, and those next to the root
MAX_MEMBERS = 100  # of a group
MAX_EXCEPTIONS = 1_000  # in one tree
MAX_NOTES = 100

# Known by these names to those who read and write records.
fields_of, type_name = static.fields_of, safe_repr.type_name

# Found out where the exception is now, or only of use on the way: all else is carried on as the worker had it.
_MADE_ANEW = {
    *("v", "type", "message", "final", "notes", "unnoted", "hops", "members", "alike", "culprit", "where"),
    *("suppress", "told", "submitted", "asked", "time", "raised_as"),
}
_CARRIED = tuple([key for key in schema.forms(schema.Tree) if key not in _MADE_ANEW])


class Capture:
    """One run over an exception and everything it is chained to."""

    def __init__(self, *, context: int = 3, local_variables: bool = True) -> None:
        self.frames = frames.Frames(context, local_variables)
        self.seen: set[int] = set()
        self.depth = 0  # in the chain that is being followed

    def tree(self, exc: BaseException, tb: TracebackType | None = None, place: Hop | None = None) -> Tree:
        """The tree of ``exc``; ``place`` describes the worker that its traceback belongs to."""
        is_first = not self.seen
        self.seen.add(id(exc))
        opened = wrappers.opened(exc)
        record = attached(exc)
        if record is None and opened is not None and opened.headline is not None:
            record = attached(opened.headline)
        record = arrival.tree(record) if record is not None else None
        told = record if record is not None and "type" in record else None
        if record is None:
            told = _by_its_frames(exc, tb or static.traceback_of(exc))
        headline = opened.headline if opened is not None and opened.headline is not None else exc
        tree = _headline(headline, told, wrapped=opened is not None)
        tree["hops"] = self._hops(tb or static.traceback_of(exc), record, place)
        culprit = record.get("culprit") if record is not None else None
        if not culprit and told is None:
            culprit = _unsent(exc, tb or static.traceback_of(exc), "value" if place is None else "result")
        if culprit:
            tree["culprit"] = culprit
        if opened is not None and opened.is_message:
            tree["hops"] = [_counted(hop) for hop in tree["hops"]]
        if opened is not None and opened.broken:
            tree["broken"] = list(opened.broken)
        if opened is not None and opened.roots:
            tree = self._passed_on(tree, opened.roots)
        else:
            self._chain(tree, exc, record, told, opened)
        if is_first and place is None and (opened is not None or told is not None):
            tree["raised_as"] = wrappers.raised_as(exc, tree["type"], opened.headline if opened is not None else None)
        return tree

    def _passed_on(self, tree: Tree, roots: tuple[BaseException, ...]) -> Tree:
        """A wrapper that only passes ``roots`` on: where it was asked for is the wrapper's, the rest of the story the root's."""
        inner, *others = [self.tree(root) for root in roots]
        for hop in inner["hops"][:1]:
            # An older asking for the root itself.
            if not hop.get("where") and any(_has_user_frame(other) for other in inner["hops"][1:]):
                hop["frames"] = [frame for frame in hop["frames"] if frame.get("kind") != ownership.USER]
        asked = [schema.without(hop, "submitted") for hop in tree["hops"]]
        for frame in reversed(asked[-1]["frames"] if asked else []):
            if frame.get("kind") == ownership.USER:
                break
            if frame.get("kind") == ownership.STDLIB:
                frame["kind"] = ownership.ENGINE  # on the engine's way to wrapping the error
        while asked and asked[-1].get("where") and inner["hops"] and _is_of(inner["hops"][0], asked[-1]):
            asked[-1]["frames"] = asked[-1]["frames"] + inner["hops"].pop(0)["frames"]
        inner["hops"] = asked + inner["hops"]
        inner["broken"] = tree.get("broken", []) + inner.get("broken", [])
        inner["also"] = others + inner.get("also", [])
        return inner

    def _chain(self, tree: Tree, exc: BaseException, record: Tree | None, told: Tree | None, opened: Opened | None) -> None:
        if told is not None:
            _carry(told, tree)
        elif record is not None and record.get("cause"):  # of a worker that died of it
            tree["cause"] = record["cause"]
        if opened is not None and opened.text and told is None:
            tree["text"], tree["where"] = opened.text, opened.where
        cause, context = static.cause_of(exc), static.context_of(exc)
        if wrappers.is_marker(cause):
            cause = None
        if ownership.is_remote_text(cause):
            if told is None:
                tree.setdefault("text", _text_of(cause))
            cause = None
            hidden = told is not None and (
                told.get("suppress") or told.get("cause") is not None or told.get("context") is not None
            )
            if context is not None and (hidden or ownership.is_remote_text(context)):
                context = None
        elif static.suppresses(exc):
            context = None
        if told is not None and told.get("suppress"):
            tree["suppress"] = True
        if cause is not None:
            context = None
        self._add(tree, "cause", cause)
        self._add(tree, "context", context)
        if static.suppresses(exc) and cause is None and told is None:
            tree["suppress"] = True
        members = static.members(exc)
        if told is not None and told.get("members") and (members is None or not _own_members(members)):
            tree["members"] = told["members"]
        elif members is not None:  # after the chain, which a member may share: it is told once
            self._members(tree, members)

    def _add(self, tree: Any, key: str, exc: BaseException | None) -> None:
        if exc is None or id(exc) in self.seen or tree.get(key):
            return
        if len(self.seen) >= MAX_EXCEPTIONS or self.depth >= MAX_CHAIN:
            tree["cut"] = "what it came out of"
            return
        if self.depth == MAX_CHAIN // 2:
            exc, tree_key, skipped = self._next_to_the_root(exc)
            key = tree_key or key
            if skipped:
                tree["skipped"] = skipped
        self.depth += 1
        tree[key] = self.tree(exc)
        self.depth -= 1

    def _next_to_the_root(self, exc: BaseException) -> tuple[BaseException, str, int]:
        """Where the last part of the chain that begins with ``exc`` begins, and how many come before it.

        The key is ``context`` where not each of those was the cause of the next.
        """
        chain, walked, key = [exc], {id(exc)}, ""
        implicit = 0  # the last of the chain that was not raised from another
        while True:
            cause = static.cause_of(chain[-1])
            before = cause if cause is not None else None if static.suppresses(chain[-1]) else static.context_of(chain[-1])
            if before is None or id(before) in walked or id(before) in self.seen or ownership.is_remote_text(before):
                break
            implicit = implicit if cause is not None or implicit else len(chain)
            chain.append(before)
            walked.add(id(before))
        skipped = max(0, len(chain) - (MAX_CHAIN - MAX_CHAIN // 2))
        if 0 < implicit <= skipped:
            key = "context"
        return chain[skipped], key, skipped

    def _members(self, tree: Tree, members: Sequence[BaseException]) -> None:
        """Those of a large group that are like another one are only counted, and so are those beyond MAX_MEMBERS."""
        kept: list[Tree] = []
        tree["members"] = kept
        alike: dict[object, Tree] = {}
        depth, self.depth = self.depth, 0
        for member in members:
            key = _likeness(member) if len(members) > MAX_MEMBERS else None
            if key is not None and key in alike:
                alike[key]["alike"] = alike[key].get("alike", 0) + 1
            elif len(kept) >= MAX_MEMBERS or len(self.seen) >= MAX_EXCEPTIONS:
                tree["unlisted"] = tree.get("unlisted", 0) + 1
            else:
                seen = id(member) in self.seen
                kept.append({**_headline(member, None), "hops": []} if seen else self.tree(member))
                if key is not None:
                    alike[key] = kept[-1]
        self.depth = depth

    def _hops(self, tb: TracebackType | None, record: Tree | None, place: Hop | None) -> list[Hop]:
        """The hops of one exception, outermost first: those whose frames are in its traceback, then those of its record alone.

        =========================================  ==============================  =========================================
        traceback, cut by ``frames.segments``      hops of the record              result
        =========================================  ==============================  =========================================
        ``main → result``                          a worker's, with frames         the driver's frames; the worker's hop
        ``main → result``, ``run → score``         a thread's, ``live``            the driver's frames; the thread's hop
                                                                                   with the frames ``run → score``
        ``main → gather → load → parse``           Dask's, ``twice``               ``main → gather``; Dask's hop with the
                                                                                   record's frames of ``load → parse``
        ``run → score``, in the worker itself      none; ``place`` is the worker   the worker's hop with these frames
        none, ``future.exception()`` gave it       a worker's; ``asked``           the asking line; the worker's hop
        =========================================  ==============================  =========================================

        There may be more segments that an engine ran than hops that tell of one (an engine without an adapter), and fewer (the
        traceback was dropped on the way): the outermost ones are then without the other.
        """
        hops = list(record.get("hops", ())) if record else []
        # Hops of this process have their frames in the traceback; so have those of engines that bring real tracebacks along
        # ("twice"): there the record's are better.  Some of these have no frame that begins them.
        brought = [hop for hop in hops if hop.get("twice") and not frames.begins(hop, tb)]
        here = [hop for hop in hops if hop.get("live") or (hop.get("twice") and hop not in brought)]
        remote = [hop for hop in hops if not hop.get("live") and not hop.get("twice")]
        if not remote and not any(hop.get("twice") for hop in hops):
            remote = [{**where, "frames": self.frames.read(raw)} for where, raw in frames.made(tb)]
        segments = frames.segments(frames.walk(tb))
        result: list[Hop] = []
        runs = sum(1 for is_run, _ in segments if is_run)
        surplus, waiting = max(0, len(here) - runs), max(0, runs - len(here))
        brought = [hop for hop in hops if hop in brought or (hop.get("twice") and hop in here[:surplus])]
        if brought:
            segments = frames.without_tail(segments, brought, remote)
        remote = brought + remote
        here = here[surplus:]
        for is_run, raw in segments:
            if not is_run or waiting:
                waiting -= is_run
                result.append({"frames": self.frames.read(raw)})
            else:
                hop = here.pop(0)
                if "call" not in hop and hop.get("live"):
                    hop = {**hop, "call": frames.live_call(raw)}
                kept = schema.without(hop, "live", "twice")
                result.append({"frames": self.frames.read(raw), **kept})
        if place is not None:
            result = result or [{"frames": []}]
            result[0] = {**place, "frames": result[0]["frames"]}
        asked = record.get("asked") if record else None
        if asked and place is None and not any(frame.get("kind") == ownership.USER for hop in result for frame in hop["frames"]):
            result.insert(0, {"frames": [self.frames.of_place(asked)]})
        submitted = record.get("submitted") if record else None
        if submitted and not hops and not any(hop.get("submitted") for hop in result):
            remote = [{"frames": [], "submitted": submitted}]
        return result + remote


def _unsent(exc: BaseException, tb: TracebackType | None, name: str) -> str:
    """Which part of a value could not be pickled, where an engine's attempt to pickle it is in the traceback."""
    if not issubclass(type(exc), Exception) or issubclass(type(exc), (OSError, MemoryError, RecursionError)):
        return ""
    each = tb
    while each is not None:
        if each.tb_frame.f_code.co_name in ("dump", "dumps"):
            from autotb.record import pickle_diagnosis

            return pickle_diagnosis.of_traceback(tb, name)
        each = each.tb_next
    return ""


def _by_its_frames(exc: BaseException, tb: TracebackType | None) -> Tree | None:
    """What is known of one that has another's traceback and not its record, as the part of a group that ``except*`` passes on."""
    found = frames.told(tb)
    if type(found) is not dict or found.get("type") != type_name(type(exc)):
        return None
    is_group = static.members(exc) is not None
    if not is_group and found.get("message") != safe_repr.cut(message_of(exc), MAX_MESSAGE):
        return None
    told = arrival.tree(found)
    return schema.without(told, "members", "unlisted", "final", "culprit") if is_group else told


def _carry(told: Any, tree: Any) -> None:
    """What a worker told of an exception, and nobody else can."""
    for key in _CARRIED:
        if told.get(key):
            tree[key] = told[key] + tree.get(key, []) if key == "broken" else told[key]


def _likeness(exc: BaseException) -> object:
    """What two members of a large group have in common that tell the same story: enough of it to be told cheaply."""
    chain = (exc, static.cause_of(exc), static.context_of(exc))
    record = attached(exc)
    frames_of = [hop.get("frames") for hop in (record or {}).get("hops", ())]
    last = [frame for each in frames_of if type(each) is list for frame in each if type(frame) is dict][-1:]
    where = tuple([(_raised_at(each), type_name(type(each))) for each in chain if each is not None])
    return message_of(exc)[:MAX_MESSAGE], where, tuple([(str(frame.get("path")), str(frame.get("line"))) for frame in last])


def _raised_at(exc: BaseException) -> object:
    tb = static.innermost(static.traceback_of(exc))
    return None if tb is None else (tb.tb_frame.f_code.co_filename, tb.tb_lineno)


def _is_of(hop: Hop, worker: Hop) -> bool:
    """Whether it ran where the error was wrapped: in that worker itself, or in a thread that the engine's own code gave it to."""
    return not hop.get("where") or (hop.get("pid") == worker.get("pid") and not hop.get("submitted"))


def _counted(hop: Hop) -> Hop:
    """A hop whose frames are counted, where none is the user's."""
    frames = hop["frames"]
    if _has_user_frame(hop) or len(frames) < 2 or settings.value("frames") == "all":
        return hop
    return {**hop, "frames": [{"omitted": len(frames)}]}


def _has_user_frame(hop: Hop) -> bool:
    return any(frame.get("kind") == ownership.USER for frame in hop["frames"])


def is_tree(value: Any) -> TypeGuard[Tree]:
    """Whether a value that an engine has carried by itself is a record of this version."""
    return type(value) is dict and value.get("v") == VERSION


def attached(exc: BaseException) -> Tree | None:
    """The record that a worker hung on ``exc``, where there is one that we can read.

    A *light* record, the tuple ``(version, base, call)``, shares ``base`` with others from the same place; it is unfolded here.
    """
    record = dict.get(fields_of(exc), KEY)
    if is_light(record):
        return _unfolded(exc, record[1], record[2] if type(record[2]) is str else None)
    if type(record) is not dict or not _is_of_this_version(record.get("v")):
        return None
    hops = record.get("hops")
    if type(hops) is list and all(type(hop) is dict for hop in hops):
        return record  # type: ignore[return-value]
    made_fit = arrival.tree(record)  # it is not of a worker's making
    dict.__setitem__(fields_of(exc), KEY, made_fit)
    return made_fit


def is_light(record: Any) -> TypeGuard[Light]:
    """Whether it is one of the tuples above, as far as one must rely on it."""
    return type(record) is tuple and len(record) == 3 and type(record[1]) is dict and _is_of_this_version(record[0])


def _is_of_this_version(value: object) -> bool:
    return type(value) is int and value == VERSION


def _unfolded(exc: BaseException, base: Any, call: str | None) -> Tree:
    hop: Hop = schema.without(base, "type", "cut")
    if call is not None:
        hop["call"] = call
    tree: Tree = {"v": VERSION, "hops": [hop]}
    if "type" in base:
        tree |= {"type": base["type"], "message": message_of(exc), "cut": base.get("cut")}
    return tree


def message_of(exc: BaseException) -> str:
    """``str(exc)``, or Python's own substitute where that raises."""
    try:
        return static.exact(str(exc))
    except BaseException:  # Python lets none pass either: a SystemExit here must not end a worker
        return "<exception str() failed>"


def _headline(exc: BaseException, told: Tree | None, wrapped: bool = False) -> Tree:
    message = message_of(exc)
    tree: Tree = {"v": VERSION, "type": type_name(type(exc)), "message": safe_repr.cut(message, MAX_MESSAGE)}
    if told is not None and (
        wrapped
        or told.get("lost")
        or told["type"].rpartition(".")[2] != type_name(type(exc)).rpartition(".")[2]
        or not message  # an engine may leave behind what the exception would tell
    ):
        tree["type"], tree["message"] = told["type"], told["message"]
        if told.get("lost"):
            tree["lost"] = told["lost"]
    notes = _notes_of(exc) or (told or {}).get("notes") or []
    if notes:
        half = MAX_NOTES // 2
        kept = notes if len(notes) <= MAX_NOTES else [*notes[:half], *notes[-half:]]
        texts = [safe_repr.cut(static.text_of(note) or safe_repr.brief(note), MAX_MESSAGE) for note in kept]
        # Engines that add a note where an error passes add it again in the driver.
        tree["notes"] = [text for at, text in enumerate(texts) if not at or text != texts[at - 1]]
        unnoted = len(notes) - len(kept) + ((told or {}).get("unnoted", 0) if notes is (told or {}).get("notes") else 0)
        if unnoted:
            tree["unnoted"] = unnoted
    final = told.get("final") if told else last_lines.of(exc, message) if len(message) <= MAX_MESSAGE else None
    if final:
        tree["final"] = final
    return tree


def _notes_of(exc: BaseException) -> list[Any] | tuple[Any, ...]:
    """What ``add_note`` added, or what was set in its place; a list of a class of the user's is read as the list that it is."""
    notes = dict.get(fields_of(exc), "__notes__")
    for kind in (list, tuple):
        if issubclass(type(notes), kind):
            every: list[Any] | tuple[Any, ...] = kind.__getitem__(notes, slice(None))  # type: ignore[index]
            return every
    return () if notes is None else (safe_repr.brief(notes),)


def _own_members(members: Sequence[BaseException]) -> bool:
    """Whether members have a story of their own: not one that is made of this very record."""
    return any(attached(member) or frames.walk(static.traceback_of(member)) for member in members)


def _text_of(cause: BaseException | None) -> str:
    for name in ("tb", "traceback"):
        text = getattr(cause, name, None)
        if isinstance(text, str):
            return text.strip().strip('"').strip("\n")
    return str(cause)
