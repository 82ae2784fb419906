"""The cache of a flow: results of steps that say so, by function, error mode and arguments.

Flows in: a step and the arguments of a call.  Flows out: its key, ``(cache id, mode, hashable form of the arguments)``, and what
was kept under that key, in a mapping or in a folder.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
import zlib
from collections.abc import MutableMapping
from types import CodeType
from typing import Any

from autotb.flow import packing
from autotb.flow.steps import Step
from autotb.render import files

Key = tuple[str, str, Any]
MISSING = object()
_MAGIC = b"autotb cache 1\n"
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


def key_of(step: Step, mode: str, named: dict[str, Any]) -> Key | None:
    """The key of a call; None for a step that is not cached.  Raises TypeError for an argument that cannot be part of one."""
    if not step.cache:
        return None
    identity = step.cache if isinstance(step.cache, str) else _identity(step.function)
    forms = []
    for name, value in sorted(named.items()):
        try:
            forms.append((name, form_of(value)))
        except Exception as error:
            raise TypeError(
                f"argument {name!r} of {step.name!r} cannot be part of a cache's key ({type(error).__name__}: {error}); "
                f"use cache=False for this step"
            ) from error
    return identity, mode, tuple(forms)


def _identity(function: Any) -> str:
    """Module, name and a digest of the bytecode: another function of the same name is another."""
    inner = getattr(function, "func", function)
    code = getattr(inner, "__code__", None)
    name = f"{getattr(inner, '__module__', '')}:{getattr(inner, '__qualname__', type(inner).__name__)}"
    digest = hashlib.sha256(repr(_code(code) if code is not None else "").encode())
    extra = repr(form_of((function.args, sorted(function.keywords.items())))) if inner is not function else ""
    return f"{name}:{digest.hexdigest()[:16]}{extra}"


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
