"""``python -m autotb doctor``: what autotb does in this environment, and whether all is well.

Flows in: this interpreter, its site-packages, the installed engines (imported here, so that their patches are tried), a fresh
child interpreter.  Flows out: a report, as text or JSON; exit status 1 if something is off.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import site
import subprocess
import sys
import sysconfig
from typing import Any

from autotb import __version__, api, boot, first_use, plain_errors, runtime, settings
from autotb.cli import checkup, holders
from autotb.instrument import patch
from autotb.record import static

_DRAWN = "every uncaught error on a terminal; elsewhere those of workers and engines, a plain one is Python's own text"
_DRAWN_BY_ALL = "every uncaught error everywhere, in the style that is set"
_NOTHING = "nothing, while AUTOTB switches autotb off"
_NOT_BY_ITSELF = (
    "nothing by itself: every uncaught error where a program calls autotb.install(), or `python -m autotb run` runs it"
)
_NOT_HERE = "not in this version, or not on this Python"
_NOT_IMPORTED = "its module could not be imported here"
_PROBE = "import sys, json; b = sys.modules.get('autotb.boot'); print(json.dumps([bool(b and b.started), b and b.__file__]))"


def command(options: Any) -> int:
    """Print the report; 1 if something is off."""
    if options.engine or options.config or options.modules:
        from autotb.cli import probe

        if not options.engine:
            sys.stderr.write("autotb doctor: --config and --import ask the workers of an engine: name it with --engine\n")
            return 2
        return probe.command(options)
    try:
        report = examine()
    except Exception as error:  # what this is for must not end it
        return checkup.tell([f"{type(error).__name__}: {error}"], "this report could not be made", as_json=options.json)
    if options.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write(_text(report))
    return 1 if report["problems"] else 0


def examine() -> dict[str, Any]:
    """Everything the report says, as plain builtins."""
    problems: list[str] = []
    off = api.is_off()
    started = boot.started
    if not off:
        import autotb

        autotb.install()
        if not started:
            problems.append("start-up did not switch autotb on in this interpreter: see the start-up files")
    held = holders.now()  # before engines are imported, which may put their own there
    report: dict[str, Any] = {
        "autotb": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}",
        "active": boot.started,
        "versions": _versions(problems),
        "startup_files": _startup_files(problems),
        "excepthook": "autotb" if held["sys.excepthook"] is boot.excepthook else holders.name(held["sys.excepthook"]),
        "drawn": _drawn(started, off),
        "engines": _engines(problems, off),
        "noise": patch.noise,
        "settings": _settings(problems),
        "settings_file": settings.current().file,
        "workers": _workers(problems, off),
        "problems": problems,
    }
    shown = ""
    if not off:
        report["asked"] = _asked(problems)
        found, shown = _trial(report)
        problems += found
    report["hooks"] = holders.of(held, shown, report["drawn"], off=off)
    if not off:
        _hook(problems, report["hooks"]["sys.excepthook"])
    problems += runtime.problems
    _status_files(problems)
    return report


def _drawn(started: bool, off: bool) -> str:
    if off:
        return _NOTHING
    return _NOT_BY_ITSELF if not started else _DRAWN_BY_ALL if plain_errors.style_is_set() else _DRAWN


def _trial(report: dict[str, Any]) -> tuple[list[str], str]:
    """One task that fails on a process pool, with what this environment has."""
    style = "plain" if report["versions"].get("rich") == "missing" else "rich"
    return checkup.trial(style, by_itself=bool(report["startup_files"]))


def _versions(problems: list[str]) -> dict[str, str]:
    found = {}
    for name in ("rich", "tomli") if sys.version_info < (3, 11) else ("rich",):
        try:
            found[name] = importlib.metadata.version(name)
            importlib.import_module(name)
        except Exception as error:
            found[name] = "missing"
            lacking = "errors are drawn without it, in the plain style" if name == "rich" else "no pyproject.toml is read"
            problems.append(f"{name} cannot be imported ({type(error).__name__}: {error}): {lacking}")
    return found


def _startup_files(problems: list[str]) -> list[dict[str, str]]:
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    if site.ENABLE_USER_SITE:
        folders.add(site.getusersitepackages())
    files = []
    for folder in sorted(folders):
        path = os.path.join(folder, "autotb.pth")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            good = text.startswith("import os;") and "autotb.boot" in text and text.count("\n") <= 1
            files.append({"path": path, "state": "good" if good else "not the line that this version installs"})
            if not good:
                problems.append(f"{path} is not the line that this version installs: reinstall autotb")
    if not files:
        problems.append("no autotb.pth in any site-packages folder of this Python (pip install autotb puts it there)")
    return files


def _hook(problems: list[str], told: dict[str, str]) -> None:
    """What there is to know, and to do, of a hook that is another's."""
    if told["holder"] != holders.OURS:
        problems.append(
            f"sys.excepthook belongs to {told['holder']}: uncaught errors go to it, which shows {told['seen']}"
            " (a hook of yours may hand on to autotb.excepthook)"
        )


def _engines(problems: list[str], off: bool) -> list[dict[str, Any]]:
    from autotb.cli.triggers import adapters

    report = []
    for name in adapters():
        adapter = importlib.import_module(name)
        distribution = adapter.DISTRIBUTION
        version = _version(distribution)
        entry: dict[str, Any] = {"engine": adapter.NAME, "version": version or "not installed", "patches": {}, "assumptions": {}}
        report.append(entry)
        if version is None or off:
            continue
        for module in adapter.MODULES:
            _import(module, problems)
            if first_use.waits(module):  # for the first thread, or the first event loop
                patch.before(adapter, module)
                patch.after(adapter, module)
        for declared in adapter.PATCHES:
            key = f"{declared.module}.{declared.qualname}"
            state = _state(declared)
            entry["patches"][key] = state
            if state not in (patch.APPLIED, patch.COVERED, _NOT_HERE, _NOT_IMPORTED) and not (
                declared.optional and state.startswith(patch.ABSENT)
            ):
                problems.append(f"{adapter.NAME} {version}: {key} is {state}; lost: {declared.costs}")
        entry["assumptions"] = _assumptions(adapter, f"{adapter.NAME} {version}", problems)
    return report


def _assumptions(adapter: Any, engine: str, problems: list[str]) -> dict[str, str]:
    """What the adapter takes for granted of the engine, and whether it holds."""
    from autotb.cli import assumed

    states = {}
    for declared in getattr(adapter, "ASSUMPTIONS", ()):
        key = assumed.name(declared)
        states[key] = state = assumed.state(declared)
        if state not in (assumed.HOLDS, assumed.NOT_HERE):
            problems.append(f"{engine}: {key}: {state}; lost: {declared.costs}")
    return states


def _version(distribution: str | None) -> str | None:
    if distribution is None:
        return platform.python_version()
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _import(module: str, problems: list[str]) -> None:
    try:
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            return  # in this version the module that would hold it is no package, or it is of another package that is not here
        if not _wants_an_extra(module, error):
            problems.append(f"{module} cannot be imported: {type(error).__name__}: {error}")


def _wants_an_extra(module: str, error: Exception) -> bool:
    """Whether the engine is there, and this part of it wants a package that is not: Ray without ``ray[serve]``."""
    top = module.partition(".")[0]
    missing = [each.name or "" for each in static.chain(error) if isinstance(each, ModuleNotFoundError)]
    return top in sys.modules and module != top and any(name and name.partition(".")[0] != top for name in missing)


def _state(declared: patch.Patch) -> str:
    entry = patch.applied.get((declared.module, declared.qualname))
    if entry is not None:
        return (
            entry.state
            if entry.state in (patch.APPLIED, patch.COVERED)
            else f"{entry.state}: {entry.why}"
            if entry.why
            else entry.state
        )
    try:
        known = importlib.util.find_spec(declared.module) is not None
    except Exception:  # a package that is not there, or that cannot be imported: that was told
        known = False
    if known and declared.module not in sys.modules:
        return _NOT_IMPORTED  # it wants a package that is not there, or why was told
    return "its module was imported before autotb" if known else _NOT_HERE


def _settings(problems: list[str]) -> dict[str, dict[str, str]]:
    in_force = settings.current()
    problems += in_force.warnings
    return {
        name: {"value": _spelled(getattr(in_force, name)), "from": in_force.sources[name], "help": option.help}
        for name, option in settings.OPTIONS.items()
    }


def _spelled(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _workers(problems: list[str], off: bool) -> dict[str, str]:
    """What a fresh interpreter, as spawned workers are, sees from another folder."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], check=False, capture_output=True, text=True, timeout=60, cwd=os.path.abspath(os.sep)
        )
        active, file = json.loads(done.stdout)
    except Exception as error:
        problems.append(f"a fresh interpreter could not be asked: {type(error).__name__}: {error}")
        return {"spawned": "unknown"}
    if not active and not off:
        problems.append("a fresh interpreter, as spawned workers are, runs without autotb")
    if done.stderr.strip():
        problems.append(f"a fresh interpreter prints at start-up: {done.stderr.strip()[:300]}")
    spawned = {"spawned": f"autotb from {file}" if active else "without autotb"}
    return {**spawned, "forked": "as this interpreter"} if hasattr(os, "fork") else spawned


def _asked(problems: list[str]) -> dict[str, dict[str, str]]:
    """Which settings are asked for here where an error is told, and the answers; what a spawned worker would answer."""
    from multiprocessing import get_context

    from autotb import render

    render.draw(render.explain(ValueError()), io.StringIO())
    here = {name: _spelled(settings.asked[name]) for name in settings.OPTIONS if name in settings.asked}
    there: dict[str, str] = {}
    try:
        context = get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_answer, args=(sender,), daemon=True)
        process.start()
        sender.close()
        there = receiver.recv() if receiver.poll(checkup.LIMIT) else {}
        process.join(checkup.LIMIT)
    except Exception as error:
        problems.append(f"a spawned worker could not be asked for its settings: {type(error).__name__}: {error}")
    return {"here": here, "worker": there}


def _answer(sender: Any) -> None:
    """In the worker."""
    sender.send(_in_force())


def _in_force() -> dict[str, str]:
    return {name: _spelled(getattr(settings.current(), name)) for name in settings.OPTIONS}


def _status_files(problems: list[str]) -> None:
    """Where workers that die leave word of what they did."""
    if os.name == "posix" and settings.switch("postmortem"):
        from autotb.postmortem import status_folder

        why = status_folder.trouble()
        if why:
            problems.append(f"{why}: of workers that die no more is known than how they ended")


def _text(report: dict[str, Any]) -> str:
    lines = [
        f"autotb {report['autotb']}, {'active' if report['active'] else 'off'}",
        f"  {report['python']}",
        *(f"  {name} {version}" for name, version in report["versions"].items()),
        "",
        "start-up files",
        *(f"  {file['path']}: {file['state']}" for file in report["startup_files"]),
        f"  drawn: {report['drawn']}",
        "",
        "hooks that show errors, who holds them, and what is seen",
        *(f"  {name}: {hook['holder']}: {hook['seen']}" for name, hook in report["hooks"].items()),
        "",
        "engines",
    ]
    for engine in report["engines"]:
        lines.append(f"  {engine['engine']} {engine['version']}")
        lines += [f"    {name}: {state}" for name, state in (engine["patches"] | engine["assumptions"]).items()]
    lines += ["", f"settings, with {report['settings_file']}" if report["settings_file"] else "settings, of no file"]
    for name, setting in report["settings"].items():
        lines.append(f"  AUTOTB_{name.upper()}={setting['value'] or '(unset)'} ({setting['from']}): {setting['help']}")
    lines += [f"  set for an engine: {name}={value}" for name, value in report["noise"].items()]
    if "asked" in report:
        lines += ["", "settings that were asked for here, and what a spawned worker would answer", *_asked_table(report["asked"])]
    lines += ["", "workers", *(f"  {name}: {state}" for name, state in report["workers"].items()), ""]
    if report["problems"]:
        lines += ["problems", *(f"  {problem}" for problem in report["problems"])]
    else:
        lines.append("all is well")
    return "\n".join(lines) + "\n"


def _asked_table(asked: dict[str, dict[str, str]]) -> list[str]:
    names = [name for name in settings.OPTIONS if name in asked["here"]]
    rows = [("", "here", "in a spawned worker")]
    rows += [
        (f"AUTOTB_{name.upper()}", asked["here"][name] or "(unset)", asked["worker"].get(name, "not known") or "(unset)")
        for name in names
    ]
    first, second = (max(len(row[at]) for row in rows) for at in (0, 1))
    return [f"  {name:<{first}}  {here:<{second}}  {there}" for name, here, there in rows]
