"""``python -m autotb doctor --engine NAME``: a small task inside the real workers, under the user's own configuration.

Flows in: an engine's name, a Python file that configures it, modules to import.  Flows out: for each worker its Python, whether
autotb is active there, the modules' versions or why they cannot be imported, and in what its settings and its environment differ
from this one's.
The task is text that the worker evaluates, so that it needs nothing of ours there.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autotb import engine_facts
from autotb.cli import demo
from autotb.instrument.workers import Ask, Unusable
from autotb.record.redaction import environment as masked

SOURCE = """
def probe(modules):
    import importlib, os, platform, sys, traceback
    found, failed = {}, {}
    for name in modules:
        try:
            module = importlib.import_module(name)
            version = getattr(module, "__version__", None)
            if version is None:
                from importlib import metadata
                try:
                    version = metadata.version(name)
                except metadata.PackageNotFoundError:
                    version = "(version not known)"
            found[name] = str(version)
        except BaseException:
            failed[name] = traceback.format_exc()
    boot, settings = sys.modules.get("autotb.boot"), {}
    if boot and boot.started:
        try:
            from autotb.settings import OPTIONS, current
            settings = {name: str(getattr(current(), name)) for name in OPTIONS}
        except Exception:
            pass
    return {"python": platform.python_version(), "executable": sys.executable, "host": platform.node(), "pid": os.getpid(),
            "folder": os.getcwd(), "autotb": bool(boot and boot.started), "environment": dict(os.environ), "settings": settings,
            "found": found, "failed": failed}
"""
_OF_EACH_PROCESS = ("PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "TERM", "LS_COLORS")
_MOST = 20  # differences that are listed


def command(options: Any) -> int:
    """Print what the workers say; 1 if one cannot be reached or lacks a module, 2 for a configuration that cannot be used."""
    namespace: dict[str, Any] = {}
    exec(SOURCE, namespace)
    expression = f"(lambda space: (exec({SOURCE!r}, space), space['probe']({options.modules!r}))[1])({{}})"
    try:
        with _engine(options.engine, _configured(options.config), options.timeout) as ask:
            answers = ask(expression)
            driver = namespace["probe"]([])  # the file may have set something here too
    except Unusable as error:
        sys.stderr.write(f"autotb doctor: {error}\n")
        return 2
    except Exception as error:
        from autotb import explain

        story = explain(error)
        told = [f"{options.engine}: no worker could be asked", str(story), *story.hints]
        sys.stdout.write("\n".join(told) + "\n")
        return 1
    sys.stdout.write(f"driver: {_python(driver)}\n")
    for name, answer in answers:
        sys.stdout.write("\n".join(_lines(name, answer, driver)) + "\n")
    return 1 if any(answer["failed"] for _, answer in answers) else 0


def _configured(file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    if not os.path.isfile(file):
        raise Unusable(f"--config {file}: there is no such file")
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    try:
        return runpy.run_path(file, run_name="__autotb_config__")
    except Exception as error:
        raise Unusable(f"--config {file} fails: {type(error).__name__}: {error}") from error


@contextmanager
def _engine(name: str, given: dict[str, Any], timeout: float) -> Iterator[Ask]:
    adapters = {option: adapter for adapter, option in demo.options(having="probe")}
    if name not in adapters:
        raise Unusable(f"--engine {name}: known are {', '.join(sorted(adapters))}")
    adapter = importlib.import_module(f"autotb.engines.{adapters[name]}")
    try:
        with contextmanager(adapter.probe)(given, timeout) as ask:
            yield ask
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in engine_facts.facts.own_modules:
            raise
        raise Unusable(f"--engine {name}: {error}") from error


def _python(answer: dict[str, Any]) -> str:
    return f"Python {answer['python']} at {answer['executable']}, host {answer['host']}, in {answer['folder']}"


def _lines(name: str, answer: dict[str, Any], driver: dict[str, Any]) -> list[str]:
    lines = [f"{name}: {_python(answer)}, pid {answer['pid']}, autotb {'active' if answer['autotb'] else 'NOT active'}"]
    if answer["python"] != driver["python"]:
        lines.append(f"  another Python than the driver's, {driver['python']}")
    if answer["found"]:
        head = "Imported" if answer["failed"] else "Success"
        lines.append(f"  {head}: " + ", ".join(f"{module}={version}" for module, version in answer["found"].items()))
    for module, text in answer["failed"].items():
        lines += [f"  Failed: {module}", *(f"    {line}" for line in text.rstrip().split("\n"))]
    differences = _differences(driver["environment"], answer["environment"])
    lines += [f"  setting: {line}" for line in _other_settings(driver["settings"], answer["settings"])]
    lines += [f"  environment: {line}" for line in differences[:_MOST]]
    if len(differences) > _MOST:
        lines.append(f"  environment: and {len(differences) - _MOST} more differences")
    return lines


def _other_settings(here: dict[str, str], there: dict[str, str]) -> list[str]:
    """What holds in a worker that runs autotb, where it is not what holds here."""
    return [
        f"{name} is {there[name] or '(unset)'} in the worker, {here[name] or '(unset)'} in the driver"
        for name in here
        if there.get(name, here[name]) != here[name]
    ]


def _differences(here: dict[str, str], there: dict[str, str]) -> list[str]:
    """Secrets are compared, and shown masked."""
    found = []
    ours, theirs = masked(here), masked(there)
    for name in sorted({*here, *there} - set(_OF_EACH_PROCESS)):
        if name.startswith("_AUTOTB"):
            continue  # our own way to workers
        if name not in there:
            found.append(f"{name} is set in the driver only, to {ours[name]:.200}")
        elif name not in here:
            found.append(f"{name} is set in the worker only, to {theirs[name]:.200}")
        elif here[name] != there[name]:
            found.append(f"{name} is {theirs[name]:.200} in the worker, {ours[name]:.200} in the driver")
    return found
