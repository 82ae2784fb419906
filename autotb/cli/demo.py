"""``python -m autotb demo``: a real parallel job fails, once as Python shows it, once as autotb does.

The job is a script of the folder ``demos``, copied to a temporary folder (it must be a user's file, not one of ours) and run in
two fresh interpreters.
"""

from __future__ import annotations

import ast
import importlib.resources
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LIMIT = 300  # seconds


def command(options: Any) -> int:
    """Show both; returns 0 when the job failed as it was meant to."""
    found = demos()
    if options.engine == "list":
        for name, path in found.items():
            sys.stdout.write(f"{name:16} {_doc(path)}{'' if _missing(path) is None else '  (not installed)'}\n")
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


def demos() -> dict[str, Any]:
    """The scripts, by the engine's name: files, of a folder or of an archive."""
    folder = importlib.resources.files("autotb.cli").joinpath("demos")
    scripts = sorted((file for file in folder.iterdir() if file.name.endswith(".py")), key=lambda file: file.name)
    return {file.name.removesuffix(".py").replace("_", "-"): file for file in scripts}


def _doc(path: Any) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def _missing(path: Any) -> str | None:
    """The first package that a script imports and that is not installed."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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


def _show(path: Any) -> int:
    with tempfile.TemporaryDirectory(prefix="autotb-demo-", ignore_cleanup_errors=True) as folder:
        script = Path(folder) / "train.py"
        script.write_bytes(path.read_bytes())
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
