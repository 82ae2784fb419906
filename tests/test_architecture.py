"""The house, read from the code: what imports what, imports in functions and modules that are named in strings included."""

from __future__ import annotations

import ast
import graphlib
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
# From the top down; the rooms of one line do not know each other.
FLOORS = (
    {"__main__"},
    {"cli"},
    {"api"},
    {"boot"},
    {"own_finder"},
    {"import_hook"},
    {"uncaught"},
    {"flow", "futures", "environments"},
    {"hooks"},
    {"render"},
    {"trace"},
    {"plain_errors"},
    {"engines"},
    {"instrument"},
    {"postmortem"},
    {"record"},
    {"surface"},
    {"assumption", "engine_facts"},
    {"settings"},
    {"aside"},
    {"imports"},
    {"_triggers", "first_use", "frozen", "project", "runtime"},
)
# The table of engines names adapters, as the package names its public names: data, which no line of these files imports.
TABLES = {"autotb._triggers", "autotb"}


def modules() -> dict[str, Path]:
    found = {}
    for path in (ROOT / "autotb").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "children" in parts or "-" in path.stem:
            continue
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def arrows() -> dict[str, dict[str, int]]:
    """By module: the modules of ours that it imports or names, with the line."""
    known = modules()
    found: dict[str, dict[str, int]] = {}
    for name, path in known.items():
        mine = found[name] = {}
        if name in TABLES:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for target in _named(node, known):
                if target in known and target not in (name, "autotb"):
                    mine.setdefault(target, node.lineno)
    return found


def _named(node: ast.AST, known: dict[str, Path]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "imports name the whole path"
        full = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in known else str(node.module) for name in full]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known:
        return [node.value]
    return []


def test_no_module_imports_in_a_circle():
    circle = []
    try:
        graphlib.TopologicalSorter({name: set(others) for name, others in arrows().items()}).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]

    assert circle == []


def test_imports_go_down_only():
    floor = {room: at for at, rooms in enumerate(FLOORS) for room in rooms}
    room_of = {name: name.split(".")[1] if "." in name else name for name in modules()}
    up = [
        f"{name} line {line} -> {other}"
        for name, others in arrows().items()
        for other, line in others.items()
        if room_of[name] != room_of[other] and floor[room_of[name]] >= floor[room_of[other]]
    ]

    assert set(room_of.values()) - set(floor) == {"autotb"}, "each room has its floor"
    assert up == []


BARE = 0.1  # of the parameters of adapters: those that mypy knows nothing of, annotated with Any alone or not at all


def test_adapters_say_what_they_rely_on():
    """A Protocol where attributes are used (instrument/types.py, the adapters), object where a value is only passed on."""
    bare, count = [], 0
    for name, path in modules().items():
        if not name.startswith("autotb.engines."):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                taken = node.args
                every = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]
                own = [one for one in every if one is not None and one.arg not in ("self", "cls")]
                count += len(own)
                bare += [
                    f"{name}:{one.lineno} {one.arg}"
                    for one in own
                    if one.annotation is None or ast.unparse(one.annotation) == "Any"
                ]

    assert count > 500
    assert len(bare) / count < BARE, bare


# Modules without a test file of their name (tests/<folder>/test_<name>.py), and why: where their tests are, or why there are none.
ELSEWHERE = {
    "_triggers": "made by a command: tests/instrument/test_patch.py compares it",
    "engines/anyio": "with trio, which it runs on: tests/engines/test_trio_and_anyio.py",
    "engines/distributed": "Dask's, of two adapters: tests/engines/test_dask.py",
    "engines/distributed_handles": "beside the other engines' futures: tests/futures/test_engines.py",
    "engines/distributed_tasks": "two names, read by every story of Dask: tests/engines/test_dask.py",
    "engines/futures": "an adapter of several pools: tests/engines/test_pools.py",
    "engines/loky": "joblib's pools: tests/engines/test_joblib.py",
    "engines/multiprocessing/internals": "declarations alone: tests/engines/test_degrading.py breaks each",
    "engines/multiprocessing/messages": "names alone: tests/engines/multiprocessing/test_receiver.py receives them",
    "engines/multiprocessing/types": "Protocols alone: tests/instrument/test_types.py compares them with the real objects",
    "engines/threads": "with processes, which fail alike: tests/engines/test_threads_and_processes.py",
    "engines/torchelastic": "PyTorch's, of two adapters: tests/engines/test_torch.py",
    "hooks/rank": "ranks of PyTorch's, on a real job: tests/engines/test_torch_ranks.py",
    "engines/trio": "with anyio, which runs on it: tests/engines/test_trio_and_anyio.py",
    "environments/starlette": "a page, as others: tests/environments/test_web.py",
    "environments/werkzeug": "a page, as others: tests/environments/test_web.py",
    "environments/better_exceptions": "a printer of tracebacks, as others: tests/environments/test_printers.py",
    "environments/friendly_traceback": "a printer of tracebacks, as others: tests/environments/test_printers.py",
    "environments/pretty_errors": "a printer of tracebacks, as others: tests/environments/test_printers.py",
    "environments/stackprinter": "a printer of tracebacks, as others: tests/environments/test_printers.py",
    "environments/tbvaccine": "a printer of tracebacks, as others: tests/environments/test_printers.py",
    "environments/ultratb": "a printer of tracebacks, as others: tests/environments/test_printers.py",
    "frozen/hook-autotb": "PyInstaller runs it: tests/test_frozen.py",
    "cli/assumed": "so far through doctor: tests/engines/test_degrading.py",
}


def test_each_module_has_tests_of_its_name():
    package, tests = ROOT / "autotb", ROOT / "tests"
    every = [path.relative_to(package).with_suffix("") for path in package.rglob("*.py")]
    named = [path for path in every if path.name not in ("__init__", "__main__") and not {"demos", "children"} & set(path.parts)]
    missing = {path.as_posix() for path in named if not (tests / path.parent / f"test_{path.name}.py").exists()}
    said = {name: re.findall(r"tests/[\w/]+\.py", why) for name, why in ELSEWHERE.items()}

    assert missing - ELSEWHERE.keys() == set(), "without a test of their name"
    assert ELSEWHERE.keys() - missing == set(), "with one by now, or gone"
    assert [name for name, paths in said.items() if not paths or not all((ROOT / path).exists() for path in paths)] == []
