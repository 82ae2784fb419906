"""Settings: ``AUTOTB_*`` in the environment, then ``[tool.autotb]`` of the nearest pyproject.toml, then the default.

The one door: whoever wants to know how a setting stands asks here, and nobody else reads the variables (``boot`` looks at the
opt-out).  Flows in: the environment, and once a process the file, when the first error is shown or captured or the first patch
needs to know what to capture; never at start-up.  Flows out: values, where each came from, and what was asked (for ``doctor``).
A process that multiprocessing or loky starts afresh gets what its parent read of the file with its other preparations.  A name or
value that is not known is one line of warning and the default.
"""

from __future__ import annotations

import os
import sys

from autotb.project import project_file

TYPE_CHECKING = False
if TYPE_CHECKING:  # workers import this before anything fails: typing, dataclasses and difflib are not for them
    from typing import Any


class Option:
    """A setting: its default, what it may be (None: a number from 0 to 1000; ANY: a path), and one line for the documentation."""

    def __init__(self, default: str, choices: tuple[str, ...] | None, help: str) -> None:
        self.default, self.choices, self.help = default, choices, help


DEFAULT = "default"
_SWITCH = ("1", "0")
ANY: tuple[str, ...] = ()
OPTIONS: dict[str, Option] = {
    "style": Option("auto", ("auto", "rich", "plain", "json"), "how an error is drawn"),
    "frames": Option("user", ("user", "all"), "which frames are shown"),
    "context": Option("3", None, "source lines before and after the failing line"),
    "args": Option("1", _SWITCH, "0: arguments of the failing call are neither captured nor shown"),
    "locals": Option("", ("", "0", "1"), "0: local variables are not captured; 1: they are shown; unset: captured only"),
    "rescue": Option("1", _SWITCH, "0: exceptions that cannot travel fail as the engine makes them fail"),
    "traceback": Option("1", _SWITCH, "0: exceptions from other processes have no frames of the worker's in their traceback"),
    "unretrieved": Option("1", _SWITCH, "0: failed futures that were never retrieved are not reported"),
    "postmortem": Option("1", _SWITCH, "0: workers leave no status file that tells of their death"),
    "noise": Option("", ("", "keep"), "keep: the engines' own log copies are not quieted"),
    "logging": Option("1", _SWITCH, "0: log records of workers' exceptions stay as Python formats them"),
    "dir": Option("", ANY, "a folder in which the story of each uncaught, unwrapped or collected failure is kept as JSON"),
    "keep_inputs": Option("0", _SWITCH, "1: the calls of failed tasks are pickled into AUTOTB_DIR, for `python -m autotb rerun`"),
    "worker_log": Option("", ANY, "a folder in which each worker logs its environment, and when its tasks begin and end"),
    "asyncio": Option("0", _SWITCH, "1: asyncio tasks remember where they were created"),
}
INHERITED = "_AUTOTB_INHERITED"  # what a driver read of its file, for workers that are started through a program of the engine's
# Looked at by others: the opt-out by the start-up line.
_OTHER_NAMES = ("AUTOTB", "AUTOTB_RUN_FOLDER")
_LARGEST = 4_000_000  # bytes of a pyproject.toml; what is larger is none
_ALIASES = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}


class Settings:
    """The settings in force, where each came from, and what was wrong with them."""

    def __init__(self, values: dict[str, Any], sources: dict[str, str], warnings: tuple[str, ...], file: str = "") -> None:
        self.__dict__.update(values)
        self.sources, self.warnings, self.file = sources, warnings, file

    def but(self, **values: Any) -> Settings:
        """The same with other values."""
        return Settings({**vars(self), **values}, self.sources, self.warnings, self.file)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """One of OPTIONS: a bool for what is 0 or 1, an int for a number, a str for the others."""


try:
    _VARIABLES = {name: os.environ.encodekey("AUTOTB_" + name.upper()) for name in OPTIONS}
except AttributeError:  # an environment of the program's own making
    _VARIABLES = {}
_cache: tuple[object, Settings] | None = None
_values: dict[tuple[str, Any, object], Any] = {}  # answers, by name, the variable's text, and the main program
_file: tuple[object, tuple[dict[str, str], str, tuple[str, ...]]] | None = None  # the main program, and what its file says
_handed: tuple[dict[str, str], str, tuple[str, ...]] | None = None  # what the process that started this one read
asked: dict[str, Any] = {}  # which settings were asked for, and the last answer


def current() -> Settings:
    """The settings in force now; read anew when the environment has changed."""
    global _cache
    found = _found()
    key = (found, _program(), _handed)
    if _cache is None or _cache[0] != key:
        _cache = (key, _read({name: os.environ[name] for name in list(os.environ) if name.startswith("AUTOTB")}))
    return _cache[1]


def _found() -> tuple[tuple[Any, Any], ...]:
    """The variables that are ours, as the system has them: nothing is decoded, which takes most of the time."""
    try:
        variables = dict(os.environ._data)  # type: ignore[attr-defined]
        prefix = os.environ.encodekey("AUTOTB")
    except AttributeError:  # an environment of the program's own making
        variables, prefix = dict(os.environ), "AUTOTB"
    return tuple(sorted((name, value) for name, value in variables.items() if name.startswith(prefix)))


def value(name: str) -> Any:
    """One setting; cheap when it is asked again."""
    try:
        text = os.environ._data.get(_VARIABLES[name])  # type: ignore[attr-defined]  # a fifth of the time
    except (AttributeError, KeyError):
        text = os.environ.get("AUTOTB_" + name.upper())
    key = (name, text, id(sys.modules.get("__main__")))
    try:
        return _values[key]
    except KeyError:
        answer = asked[name] = _values[key] = getattr(current(), name)
        return answer


def used(*names: str) -> Settings:
    """All of them, for somebody who uses these."""
    in_force = current()
    asked.update((name, getattr(in_force, name)) for name in names)
    return in_force


def switch(name: str) -> bool:
    """One on/off setting."""
    return bool(value(name))


def is_set(name: str) -> bool:
    """Whether the user has set it, in the environment or in the file, to a value that it may have."""
    return current().sources[name] != DEFAULT


def file_settings() -> tuple[dict[str, str], str, tuple[str, ...]] | None:
    """What this process read of a file, for a process that it starts; None where no file says anything."""
    found = _of_file()
    return found if found[0] else None


def inherit(found: tuple[dict[str, str], str, tuple[str, ...]]) -> None:
    """In a process that was started by another: that one's file holds, wherever this one runs."""
    global _handed
    _handed = found
    _values.clear()


def _program() -> object:
    """Changes when a fresh worker has found the main program whose folder it shall look in."""
    return id(sys.modules.get("__main__"))


def _read(environment: dict[str, str]) -> Settings:
    values: dict[str, Any] = {}
    sources = dict.fromkeys(OPTIONS, DEFAULT)
    told, path, complaints = _of_file()
    warnings = list(complaints)
    for table, where in ((told, "pyproject.toml"), (_from_environment(environment), "environment")):
        for name, text in table.items():
            option = OPTIONS.get(name)
            shown = f"AUTOTB_{name.upper()}" if where == "environment" else f"[tool.autotb] {name}"
            if option is None:
                warnings.append(f"{shown} is no setting of autotb{_closest(name)}; it is ignored")
            elif (value := _checked(option, text)) is None:
                warnings.append(f"{shown}={text!r} is not {_expected(option)}; the default, {option.default or 'unset'}, holds")
            else:
                values[name], sources[name] = value, where
    for name, option in OPTIONS.items():
        found: Any = values.get(name, _checked(option, option.default))
        values[name] = found == "1" if option.choices == _SWITCH else int(found) if option.choices is None else found
    return Settings(values, sources, tuple(warnings), path)


def _from_environment(environment: dict[str, str]) -> dict[str, str]:
    """An empty variable is one that is not set."""
    return {
        name[7:].lower(): value
        for name, value in environment.items()
        if value and name not in _OTHER_NAMES and name[:7] == "AUTOTB_"
    }


def _checked(option: Option, value: object) -> str | None:
    if option.choices == ANY:
        return str(value)
    text = str(value).strip().lower()
    if option.choices is None:
        return text if text.isascii() and text.isdigit() and int(text) <= 1000 else None
    if text not in option.choices:
        text = _ALIASES.get(text, text)
    return text if text in option.choices else None


def _expected(option: Option) -> str:
    if option.choices is None:
        return "a number from 0 to 1000"
    return "one of " + ", ".join(choice for choice in option.choices if choice)


def _closest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, OPTIONS, 1)
    return f" (did you mean {near[0]}?)" if near else f" (there are {', '.join(OPTIONS)})"


def _of_file() -> tuple[dict[str, str], str, tuple[str, ...]]:
    """The table ``[tool.autotb]``, the file that has it, and what was wrong with it; read once a main program."""
    global _file
    if _handed is not None:
        return _handed
    program = _program()
    if _file is None or _file[0] != program:
        _file = (program, _from_parent() or _pyproject())
    return _file[1]


def _from_parent() -> tuple[dict[str, str], str, tuple[str, ...]] | None:
    text = os.environ.get(INHERITED)
    if not text:
        return None
    import json

    try:
        table, path = json.loads(text)
        return {str(name): str(value) for name, value in table.items()}, str(path), ()
    except (ValueError, TypeError, AttributeError):
        return None  # somebody else's


def call_telling_children(function: Any, args: Any, kwargs: Any) -> Any:
    """An engine's call that starts programs of its own: they learn what this process read of its file, if it has one."""
    found = None
    try:
        found = None if INHERITED in os.environ else file_settings()
        if found is not None:
            import json

            os.environ[INHERITED] = json.dumps(found[:2])
    except Exception:
        pass  # then they look for a file of their own
    try:
        return function(*args, **kwargs)
    finally:
        if found is not None:
            os.environ.pop(INHERITED, None)


def _pyproject() -> tuple[dict[str, str], str, tuple[str, ...]]:
    path = ""
    try:
        path = project_file() or ""
        if not path:
            return {}, "", ()
        with open(path, "rb") as file:
            content = file.read(_LARGEST)
        if b"autotb" not in content:
            return {}, "", ()
        table = _toml(content.decode()).get("tool", {}).get("autotb", {})
    except Exception as error:  # somebody else's file may be anything
        return {}, "", (f"{path} could not be read ({type(error).__name__}: {error}); its [tool.autotb] is ignored",)
    if not isinstance(table, dict) or not table:
        return {}, "", ()
    return {str(name): _of_a_file(str(name), _as_text(value), path) for name, value in table.items()}, path, ()


def _of_a_file(name: str, text: str, path: str) -> str:
    """A folder that is given in relation to another is beside the file."""
    is_folder = name in OPTIONS and OPTIONS[name].choices == ANY
    return os.path.join(os.path.dirname(path), text) if is_folder and text else text


def _as_text(value: object) -> str:
    return {True: "1", False: "0"}[value] if isinstance(value, bool) else str(value)


def _toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    table: dict[str, Any] = tomllib.loads(text)
    return table
