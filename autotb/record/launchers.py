"""What started this program: ``python -m``, or the script that an installer makes for a command.

Flows in: the module ``__main__``, the text of such a script.  Flows out: the package that holds the program, and whether a file
is such a script.
"""

from __future__ import annotations

import os
import stat
import sys

from autotb import engine_facts

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs more to import than all of this
    from typing import Any

MAINS = ("__main__", "__mp_main__", "")
# They run programs of others: their code is a library's, though they are what was started.
RUNNERS = {
    *("IPython", "_pytest", "accelerate", "airflow", "bpython", "chainlit", "dagster", "daphne", "django", "doit", "fabric"),
    *("fastapi_cli", "fire", "flask", "gradio", "granian", "gunicorn", "hypercorn", "invoke", "ipdb", "ipykernel"),
    *(
        "ipykernel_launcher",
        "jupyter",
        "jupyter_client",
        "jupyter_core",
        "jupyter_server",
        "kernprof",
        "lightning",
        "line_profiler",
        "litestar",
    ),
    *("locust", "luigi", "marimo", "memory_profiler", "memray", "mlflow", "mprof", "nbconvert", "nox", "panel", "papermill"),
    *("pip", "pudb", "pytest", "ptpython", "sanic", "scalene", "scrapy", "shiny", "snakemake", "solara", "streamlit", "tox"),
    *("typer", "uvicorn", "uwsgi", "voila", "waitress"),
}
_SCRIPTS = ("coverage", "coverage3", "debugpy", "pyinstrument", "viztracer")  # whatever is in them
_FOLDERS = ("bin", "Scripts")
_MOST = 4_000  # bytes of a script
_LINES = ("#", "import ", "from ", "if __name__ ", "if sys.argv[0].endswith(", "elif sys.argv[0].endswith(", "sys.argv[0] = ")
_entries: dict[str, str] = {}


def program() -> str:
    """The top-level package that this process was started to run; empty where it runs a file."""
    names: dict[str, Any] = getattr(sys.modules.get("__main__"), "__dict__", {})
    name = getattr(names.get("__spec__"), "name", None)
    if not isinstance(name, str):
        file = names.get("__file__")
        name = entry_of(file) if type(file) is str else ""
    top = name.partition(".")[0]
    return "" if top in RUNNERS else top


def are_theirs(path: str, module: str) -> bool:
    """Whether a frame that is told as an engine's is of what started the program."""
    if module in MAINS:
        folder, _, name = path.replace("\\", "/").rpartition("/")
        if name.removesuffix(".py") in engine_facts.STDLIB_LAUNCHERS:  # of ``python -m cProfile``
            return True
        return folder.rpartition("/")[2] in engine_facts.LAUNCHERS or is_script(path)  # of ``python -m debugpy``
    top = module.partition(".")[0]
    return top in engine_facts.LAUNCHERS or top in RUNNERS or top in engine_facts.STDLIB_LAUNCHERS


def is_script(path: str) -> bool:
    """Whether a file is a command's script, which only calls the program."""
    folder, name = os.path.split(path)
    return (name in _SCRIPTS and os.path.basename(folder) in _FOLDERS) or bool(entry_of(path))


def entry_of(path: str) -> str:
    """The module whose function a command's script calls; empty for any other file."""
    folder = os.path.dirname(path)
    if os.path.basename(folder) not in _FOLDERS:
        return ""
    entry = _entries.get(path)
    if entry is None:
        if len(_entries) > 1_000:
            _entries.clear()
        entry = _entries[path] = _read(path)
    return entry


def _read(path: str) -> str:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""
        with open(path, "rb") as file:
            text = file.read(_MOST + 1).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    call = lines[-1] if lines else ""
    if len(text) > _MOST or not (call.startswith("sys.exit(") and call.endswith("())")):
        return ""
    if not all(line.startswith(_LINES) for line in lines[:-1]):
        return ""
    called = call[len("sys.exit(") : -len("())")].partition(".")[0]
    for line in lines:
        words = line.split()
        if words[0] == "from" and len(words) == 4 and words[3] == called:
            return words[1]
        if words[0] == "import" and words[1:] == [called]:
            return called
    return ""
