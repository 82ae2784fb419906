"""Code that travelled by value and has lost its file's name on the way: from 3.1.3 on, cloudpickle names it ``<dynamic-code>``.

Flows in: a worker's frames; names, lines and fingerprints of them in the driver.  Flows out: the path of the file that the code
is of, where the very same code is found there; nothing else, for a path that may be another's would be worse than none.
Source: https://github.com/cloudpipe/cloudpickle/blob/master/CHANGES.md
"""

from __future__ import annotations

import linecache
import sys
import warnings
from types import CodeType, FunctionType, ModuleType

from autotb.record import sources, static

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from collections.abc import Iterator
    from typing import Any

    from autotb.record.schema import Frame

NAME = "<dynamic-code>"
_AWAITS = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT: a notebook's cells may
MOST = 20_000  # code objects that are looked at
MOST_CELLS = 80  # fewer than the files whose code is remembered
MOST_FOUND = 500
_of_files: dict[str, list[CodeType]] = {}
# Where code is, by what its frames say of it, while so many files are known.
_found: dict[tuple[str, int, str, str, int], str] = {}


def fingerprint(code: CodeType) -> str:
    """What tells one function's code from another's of the same name."""
    return code.co_code.hex()[:16] + f"-{len(code.co_code)}-{code.co_firstlineno}"


def identity(code: CodeType) -> tuple[str, int, bytes]:
    """Equal of two code objects that were compiled from the same lines at the same place of a file."""
    return code.co_name, code.co_firstlineno, code.co_code


def path_of(code: CodeType, variables: dict[str, Any]) -> str:
    """The path of a frame's code; where it was lost, that of the file which its globals name, if the same code is in there."""
    path = static.exact(code.co_filename)
    if path != NAME:
        return path
    file = dict.get(variables, "__file__")
    if type(file) is str and identity(code) in map(identity, _codes_of_file(file)):
        return file
    return path


def found_again(name: str, line: int, mark: str = "", module: str = "") -> str:
    """In the process that has the code: the path of the one function of this name that has this line, and this fingerprint.

    What no variable holds, as a lambda among a call's arguments, is looked for in a notebook's cells: the last one that has it,
    for a cell is changed and run again.
    """
    paths = set()
    for code in _codes_of_module(module or "__main__"):
        if code.co_name != name or code.co_filename == NAME:
            continue
        if fingerprint(code) == mark if mark else line in {at for _, _, at in code.co_lines()}:
            paths.add(static.exact(code.co_filename))
    if not paths and mark and module in ("", "__main__"):
        return next((path for path in reversed(sources.of_cells()[-MOST_CELLS:]) if _holds(path, name, mark)), NAME)
    return paths.pop() if len(paths) == 1 else NAME


def path_here(frame: Frame) -> str:
    """The path of a worker's frame, of the file where this process has its code: found out once, asked for of each failure."""
    path = frame["path"]
    if path != NAME:
        return path
    what = frame["name"], frame["line"], frame.get("code", ""), frame.get("module", ""), len(linecache.cache)
    found = _found.get(what)
    if found is None:
        if len(_found) >= MOST_FOUND:
            _found.clear()
        found = _found[what] = found_again(*what[:4])
    return found


def _holds(path: str, name: str, mark: str) -> bool:
    return any(code.co_name == name and fingerprint(code) == mark for code in _codes_of_file(path))


def _codes_of_module(name: str) -> Iterator[CodeType]:
    """The code of a module's file, and of the functions and classes that it holds by now."""
    module = sys.modules.get(name)
    if type(module) is not ModuleType:
        return
    variables = vars(module)
    file = variables.get("__file__")
    if type(file) is str:
        yield from _codes_of_file(file)
    left = MOST
    for value in list(variables.values()):
        for code in _codes_of_value(value, name):
            left -= 1
            if not left:
                return
            yield code


def _codes_of_value(value: Any, module: str) -> Iterator[CodeType]:
    if issubclass(type(value), type) and static.module(value) == module:
        for held in list(static.own(value).values()):
            yield from _codes_of_function(held)
    else:
        yield from _codes_of_function(value)


def _codes_of_function(value: Any) -> Iterator[CodeType]:
    for _ in range(10):
        if type(value) in (staticmethod, classmethod):
            value = value.__func__
        if type(value) is not FunctionType:
            return
        yield from within(value.__code__)
        value = dict.get(value.__dict__, "__wrapped__")


def within(code: CodeType) -> Iterator[CodeType]:
    """A code object, and those of the functions and classes that are defined in it."""
    yield code
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from within(constant)


def _codes_of_file(path: str) -> list[CodeType]:
    """The code of a file that was run: compiled once more, and never run."""
    found = _of_files.get(path)
    if found is None:
        if len(_of_files) > 100:
            _of_files.clear()
        found = _of_files[path] = _compiled(path)
    return found


def _compiled(path: str) -> list[CodeType]:
    try:
        text = "".join(map(static.text_of, sources.lines_from_elsewhere(path)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were told when the file was run
            code = compile(text, path, "exec", _AWAITS, dont_inherit=True, optimize=-1)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    return list(within(code))[:MOST]
