"""Settings: ``AUTOTB_*`` in the environment, then ``[tool.autotb]`` of the nearest pyproject.toml, then the default.

Read when an error is shown or captured, never at start-up.  A name or value that is not known is one line of warning and the
default.
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


_SWITCH = ("1", "0")
ANY: tuple[str, ...] = ()
OPTIONS: dict[str, Option] = {
    "style": Option("auto", ("auto", "rich", "plain", "json"), "how an error is drawn"),
    "frames": Option("user", ("user", "all"), "which frames are shown"),
    "context": Option("3", None, "source lines before and after the failing line"),
    "args": Option("1", _SWITCH, "0: arguments of the failing call are neither captured nor shown"),
    "locals": Option("", ("", "0", "1"), "0: local variables are not captured; 1: they are shown; unset: captured only"),
    "rescue": Option("1", _SWITCH, "0: exceptions that cannot travel fail as the engine makes them fail"),
    "unretrieved": Option("1", _SWITCH, "0: failed futures that nobody asked for are not told"),
    "postmortem": Option("1", _SWITCH, "0: workers leave no breadcrumb that tells of their death"),
    "noise": Option("", ("", "keep"), "keep: the engines' own log copies are not quieted"),
    "logging": Option("1", _SWITCH, "0: log records of workers' exceptions stay as Python formats them"),
    "dir": Option("", ANY, "a folder in which the story of each uncaught, unwrapped or collected failure is kept as JSON"),
    "keep_inputs": Option("0", _SWITCH, "1: the calls of failed tasks are pickled into AUTOTB_DIR, for `python -m autotb rerun`"),
    "worker_log": Option("", ANY, "a folder in which each worker logs its environment, and when its tasks begin and end"),
    "asyncio": Option("0", _SWITCH, "1: asyncio tasks remember where they were created"),
}
# Looked at by others: the opt-out by the start-up line.
_OTHER_NAMES = ("AUTOTB", "AUTOTB_RUN_FOLDER")
_ALIASES = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}


class Settings:
    """The settings in force, where each came from, and what was wrong with them."""

    def __init__(
        self,
        *,
        style: str,
        frames: str,
        context: int,
        args: bool,
        locals: str,
        rescue: bool,
        unretrieved: bool,
        postmortem: bool,
        noise: str,
        logging: bool,
        dir: str,
        worker_log: str,
        keep_inputs: bool,
        asyncio: bool,
        sources: dict[str, str],
        warnings: tuple[str, ...],
    ) -> None:
        self.style, self.frames, self.context = style, frames, context
        self.args, self.locals = args, locals
        self.rescue, self.unretrieved, self.noise = rescue, unretrieved, noise
        self.logging, self.dir, self.asyncio, self.postmortem = logging, dir, asyncio, postmortem
        self.worker_log, self.keep_inputs = worker_log, keep_inputs
        self.sources, self.warnings = sources, warnings


_cache: tuple[object, Settings] | None = None


def current() -> Settings:
    """The settings in force now; read anew when the environment has changed."""
    global _cache
    key = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AUTOTB")))
    if _cache is None or _cache[0] != key:
        _cache = (key, _read(dict(key)))
    return _cache[1]


def switch(name: str) -> bool:
    """One on/off setting, looked up without reading any file where the environment has it or the first error is yet to come."""
    value = os.environ.get("AUTOTB_" + name.upper())
    if value is not None:
        return bool(getattr(current(), name))
    return OPTIONS[name].default == "1" if _cache is None else bool(getattr(_cache[1], name))


def _read(environment: dict[str, str]) -> Settings:
    values: dict[str, Any] = {}
    sources = dict.fromkeys(OPTIONS, "default")
    warnings: list[str] = []
    for table, where in ((_pyproject(warnings), "pyproject.toml"), (_from_environment(environment), "environment")):
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
        values.setdefault(name, _checked(option, option.default))
    for name in ("args", "rescue", "unretrieved", "postmortem", "logging", "keep_inputs", "asyncio"):
        values[name] = values[name] == "1"
    values["context"] = int(values["context"])
    return Settings(**values, sources=sources, warnings=tuple(warnings))


def _from_environment(environment: dict[str, str]) -> dict[str, str]:
    return {name[7:].lower(): value for name, value in environment.items() if name not in _OTHER_NAMES and name[:7] == "AUTOTB_"}


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


def _pyproject(warnings: list[str]) -> dict[str, str]:
    path = project_file()
    if path is None:
        return {}
    try:
        with open(path, "rb") as file:
            content = file.read()
        if b"autotb" not in content:
            return {}
        table = _toml(content.decode()).get("tool", {}).get("autotb", {})
    except Exception as error:  # somebody else's file may be anything
        warnings.append(f"{path} could not be read ({type(error).__name__}: {error}); its [tool.autotb] is ignored")
        return {}
    return {str(name): _as_text(value) for name, value in table.items()} if isinstance(table, dict) else {}


def _as_text(value: object) -> str:
    return {True: "1", False: "0"}[value] if isinstance(value, bool) else str(value)


def _toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    table: dict[str, Any] = tomllib.loads(text)
    return table
