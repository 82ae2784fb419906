"""Whether the installed package is whole: for ``doctor``, which must not be the first to break on what it is to find.

Flows in: the package's files, what the installer noted of them (``RECORD``), a child interpreter that imports every module, and
one task that fails on a process pool.  Flows out: problems, a line each.  Imports nothing of autotb's.
"""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
LIMIT = 120  # seconds for a child
_MOST = 20  # problems that are told
_BROKEN = "the installed package is not whole; install it again (pip install --force-reinstall autotb)"
_APART = ("cli/children/",)  # a script that is run, not imported
_HOOK = "hook-"  # files that PyInstaller runs: read here, and not imported

_IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        print(f"{name} cannot be imported: {type(error).__name__}: {error}")
"""

_JOB = '''"""A task that fails on a process pool."""
from concurrent.futures import ProcessPoolExecutor


def ratio(clicks, views):
    return clicks / views


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        pool.submit(ratio, 3, views=0).result()
'''
#: What the story of that task must have, in the panel and in the plain style, and what it is.
_SIGNS = (
    ("ratio(clicks=3, views=0)", "the call with its arguments"),
    ("return clicks / views", "the worker's line"),
    ("submitted at", "the line that submitted the task"),
    ("in a process-pool worker", "the place where it ran"),
    ("ZeroDivisionError: division by zero", "the error"),
)


def installation() -> list[str]:
    """What is missing, empty, cut off or altered in the package itself."""
    files = _files()
    if files is None:
        return []  # in an archive: whoever packed it has imported it
    problems = _against_record()
    trees = {}
    for name, path in files.items():
        try:
            trees[name] = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            problems.append(f"{path} cannot be read as Python ({type(error).__name__}: {error})")
    for name, tree in trees.items():
        if not tree.body:
            problems.append(f"{files[name]} is empty")
    problems += _unlinked(trees, files)
    return problems if problems else _imported([name for name in files if not name.endswith("__main__") and _HOOK not in name])


def tell(problems: list[str], headline: str = _BROKEN, *, as_json: bool = False) -> int:
    """Print what is wrong, at most a screen of it; returns the exit status."""
    shown = list(dict.fromkeys(problems))
    if as_json:
        import json

        sys.stdout.write(json.dumps({"problems": shown}, indent=2) + "\n")
        return 1
    if len(shown) > _MOST:
        shown[_MOST:] = [f"and {len(shown) - _MOST} more of this kind"]
    lines = [f"autotb doctor: {headline}", "problems"]
    sys.stdout.write("\n".join([*lines, *(f"  {problem}" for problem in shown)]) + "\n")
    return 1


def _files() -> dict[str, Path] | None:
    """The modules by name; None where the package lies in no folder."""
    if not PACKAGE.is_dir():
        return None
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE).as_posix()
        letters = relative.replace(_HOOK, "").replace("/", "").replace(".py", "").replace("_", "a")
        if not relative.startswith(_APART) and letters.isidentifier():
            found[".".join(("autotb", *Path(relative).with_suffix("").parts)).removesuffix(".__init__")] = path
    return found


def _against_record() -> list[str]:
    """Files that are not what the installer wrote; an editable install has no list of them."""
    try:
        distribution = importlib.metadata.distribution("autotb")
        # Not `files`: the importlib_metadata package, where something imported it, leaves those out that are missing.
        noted = csv.reader((distribution.read_text("RECORD") or "").splitlines())
    except importlib.metadata.PackageNotFoundError:
        return []
    problems = []
    for name, hashed, *_ in noted:
        path, (mode, _, value) = Path(str(distribution.locate_file(name))), hashed.partition("=")
        if not name.startswith("autotb/") or not value or PACKAGE not in path.parents:
            continue  # what is not the package's, and what belongs to another copy of it
        try:
            digest = hashlib.new(mode, path.read_bytes()).digest()
        except FileNotFoundError:
            problems.append(f"{path} is missing")
        except (OSError, ValueError) as error:
            problems.append(f"{path} cannot be read ({error})")
        else:
            if base64.urlsafe_b64encode(digest).decode().rstrip("=") != value:
                problems.append(f"{path} is not what was installed")
    return problems


def _unlinked(trees: dict[str, ast.Module], files: dict[str, Path]) -> list[str]:
    """Modules of ours that others import and that are not there, and names that these lack."""
    names = {name: _top_level(tree) for name, tree in trees.items()}
    problems = []
    for tree in trees.values():
        modules: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == "autotb":
                problems += _missing_of(node, names, files, modules)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                home = modules[node.value.id]
                if home in names and node.attr not in names[home] and not node.attr.startswith("__"):
                    problems.append(f"{files[home]} has no {node.attr}: it is not whole")
    return problems


def _missing_of(node: ast.ImportFrom, names: dict[str, set[str]], files: dict[str, Path], modules: dict[str, str]) -> list[str]:
    home = node.module or ""
    problems = []
    if home not in files:
        return [f"{home.replace('.', '/')}.py is missing"]
    for alias in node.names:
        inner = f"{home}.{alias.name}"
        if inner in files:
            modules[alias.asname or alias.name] = inner
        elif home in names and alias.name not in names[home]:
            is_package = files[home].name == "__init__.py"
            where = f"{home.replace('.', '/')}/{alias.name}.py is missing" if is_package and not _told(names[home]) else ""
            problems.append(where or f"{files[home]} has no {alias.name}: it is not whole")
    return problems


def _told(names: set[str]) -> bool:
    """Whether a package's ``__init__`` has names of its own besides its modules."""
    return bool(names - {"__version__", "__all__", "__getattr__", "__dir__"})


def _top_level(tree: ast.Module) -> set[str]:
    """The names that a module has, however deep in its ifs and trys, and those that its functions make global."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            found.update(ast.literal_eval(node.value))  # some are loaded when they are first asked for
        elif isinstance(node, ast.Global):
            found.update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
    return found


def _imported(names: list[str]) -> list[str]:
    """What an interpreter says that imports every module."""
    done = _child(["-c", _IMPORT_ALL, *names], PACKAGE.parent, AUTOTB="0", PYTHONPATH=_with_ours())
    if isinstance(done, str):
        return [f"an interpreter that imports every module could not be run: {done}"]
    return [line for line in done.stdout.splitlines() if " cannot be imported: " in line and " 'rich" not in line]


def _with_ours() -> str:
    return os.pathsep.join(filter(None, (str(PACKAGE.parent), os.environ.get("PYTHONPATH", ""))))


def trial(style: str, by_itself: bool) -> tuple[list[str], str]:
    """Fail one task on a process pool and look at what is shown, which is returned too.

    ``by_itself``: a start-up file switches autotb on.
    """
    with tempfile.TemporaryDirectory(prefix="autotb-trial-", ignore_cleanup_errors=True) as folder:
        script = Path(folder, "job.py")
        script.write_text(_JOB, encoding="utf-8")
        command = [str(script)] if by_itself else ["-m", "autotb", "run", str(script)]
        ours = {} if by_itself else {"PYTHONPATH": _with_ours()}
        done = _child(command, Path(folder), AUTOTB="1", AUTOTB_STYLE=style, COLUMNS="100", PYTHONIOENCODING="utf-8", **ours)
    if isinstance(done, str):
        return [f"a trial could not be run: {done}"], ""
    lacking = [what for sign, what in _SIGNS if sign not in done.stderr]
    if style == "rich" and "╭" not in done.stderr:
        lacking.insert(0, "the panel")
    problems = [f"a trial, one task that fails on a process pool: {line}" for line in _own_lines(done.stderr)]
    if lacking:
        problems.append(f"a trial, one task that fails on a process pool: what is shown lacks {', '.join(lacking)}")
    if done.returncode != 1:
        problems.append(f"a trial, one task that fails on a process pool: the program ended with status {done.returncode}, not 1")
    return problems, done.stderr


def _own_lines(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("autotb: ")]


def _child(arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str] | str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTB")}
    try:
        return subprocess.run(
            [sys.executable, *arguments],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT,
            cwd=folder,
            env={**kept, **environment},
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {error}"
