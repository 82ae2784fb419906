"""A chunk's results of which one cannot be unpickled here: the others are had all the same.

They are one pickle, of a list, in which what several share stands once.  Where it cannot be read as a whole it is read item by
item, by Python's own unpickler (``pickle._Unpickler``), with what earlier items have left in the memo.
Source: https://docs.python.org/3/library/pickletools.html

Flows in: the pickle of a list.  Flows out: its items, with the exception in place of each that cannot be read.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from types import BuiltinFunctionType, FunctionType
from typing import Any

_LOST = object()  # what an item that cannot be read would have left in the memo
_WHOLE = (str, bytes, int, float, type, FunctionType, BuiltinFunctionType)  # finished when they are memoized


class Unreadable:
    """In place of an item: why it cannot be read."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def items(data: bytes) -> list[Any]:
    """What the pickled list holds, itself a list of the same class.  Raises what is raised of a pickle that is torn, and
    :class:`ValueError` for one of anything else."""
    memo: dict[int, Any] = {}
    head, parts = _parts(data)
    found: list[Any] = _Unpickler(head.data, memo).load()
    if not parts or not isinstance(found, list):
        raise ValueError("no pickle of a list with items")
    for part in parts:
        before = len(memo)
        try:
            found.append(_Unpickler(part.data, memo).load())
        except Exception as error:
            found.append(Unreadable(error))
            made = [memo.get(at, _LOST) for at in range(before, before + part.count)]
            memo.update((before + at, each if isinstance(each, _WHOLE) else _LOST) for at, each in enumerate(made))
    return found


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]
    dispatch = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, data: bytes, memo: dict[int, Any]) -> None:
        super().__init__(io.BytesIO(data))
        self.memo = memo


def _getting(original: Any) -> Any:
    def load_get(self: Any) -> None:
        original(self)
        if self.stack[-1] is _LOST:
            raise pickle.UnpicklingError("it shares an object with a result that cannot be read")

    return load_get


for _code in (pickle.BINGET[0], pickle.LONG_BINGET[0]):
    _Unpickler.dispatch[_code] = _getting(_Unpickler.dispatch[_code])


class _Part:
    """The opcodes of an item, and how many objects they leave in the memo."""

    def __init__(self, codes: list[tuple[str, bytes]]) -> None:
        self.data = b"".join(code for name, code in codes if name != "FRAME") + pickle.STOP
        self.count = sum(name == "MEMOIZE" for name, _ in codes)


def _parts(data: bytes) -> tuple[_Part, list[_Part]]:
    """What makes the list, and what makes each of its items."""
    found = [(op, at) for op, _, at in pickletools.genops(data)]
    ends = [*(at for _, at in found[1:]), len(data)]
    codes = [(op.name, data[at:end]) for (op, at), end in zip(found, ends, strict=True)]
    spans = _spans([op for op, _ in found])
    first = spans[0][0] if spans else len(codes) - 1
    head = codes[: first - (codes[first - 1][0] == "MARK")]
    return _Part(head), [_Part(codes[start:end]) for start, end in spans]


def _spans(ops: list[Any]) -> list[tuple[int, int]]:
    """Of each item of the outermost list, the numbers of its first opcode and of the one after its last."""
    stack: list[tuple[int, bool]] = []  # of what lies there: the number of its first opcode, and whether it is a mark
    spans: list[tuple[int, int]] = []
    for number, op in enumerate(ops):
        before = op.stack_before
        if pickletools.markobject in before:
            mark = max(at for at, (_, is_mark) in enumerate(stack) if is_mark)
            cut = mark - before.index(pickletools.markobject)
        else:
            cut = len(stack) - len(before)
        taken = stack[cut:]
        del stack[cut:]
        if op.name in ("APPEND", "APPENDS") and not stack:
            starts = [start for start, is_mark in taken[1:] if not is_mark]
            spans += zip(starts, [*starts[1:], number], strict=True)
        first = min([number, *(start for start, _ in taken)])
        stack += [(first, each is pickletools.markobject) for each in op.stack_after]
    return spans
