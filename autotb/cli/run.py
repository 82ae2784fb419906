"""``python -m autotb run script.py args…``: a program under autotb, where no ``.pth`` file has switched it on.

The program runs in a fresh ``__main__`` that is never swapped back, with everything as plain Python sets it: spawned workers and
pickles of its classes depend on it.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import runpy
import sys
from types import ModuleType, TracebackType
from typing import Any

USAGE = """usage: autotb run SCRIPT [ARG ...]
       autotb run -m MODULE [ARG ...]
       autotb run -c CODE [ARG ...]
"""


def command(arguments: list[str]) -> int:
    """Run the program; returns its exit status, unless it raises what ends the interpreter."""
    if not arguments or arguments[0] in ("-h", "--help"):
        (sys.stdout if arguments else sys.stderr).write(USAGE)
        return 0 if arguments else 2
    if arguments[0] in ("-m", "-c") and len(arguments) < 2:
        sys.stderr.write(f"autotb run: {arguments[0]} needs an argument\n{USAGE}")
        return 2
    _switch_on()
    first, rest = arguments[0], arguments[1:]
    sys.orig_argv = [*_interpreter(), *arguments]
    try:
        if first == "-m":
            _run_module(rest[0], rest[1:])
        elif first == "-c":
            _run_code(rest[0], rest[1:])
        else:
            _run_script(first, rest)
    except SystemExit:
        raise
    except BaseException:
        sys.excepthook = _without_our_frames(sys.excepthook)
        raise
    return 0


def _interpreter() -> list[str]:
    """The interpreter and its own options: what stood before ``-m autotb`` or the console script."""
    before = []
    for argument in sys.orig_argv:
        if argument == "-m" or argument.startswith("-m") or argument.endswith((".py", "autotb")):
            break
        before.append(argument)
    return before or [sys.executable]


def _switch_on() -> None:
    """Where start-up has not done it: switch autotb on here, and in the interpreters that this one will start."""
    from autotb import api, boot, runtime

    runtime.ask()
    if boot.started or api.is_off():
        return
    import autotb

    autotb.install()
    here = os.path.dirname(os.path.abspath(__file__))
    paths = [os.path.join(here, "children"), os.path.dirname(os.path.dirname(here)), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def _fresh_main(**attributes: Any) -> ModuleType:
    main = ModuleType("__main__")
    vars(main).update({"__builtins__": builtins, "__doc__": None, "__package__": None, "__spec__": None, "__loader__": None})
    vars(main).update(attributes)
    sys.modules["__main__"] = main
    return main


def _set_first_path(entry: str | None) -> None:
    """``sys.path[0]`` is ours (the current folder of ``-m``, or the console script's); none under ``-P`` and ``-I``."""
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated and sys.path:
        del sys.path[0]
        if entry is not None:
            sys.path.insert(0, entry)


def _run_script(path: str, rest: list[str]) -> None:
    sys.argv = [path, *rest]
    if os.path.isdir(path) or _is_zip(path):
        _set_first_path(path)
        if getattr(sys.flags, "safe_path", False):
            sys.path.insert(0, path)
        _fresh_main()
        runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]
        return
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        sys.stderr.write(f"{sys.executable}: can't open file {os.path.abspath(path)!r}: [Errno {error.errno}] {error.strerror}\n")
        raise SystemExit(2) from None
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    loader = importlib.machinery.SourceFileLoader("__main__", path)
    shown = os.path.abspath(path) if sys.version_info >= (3, 9) else path
    main = _fresh_main(__file__=shown, __loader__=loader, __cached__=None)
    exec(compile(source, shown, "exec", dont_inherit=True), vars(main))


def _is_zip(path: str) -> bool:
    if path.endswith(".py"):
        return False
    import zipfile

    return zipfile.is_zipfile(path)


def _run_module(name: str, rest: list[str]) -> None:
    sys.argv = ["-m", *rest]
    _set_first_path(os.getcwd())
    _fresh_main()
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]


def _run_code(code: str, rest: list[str]) -> None:
    sys.argv = ["-c", *rest]
    _set_first_path("")
    main = _fresh_main(__loader__=importlib.machinery.BuiltinImporter)
    import linecache

    linecache.cache["<string>"] = (len(code), None, [line + "\n" for line in code.splitlines()], "<string>")
    exec(compile(code, "<string>", "exec", dont_inherit=True), vars(main))


def _without_our_frames(hook: Any) -> Any:
    """The hook that is in force, given the traceback that plain Python would give it."""

    def excepthook(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
        tb = traceback
        while tb is not None and _is_ours(tb):
            tb = tb.tb_next
        hook(kind, value.with_traceback(tb), tb)

    return excepthook


def _is_ours(tb: TracebackType) -> bool:
    name = tb.tb_frame.f_globals.get("__name__", "")
    file = tb.tb_frame.f_code.co_filename
    if file == "<frozen runpy>" or os.path.basename(file) == "runpy.py":
        return True
    return (
        (isinstance(name, str) and (name == "autotb" or name.startswith("autotb.")))
        or file.startswith(_PACKAGE)
        or _is_script(tb)
    )


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def _is_script(tb: TracebackType) -> bool:
    """The console script ``autotb`` itself."""
    return (
        os.path.basename(tb.tb_frame.f_code.co_filename) in ("autotb", "autotb-script.py")
        and tb.tb_frame.f_code.co_name == "<module>"
    )
