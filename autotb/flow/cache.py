"""The cache of a flow: results of steps that say so, by function, error mode and arguments.

Flows in: a step and the arguments of a call.  Flows out: its key, ``(cache id, mode, hashable form of the arguments)``, and what
was kept under that key, in a mapping or in a folder.
"""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import warnings
import zlib
from collections.abc import MutableMapping
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from autotb.flow import packing
from autotb.flow.steps import Step
from autotb.render import files

Key = tuple[str, str, Any]
MISSING = object()
_MAGIC = b"autotb cache 1\n"
_LONG = 1_000  # characters of an argument's form
_MOST_SEEN = 1_000
_seen: dict[int, tuple[Any, Any]] = {}  # containers that functions have with them
_SIMPLE = (str, bytes, int, float, complex, bool, type(None))


class Cache:
    """What a flow's cached steps gave; ``where`` is a mapping or the path of a folder.  Raises TypeError for anything else."""

    def __init__(self, where: Any) -> None:
        self.mapping: Any
        if where is None:
            self.mapping = {}
        elif isinstance(where, MutableMapping):
            self.mapping = where
        elif isinstance(where, (str, os.PathLike)):
            self.mapping = _Files(os.fspath(where))
        else:
            raise TypeError(f"cache is a folder or a mapping, not {where!r}")

    def get(self, key: Key | None) -> Any:
        """What is kept under a key; :data:`MISSING` where that is nothing, and for a step that is not cached."""
        return MISSING if key is None else self.mapping.get(key, MISSING)

    def put(self, key: Key | None, value: Any) -> None:
        """Keep it."""
        if key is not None:
            try:
                self.mapping[key] = value
            except _UnfitError as unfit:
                warnings.warn(f"a result of {key[0]} cannot be kept in the cache: {unfit}", RuntimeWarning, stacklevel=2)


def id_of(step: Step) -> str:
    """What the keys of a step's calls begin with."""
    return step.cache if isinstance(step.cache, str) else identity_of(step.function)


def key_of(step: Step, mode: str, named: dict[str, Any], identity: str | None = None) -> Key | None:
    """The key of a call; None for a step that is not cached; ``identity`` is its :func:`id_of`, where that is known.  Raises
    TypeError for an argument that cannot be part of one."""
    if not step.cache:
        return None
    forms = []
    for name, value in sorted(named.items()):
        try:
            forms.append((name, _short(form_of(value))))
        except Exception as error:
            raise TypeError(
                f"argument {name!r} of {step.name!r} cannot be part of a cache's key ({type(error).__name__}: {error}); "
                f"use cache=False for this step"
            ) from error
    return identity if identity is not None else id_of(step), mode, tuple(forms)


def _short(form: Any) -> Any:
    """The same form, or a digest of a long one: keys are kept."""
    return form if len(text := repr(form)) <= _LONG else (form[0], hashlib.sha256(text.encode()).hexdigest())


def identity_of(function: Any, within: tuple[Any, ...] = ()) -> str:
    """Module, name, a digest of the bytecode, and of what the function has with it: another function of the same name is another,
    and so is the method of another object.  ``within`` are the functions that have this one with them."""
    inner = getattr(function, "func", function)
    code = _code_of(inner)
    name = f"{getattr(inner, '__module__', '')}:{getattr(inner, '__qualname__', type(inner).__name__)}"
    digest = hashlib.sha256(repr(_code(code) if code is not None else "").encode())
    extra = repr(form_of((function.args, sorted(function.keywords.items())))) if inner is not function else ""
    held = [_held(one, (*within, inner)) for one in _with(inner)]
    state = ":" + hashlib.sha256(repr(held).encode()).hexdigest()[:16] if held else ""
    return f"{name}:{digest.hexdigest()[:16]}{state}{extra}"


def _code_of(inner: Any) -> CodeType | None:
    """The bytecode of what is called: of a class that makes its objects, of an object that it is called by."""
    called = (
        inner if hasattr(inner, "__code__") else vars(inner).get("__init__") if isinstance(inner, type) else type(inner).__call__
    )
    code = getattr(called, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _with(inner: Any) -> list[Any]:
    """What a function has with it: defaults, variables of the functions around it, the object of a method; an object itself."""
    if not callable(getattr(inner, "__get__", None)) and not isinstance(inner, (BuiltinFunctionType, type)):
        return [inner]
    owner = getattr(inner, "__self__", None)
    held = [owner] if owner is not None and not isinstance(owner, ModuleType) else []
    held += [one for one in (getattr(inner, "__defaults__", None), getattr(inner, "__kwdefaults__", None)) if one]
    for cell in getattr(inner, "__closure__", None) or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:
            pass  # it has no value yet
    return held


def _held(value: Any, within: tuple[Any, ...]) -> Any:
    """A form of what a function has with it; of what cannot be pickled its type."""
    if isinstance(value, FunctionType):
        return value.__qualname__ if any(value is one for one in within) else identity_of(value, within)
    if "error_snapshot" in getattr(value, "__dict__", ()):  # of a run before: it is ours
        value = copy.copy(value)
        del value.error_snapshot
    try:
        return _as_first_seen(value) if type(value) in (list, dict, set) else form_of(value)
    except Exception:
        return f"{type(value).__module__}.{type(value).__qualname__}"


def _as_first_seen(value: Any) -> Any:
    """The form of a container as this process saw it first: a function that notes its calls in a list stays the same."""
    known = _seen.get(id(value))
    if known is not None:
        return known[1]
    form = form_of(value)
    if len(repr(form)) <= _LONG:
        if len(_seen) >= _MOST_SEEN:
            del _seen[next(iter(_seen))]
        _seen[id(value)] = value, form  # with itself, so that no other has its id
    return form


def _code(code: CodeType) -> Any:
    constants = [_code(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return code.co_code, code.co_names, constants


def form_of(value: Any) -> Any:
    """A hashable form of a value: equal for equal values, also in another process, and another for another type.

    Raises what the picklers raise for a value that is neither simple, nor a container of such, nor a numpy array, nor picklable.
    """
    kind = type(value)
    if kind in _SIMPLE:
        return kind.__name__, value
    if kind in (list, tuple):
        return kind.__name__, tuple([form_of(item) for item in value])
    if kind in (set, frozenset):
        return kind.__name__, tuple(sorted([form_of(item) for item in value], key=repr))
    if kind is dict:
        return "dict", tuple(sorted([(form_of(key), form_of(item)) for key, item in value.items()], key=repr))
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        return _array_form(value)
    return f"{kind.__module__}.{kind.__qualname__}", hashlib.sha256(packing.dumps(value)).hexdigest()


def _array_form(array: Any) -> Any:
    if array.dtype.hasobject:
        return "ndarray", array.shape, form_of(array.tolist())
    return "ndarray", str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()


class _UnfitError(Exception):
    """A value that cannot be pickled."""


class _Files:
    """A folder with a file for each entry, written entirely or not at all."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        os.makedirs(self.folder, exist_ok=True)

    def _path(self, key: Key) -> str:
        return os.path.join(self.folder, hashlib.sha256(repr(key).encode()).hexdigest() + ".autotb")

    def get(self, key: Key, default: Any) -> Any:
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return default
        data = content[len(_MAGIC) + 4 :]
        checksum = int.from_bytes(content[len(_MAGIC) : len(_MAGIC) + 4], "big")
        if not content.startswith(_MAGIC) or zlib.crc32(data) != checksum:
            raise ValueError(f"{path} is torn, or no file of a cache of autotb: delete it, and its call is made again")
        return pickle.loads(data)

    def __setitem__(self, key: Key, value: Any) -> None:
        try:
            data = packing.dumps(value)
        except Exception as error:
            raise _UnfitError(f"{type(error).__name__}: {error}") from error
        files.write_whole(self._path(key), _MAGIC + zlib.crc32(data).to_bytes(4, "big") + data)
