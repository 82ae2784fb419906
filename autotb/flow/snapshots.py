"""Errors as values: what failed (:class:`ErrorSnapshot`), and what was not called for it (:class:`PropagatedErrorSnapshot`).

Flows in: a call and its exception; later the arguments of the calls that depend on it.  Flows out: objects that can always be
pickled, called again, and asked for their root causes, which are read only then.
"""

from __future__ import annotations

import enum
import json
import os
import pickle
import re
import threading
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from autotb import settings
from autotb.flow import binding, packing
from autotb.flow.packing import Opaque, Packed, pack, unpack
from autotb.record import build, safe_repr, static
from autotb.record.capture import attached

MOST_SHOWN = 20  # root causes of one that was not called, in a notebook

_MAGIC = b"autotb error snapshot 1\n"


class Reason(str, enum.Enum):
    """Why a call was not made; equal to its text."""

    INPUT_IS_ERROR = "input_is_error"
    ARRAY_CONTAINS_ERRORS = "array_contains_errors"

    __str__ = str.__str__
    __format__ = str.__format__  # type: ignore[assignment]


@dataclass(frozen=True)
class ErrorInfo:
    """What is wrong with one argument.

    ``kind`` is ``"full"`` where the argument itself is an error, ``"partial"`` where it is an array (a list, a nested list, a
    numpy array of objects) with errors among its elements: ``indices`` are then their positions as ``numpy.nonzero`` gives
    them, one tuple of integers for each axis, and ``count`` is how many they are."""

    kind: str
    indices: tuple[tuple[int, ...], ...] | None = None
    count: int = 1


class Noted:
    """Notes that there are objects of its subclasses: until there are, nothing has to be searched for them."""

    any_made = False

    def __new__(cls, *_: Any, **__: Any) -> Any:
        """Also those that are unpickled come through here."""
        Noted.any_made = True
        return object.__new__(cls)


@dataclass(frozen=True)
class ErrorStub(Noted):
    """What a worker sends back in place of an error that it has stored; never part of a result.

    ``propagated`` tells a call that was not made from one that failed.
    """

    propagated: bool


_packing = threading.local()


def _harmless(text: str) -> str:
    """For terminals and notebooks: control characters as escapes."""
    from autotb.render import clean

    return clean.text(text)


class ErrorSnapshot(Noted):
    """A call of a user's function that raised.

    Attributes: ``function``; ``kwargs``, its arguments by name; ``exception``; ``timestamp``, ISO 8601 in UTC.  The exception
    has the worker's story (``autotb.explain(snapshot.exception)``); the traceback object itself, which would keep every local
    variable of the call alive, is not kept: ``traceback`` is its text.  ``earlier``, the errors of its attempts before the last,
    where there were several: the same object for those that were alike.

    Raises TypeError where ``kwargs`` is no dict, or ``exception`` no exception."""

    earlier: Sequence[BaseException] = ()

    def __init__(self, function: Any, kwargs: dict[str, Any], exception: BaseException, timestamp: str | None = None) -> None:
        if not isinstance(kwargs, dict) or not isinstance(exception, BaseException):
            given = f"{safe_repr.brief(kwargs)} and {safe_repr.brief(exception)}"
            raise TypeError(f"ErrorSnapshot(function, kwargs, exception): the arguments as a dict, and an exception; not {given}")
        self.function, self.kwargs, self.exception = function, kwargs, exception
        self.timestamp = now() if timestamp is None else timestamp
        self.id = uuid.uuid4().hex

    @classmethod
    def of_call(cls, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], exception: BaseException) -> ErrorSnapshot:
        """The snapshot of ``function(*args, **kwargs)``, which raised ``exception``."""
        return cls(function, binding.bind(function, args, kwargs), exception)

    def reproduce(self) -> Any:
        """Call the function again with the same arguments, here and now.

        Returns what it returns, raises what it raises; RuntimeError where the function or an argument did not survive the way
        here.
        """
        for name, value in (("function", self.function), *self.kwargs.items()):
            if isinstance(value, Opaque):
                raise RuntimeError(  # noqa: TRY004  nobody gave a wrong argument
                    f"the call cannot be made again here: {name} is {value!r}"
                )
        args, kwargs = binding.unbind(self.function, self.kwargs)
        return self.function(*args, **kwargs)

    @property
    def traceback(self) -> str:
        """The worker's story as text: what ``print(autotb.explain(snapshot.exception))`` prints."""
        from autotb import render

        return render.as_text(render.explain(self.exception))

    def get_root_causes(self) -> list[ErrorSnapshot]:
        """This one, so that any error of a result can be asked."""
        return [self]

    def save_to_file(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, entirely or not at all; missing folders are made.  Raises OSError where that is impossible."""
        data = pickle.dumps(self, 4)
        content = _MAGIC + len(data).to_bytes(8, "big") + zlib.crc32(data).to_bytes(4, "big") + data
        from autotb.render import files

        files.write_whole(path, content)

    @classmethod
    def load_from_file(cls, path: str | os.PathLike[str]) -> ErrorSnapshot:
        """Read what :meth:`save_to_file` has written.

        It is unpickled, which runs what the file says: load only what you trust as you trust code.
        Raises ValueError for a file of another kind, or one that is torn.
        """
        with open(path, "rb") as file:
            content = file.read()
        start = len(_MAGIC) + 12
        if not content.startswith(_MAGIC):
            raise ValueError(f"{os.fspath(path)} is no error snapshot of autotb")
        size = int.from_bytes(content[len(_MAGIC) : len(_MAGIC) + 8], "big")
        data = content[start:]
        if len(data) != size or zlib.crc32(data) != int.from_bytes(content[start - 4 : start], "big"):
            raise ValueError(f"{os.fspath(path)} is torn: {len(data)} bytes of {size}, or not those that were written")
        loaded = pickle.loads(data)
        if not isinstance(loaded, cls):
            raise ValueError(  # noqa: TRY004  the file is what is wrong
                f"{os.fspath(path)} holds a {type(loaded).__name__}, no {cls.__name__}"
            )
        return loaded

    def __repr__(self) -> str:
        return _harmless(f"<ErrorSnapshot of {self.call}: {safe_repr.cut(packing.headline(self.exception), 300)}>")

    def _repr_html_(self) -> str:
        from autotb.render import html

        return html.styled(self._html())

    def _html(self, *, is_open: bool = True) -> str:
        from autotb.render import explain, html

        return html.opens(repr(self), html.story(explain(self.exception)), is_open=is_open)

    @property
    def call(self) -> str:
        """The call as safe text, cut to a line; without arguments under ``AUTOTB_ARGS=0``."""
        if isinstance(self.function, Opaque):
            return _call_of(_name(self.function), self.kwargs)
        args, kwargs = binding.unbind(self.function, self.kwargs)
        return build.call_text(self.function, args, kwargs) or f"{safe_repr.function_name(self.function)}(…)"

    def __getstate__(self) -> dict[str, Any]:
        if getattr(_packing, "function", False):  # it hangs on a function that is pickled by value: it has no part in that
            text = safe_repr.brief(self.function), None, "it hung on a function"
            return {"function": text, "kwargs": {}, "exception": (packing.headline(self.exception), *text[1:])}
        _packing.function = True
        try:
            function = pack(self.function)
        finally:
            _packing.function = False
        return {
            "function": function,
            "kwargs": {name: pack(value) for name, value in self.kwargs.items()},
            "exception": _packed_exception(self.exception),
            "timestamp": self.timestamp,
            "id": self.id,
            **({"earlier": packing.pack_all(self.earlier, _packed_exception)} if self.earlier else {}),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.function = _part(state["function"])
        self.earlier = packing.unpack_all(state.get("earlier", ()), _exception)
        self.kwargs = {name: _part(value) for name, value in state["kwargs"].items()}
        self.exception = state["exception"] if isinstance(state["exception"], BaseException) else _exception(state["exception"])
        self.timestamp = state.get("timestamp", "")
        self.id = state.get("id") or uuid.uuid4().hex


class Source(Protocol):
    """Where the elements of an array can be had again."""

    def read(self, indices: tuple[tuple[int, ...], ...]) -> list[Any]:
        """The elements at these positions, and no others."""


class ArrayReference:
    """Stands in ``attempted_kwargs`` for an array that holds errors: the snapshot is not to grow with the array."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape = name, shape

    def __repr__(self) -> str:
        if self.name.startswith("<"):
            return self.name
        return f"<array {self.name or 'of the call'}, shape {self.shape}>"


@dataclass(eq=False)
class PropagatedErrorSnapshot(Noted):
    """A call that was not made, since its inputs hold errors.

    ``error_info`` maps parameters to :class:`ErrorInfo`; ``reason`` is one of :class:`Reason`; ``attempted_kwargs`` are the
    arguments, arrays that hold errors by reference.  Where an array holds the errors, ``source_output_name`` and
    ``error_indices`` say which and where, and ``run_folder`` where it is kept, if it is."""

    error_info: dict[str, Any]
    skipped_function: Any
    reason: Reason
    attempted_kwargs: dict[str, Any]
    timestamp: str = ""
    source_output_name: str | None = None
    error_indices: tuple[tuple[int, ...], ...] | None = None
    run_folder: str | None = None

    def __post_init__(self) -> None:
        self.reason = Reason(self.reason)
        self.timestamp = self.timestamp or now()
        self.id = uuid.uuid4().hex
        self.sources: dict[str, Source] = {}  # parameter: where its array is
        self.causes: list[Any] = []  # errors that are no argument's: of the function's request for resources
        self.roots: list[ErrorSnapshot] | None = None  # where they had to come along

    def get_root_causes(self) -> list[ErrorSnapshot]:
        """The snapshots of the calls that failed, each once, in the order of the arguments.

        They are read now, and only at the positions that hold errors.  Raises FileNotFoundError where the run folder is gone.
        """
        found: dict[str, ErrorSnapshot] = {}
        waiting: list[Iterator[Any]] = [iter([self])]
        seen: set[str] = set()
        while waiting:  # no recursion: a chain may have thousands of steps
            error = next(waiting[-1], None)
            if error is None:
                waiting.pop()
            elif isinstance(error, ErrorSnapshot):
                found.setdefault(error.id, error)
            elif isinstance(error, PropagatedErrorSnapshot) and error.id not in seen:
                seen.add(error.id)
                waiting.append(iter(error._direct_causes()))
        return list(found.values())

    def _direct_causes(self) -> list[Any]:
        if self.roots is not None:
            return self.roots
        found = list(self.causes)
        for name, info in self.error_info.items():
            if is_error(self.attempted_kwargs.get(name)):
                found.append(self.attempted_kwargs[name])
            elif name in self.sources:
                found += self.sources[name].read(info.indices)
        return found

    def __repr__(self) -> str:
        name = _name(self.skipped_function)
        inputs = ", ".join(_told(parameter, info) for parameter, info in self.error_info.items())
        return _harmless(f"<PropagatedErrorSnapshot: {name} was not called, {self.reason}: {inputs}>")

    def _repr_html_(self) -> str:
        from autotb.render import html

        try:
            roots = self.get_root_causes()
            told = "".join(root._html(is_open=len(roots) == 1) for root in roots[:MOST_SHOWN])
            more = len(roots) - MOST_SHOWN
            told += html.note(f"and {more:,} more") if more > 0 else ""
        except OSError as error:
            told = html.note(str(error))
        return html.styled(html.opens(repr(self), told))

    @property
    def roots_of_elsewhere(self) -> list[ErrorSnapshot]:
        """The root causes that are no elements of a run folder's steps."""
        is_told = not any(is_error(value) and not self._is_kept(name) for name, value in self.attempted_kwargs.items())
        if self.roots is None and is_told and all(map(_is_lasting, self.sources.values())):
            return [root for root in self.causes if isinstance(root, ErrorSnapshot)]
        return self.get_root_causes()

    def _is_kept(self, name: str) -> bool:
        """Whether an argument that is an error is found again by where it is."""
        return name in self.sources and _is_lasting(self.sources[name])

    def __getstate__(self) -> dict[str, Any]:
        state = {
            key: getattr(self, key)
            for key in ("error_info", "source_output_name", "error_indices", "run_folder", "timestamp", "id")
        }
        lasting = all(_is_lasting(source) for source in self.sources.values())
        attempted = dict(self.attempted_kwargs)
        carries = not lasting
        for name, value in self.attempted_kwargs.items():  # a pickle is not to grow with the chain that led here
            is_kept = self._is_kept(name)
            if type(value) is PropagatedErrorSnapshot or (is_kept and is_error(value)):
                attempted[name] = ArrayReference(repr(value), ())
                carries = carries or not is_kept
        return {
            **state,
            "reason": str(self.reason),
            "skipped_function": pack(self.skipped_function),
            "attempted_kwargs": {name: pack(value) for name, value in attempted.items()},
            "causes": self.causes,
            "sources": self.sources if lasting else {},
            "roots": self.get_root_causes() if carries else self.roots,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.error_info = state["error_info"]
        self.skipped_function = _part(state["skipped_function"])
        self.reason = Reason(state["reason"])
        self.attempted_kwargs = {name: _part(value) for name, value in state["attempted_kwargs"].items()}
        self.timestamp = state.get("timestamp", "")
        for key in ("source_output_name", "error_indices", "run_folder", "roots"):
            setattr(self, key, state.get(key))
        self.causes, self.sources = state.get("causes", []), state.get("sources", {})
        self.id = state.get("id") or uuid.uuid4().hex


ERRORS = (ErrorSnapshot, PropagatedErrorSnapshot)
safe_repr.ours |= {PropagatedErrorSnapshot: repr, ArrayReference: repr, Opaque: repr}
safe_repr.ours[ErrorSnapshot] = lambda error: _harmless(
    f"<ErrorSnapshot of {safe_repr.cut(packing.headline(error.exception), 100)}>"
)


def is_error(value: Any) -> bool:
    """Whether a value stands for an error."""
    kind = type(value)
    return kind is ErrorSnapshot or kind is PropagatedErrorSnapshot or kind is ErrorStub


def now() -> str:
    """The time, as snapshots have it."""
    return datetime.now(timezone.utc).isoformat()


def as_json(error: ErrorSnapshot | PropagatedErrorSnapshot, with_story: bool) -> bytes:
    """What is to be told of an error without unpickling it: its call, its headline, and its story if that is wanted; of a call
    that was not made the same of each of its roots that is no element of any step, the first of them with their stories."""
    roots = [error] if isinstance(error, ErrorSnapshot) else error.roots_of_elsewhere
    told = [_told_of(root, with_story and number < _MOST_STORIES) for number, root in enumerate(roots)]
    record = {**(told[0] if told else {"call": repr(error)}), **({"others": told[1:]} if len(told) > 1 else {})}
    return json.dumps(record, ensure_ascii=False).encode(errors="backslashreplace")


_MOST_STORIES = 10  # of one call that was not made


def _told_of(root: ErrorSnapshot, with_story: bool) -> dict[str, Any]:
    record: dict[str, Any] = {"call": root.call, "error": packing.headline(root.exception), "id": root.id}
    if with_story:
        try:
            from autotb import render

            record["trace"] = render.explain(root.exception).to_dict()
        except Exception:
            pass  # a line of it is told, and the snapshot has all
    return record


def _is_lasting(source: Source) -> bool:
    return getattr(source, "lasting", False)


def _name(function: Any) -> str:
    """What a function is called, also one that cannot be had here, of which there is a text."""
    if not isinstance(function, Opaque):
        return safe_repr.function_name(function)
    found = re.fullmatch(r"<function ([^<> ]+)>", function.text)
    return found[1] if found else function.text


def _call_of(name: str, kwargs: dict[str, Any]) -> str:
    """A call of a function that cannot be had here."""
    if not kwargs or not settings.switch("args"):
        return name
    told = ", ".join([f"{key}={safe_repr.brief(value, key)}" for key, value in kwargs.items()])
    return safe_repr.cut(f"{name}({told})", safe_repr.MAX_CALL)


def _told(parameter: str, info: Any) -> str:
    if isinstance(info, ErrorInfo) and info.kind == "partial":
        return f"{parameter} holds {info.count} {'error' if info.count == 1 else 'errors'}"
    return f"{parameter} is an error" if isinstance(info, ErrorInfo) else parameter


def _packed_exception(exception: BaseException) -> Packed:
    """The exception with its story, made fit to travel."""
    tree = attached(exception)
    if tree is None:
        tree = build.record(exception, static.traceback_of(exception), build.hop("flow", ""))  # type: ignore[assignment]
    return packing.pack_exception(exception, tree)


def _exception(packed: Packed) -> BaseException:
    found = unpack(packed)
    return (
        found if isinstance(found, BaseException) else RuntimeError(f"{packed[0]} (the exception itself is not available here)")
    )


def _part(value: Any) -> Any:
    """A part of a state; plain in files that were written before parts were packed one by one."""
    if type(value) is tuple and len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], (bytes, type(None))):
        return unpack(value)
    return value
