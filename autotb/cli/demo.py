"""``python -m autotb demo``: a real parallel job fails, once as Python shows it, once as autotb does.

The job is a script, the engine's ``DEMO``, written to a temporary folder (it must be a user's file, not one of ours) and run in
two fresh interpreters.

Flows in: the adapters' texts; none is imported.  Flows out: what the two interpreters print; exit status 0 if both failed.
"""

from __future__ import annotations

import ast
import importlib.resources
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

LIMIT = 300  # seconds


def command(options: Any) -> int:
    """Show both; returns 0 when the job failed as it was meant to."""
    found = demos()
    if options.engine == "list":
        for name, script in found.items():
            sys.stdout.write(f"{name:16} {_doc(script)}{'' if _missing(script) is None else '  (not installed)'}\n")
        return 0
    chosen = found.get(options.engine)
    if chosen is None:
        sys.stderr.write(f"autotb demo: no engine {options.engine!r}; there are {', '.join(found)}\n")
        return 2
    missing = _missing(chosen)
    if missing is not None:
        sys.stderr.write(f"autotb demo: {options.engine} needs {missing}, which is not here\n")
        return 2
    return _show(chosen)


def demos() -> dict[str, str]:
    """The scripts, by the engine's name."""
    return {option: script for _, option, script in sorted(scripts(), key=itemgetter(1))}


def scripts() -> Iterator[tuple[str, str, str]]:
    """Each adapter that declares a script, what ``--engine`` calls it, the script."""
    for name, declared in _declared():
        if "DEMO" in declared:
            yield name, _option(name, declared), declared["DEMO"]


def options(having: str) -> Iterator[tuple[str, str]]:
    """Each adapter that has a function of this name, and what ``--engine`` calls it."""
    for name, declared in _declared():
        if having in declared:
            yield name, _option(name, declared)


def _option(name: str, declared: dict[str, str]) -> str:
    return declared.get("OPTION", name.replace("_", "-"))


def _declared() -> Iterator[tuple[str, dict[str, str]]]:
    return ((name, _texts(file)) for name, file in _adapters())


def _adapters() -> list[tuple[str, Any]]:
    """The adapters' names and files, of a folder or of an archive."""
    entries = importlib.resources.files("autotb").joinpath("engines").iterdir()
    files = [(entry.name, entry if entry.is_file() else entry.joinpath("__init__.py")) for entry in entries]
    return [(name.removesuffix(".py"), file) for name, file in files if file.name.endswith(".py") and file.is_file()]


def _texts(file: Any) -> dict[str, str]:
    """The names that a module gives to texts, and those of its functions."""
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Constant(str(text))):
                found[name] = text
            case ast.FunctionDef(name):
                found[name] = ""
    return found


def _doc(script: str) -> str:
    return (ast.get_docstring(ast.parse(script)) or "").partition("\n")[0]


def _missing(text: str) -> str | None:
    """The first package that a script imports and that is not installed."""
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names if alias.name == "interpreters")]
        for name in names:
            name = name if name.startswith("concurrent") else name.partition(".")[0]
            try:
                found = importlib.util.find_spec(name)
            except ImportError:
                found = None
            if found is None:
                return name.partition(".")[0] if name != "concurrent.interpreters" else "Python 3.14"
    return None


def _show(text: str) -> int:
    with tempfile.TemporaryDirectory(prefix="autotb-demo-", ignore_cleanup_errors=True) as folder:
        script = Path(folder) / "train.py"
        script.write_text(text, encoding="utf-8")
        statuses = []
        for title, switch in (("Python shows it so:", "0"), ("autotb shows it so:", "1")):
            sys.stdout.write(f"\n--- {title} {'-' * (74 - len(title))}\n\n")
            sys.stdout.flush()
            statuses.append(_run(script, switch))
    sys.stdout.write("\n")
    if 0 in statuses:
        sys.stderr.write("autotb demo: the job was meant to fail, and did not\n")
        return 1
    return 0


def _run(script: Path, switch: str) -> int:
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # an archive too
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (ours if switch == "1" else "", os.environ.get("PYTHONPATH", "")))),
        "AUTOTB": switch,
        "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", ""),
    }
    prefix = [sys.executable, "-m", "autotb", "run"] if switch == "1" else [sys.executable]
    try:
        return subprocess.run([*prefix, str(script)], check=False, env=environment, cwd=script.parent, timeout=LIMIT).returncode
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"autotb demo: the job did not end within {LIMIT} s\n")
        return 0
