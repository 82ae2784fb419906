"""``python -m tests.matrix [--list] [NAME …]``: the engines' tests on their oldest versions in wide use, and on their newest.

Each row is a fresh virtual environment made by uv: autotb, pytest, the engine at the versions that its test module declares, and
that test module.  The newest versions are what CI installs; ``--newest`` runs them here too.  Exit status 1 if a row fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.engines.declared import engines

ROOT = Path(__file__).parent.parent
LIMIT = 1500  # seconds a row
PYTHON = "3.11"


@dataclass(frozen=True)
class Row:
    """One environment: what is pinned in it, what would be newest, which tests it runs."""

    oldest: tuple[str, ...]
    newest: tuple[str, ...]
    tests: tuple[str, ...]  # pytest's arguments, from the engines' tests


def rows() -> dict[str, Row]:
    """The rows by name: what the engines' test modules declare."""
    found = {}
    for name, engine in engines().items():
        newest = tuple(wanted for other in engines().values() if other.module == engine.module for wanted in other.requires)
        pinned = {"": engine.oldest} if engine.oldest else {}
        for version, oldest in {**pinned, **engine.older}.items():
            found[f"{name} {version}".rstrip()] = Row(oldest, newest, (f"{engine.module}.py", *engine.also))
    return found


def main() -> int:
    """Run the rows that are asked for; a table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", help="rows to run (default: all)")
    parser.add_argument("--newest", action="store_true", help="the newest versions instead of the oldest")
    parser.add_argument("--list", action="store_true", help="show the rows")
    options = parser.parse_args()
    chosen = {name: row for name, row in rows().items() if not options.names or name in options.names}
    if options.list:
        for name, row in chosen.items():
            sys.stdout.write(f"{name:16} Python {PYTHON}  {', '.join(row.oldest)}\n")
        return 0
    results = {name: _run(name, row, options.newest) for name, row in chosen.items()}
    sys.stdout.write("\n".join(f"{name:16} {result}" for name, result in results.items()) + "\n")
    return int(any("passed" not in result or "failed" in result for result in results.values()))


def _run(name: str, row: Row, newest: bool) -> str:
    with tempfile.TemporaryDirectory(prefix="autotb-matrix-", ignore_cleanup_errors=True) as folder:
        environment = Path(folder) / "environment"
        python = environment / "bin" / "python"
        uv = [sys.executable, "-m", "uv"]
        wanted = [
            "pytest>=8",
            "pytest-timeout",
            "pytest-xdist",
            "cloudpickle",
            "dill",
            "numpy",
            *(row.newest if newest else row.oldest),
        ]
        steps = [
            [*uv, "venv", "-q", "--python", PYTHON, str(environment)],
            [*uv, "pip", "install", "-q", "--python", str(python), "-e", str(ROOT), *wanted],
        ]
        for step in steps:
            done = subprocess.run(step, check=False, capture_output=True, text=True, timeout=LIMIT)
            if done.returncode:
                return f"not installed: {done.stderr.strip()[-300:]}"
        files = [f"tests/engines/{file}" if file.endswith(".py") else file for file in row.tests]
        kept = {key: value for key, value in os.environ.items() if key not in ("AUTOTB", "PYTHONPATH")}
        path = f"{environment / 'bin'}{os.pathsep}{kept.get('PATH', '')}"
        try:
            done = subprocess.run(
                [str(python), "-m", "pytest", "-n", "2", "--dist", "loadscope", "-W", "default", *files],
                check=False,
                capture_output=True,
                text=True,
                timeout=LIMIT,
                cwd=ROOT,
                env={**kept, "PATH": path, "ENGINES": "newest" if newest else "oldest"},
            )
        except subprocess.TimeoutExpired:
            return f"not done within {LIMIT} s"
        lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED") or " passed" in line or " failed" in line]
        sys.stdout.write(f"== {name}\n" + "\n".join(lines) + "\n")
        sys.stdout.flush()
        return lines[-1] if lines else f"no result: {done.stdout[-300:]} {done.stderr[-300:]}"


if __name__ == "__main__":
    sys.exit(main())
