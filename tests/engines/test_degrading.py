"""An engine whose internals moved: patches find nothing, or meet another signature, or our own code raises.

The program's results, exceptions and status are those of a run without autotb; the user's line in the worker is shown where the
engine's text has it; ``doctor`` names the patch.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotb.cli import triggers
from autotb.instrument import code_swap, patch
from tests import programs
from tests.engines import kit
from tests.engines.declared import engines

EACH = os.environ.get("EACH") == "1"
BREAKING = str(Path(__file__).parent / "breaking")

BROKEN = {name: engine for name, engine in engines().items() if engine.cases}


def short(name: str) -> str:
    return name.rpartition(".")[2]


ADAPTERS = [name for name in sorted(triggers.adapters()) if ".engines." in name]
RUN = [name for name in ADAPTERS if short(name) in BROKEN]
pytestmark = kit.on_main


def program(name: str) -> tuple[kit.Program, list[str]]:
    engine = BROKEN[short(name)]
    return kit.Program(engine.main, environment=engine.environment), [*engine.first, *engine.cases]


_bare: dict[str, programs.Ran] = {}


def bare(name: str, folder: Path) -> programs.Ran:
    """What the program does without autotb: once for all patches of an adapter."""
    if name not in _bare:
        made, cases = program(name)
        _bare[name] = made.run(folder, *cases, autotb="0")
    return _bare[name]


def check(name: str, tmp_path: Path, workers: str = "", **environment: str) -> programs.Ran:
    """The program does what it does without autotb; ``workers`` is its switch in processes that the program starts."""
    made, cases = program(name)
    expected = bare(name, tmp_path / "bare")
    if workers:
        made.main = f"import os\n\nos.environ['AUTOTB'] = {workers!r}\n" + made.main
        environment["autotb"] = "01"[workers == "0"]
    ran = made.run(tmp_path / "ours", *cases, PYTHONPATH=BREAKING, **environment)

    assert made.outcomes(ran) == made.outcomes(expected), ran.stderr
    assert ran.status == expected.status
    told, without = programs.sections(ran.stderr), programs.sections(expected.stderr)
    for case, text in without.items():
        if "in divide" in text:
            assert "in divide" in told[case], f"{case}\n{told[case]}"
    return ran


def is_here(entry: patch.Patch) -> bool:
    """Whether the installed version may have what some lack: a module's file, found without an import, that defines the name."""
    for folder in sys.path:
        stem = Path(folder, *entry.module.split("."))
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file():
                return f"def {entry.qualname.rpartition('.')[2]}(" in file.read_text(encoding="utf-8")
    return False


class Breaking:
    """The tests of one adapter, whose program without autotb is run once."""

    NAME = ""

    def test_a_name_that_moved_costs_that_one_nicety(self, target, tmp_path):
        ran = check(self.NAME, tmp_path, BREAK=target)

        assert "autotb:" not in ran.stderr, ran.stderr

    def test_what_is_taken_for_granted_moved(self, moved, tmp_path):
        ran = check(self.NAME, tmp_path, MOVE=moved)

        assert "autotb:" not in ran.stderr, ran.stderr

    def test_our_own_functions_raise(self, tmp_path):
        check(self.NAME, tmp_path, RAISE="1")

    def test_workers_without_autotb(self, tmp_path):
        ran = check(self.NAME, tmp_path, workers="0")

        assert "autotb:" not in ran.stderr, ran.stderr

    def test_a_driver_without_autotb(self, tmp_path):
        ran = check(self.NAME, tmp_path, workers="1")

        assert "__autotb__" not in ran.stderr
        assert "╭─" not in ran.stderr.replace("Exception in", "") or BROKEN[short(self.NAME)].draws

    @classmethod
    def moves(cls):
        """All at once; each in turn with ``EACH=1`` in the environment."""
        assumed = getattr(importlib.import_module(cls.NAME), "ASSUMPTIONS", ())
        return (["*"] if assumed else []) + (sorted({one.qualname or one.module for one in assumed}) if EACH else [])

    @classmethod
    def targets(cls):
        """A third of them at once (a half, of an engine that takes long to start), so that each has others beside it; each in turn
        with ``EACH=1`` in the environment."""
        patches = importlib.import_module(cls.NAME).PATCHES
        found = [f"{entry.module}:{entry.qualname}" for entry in patches if not entry.optional or is_here(entry)]
        parts = min(2 if BROKEN[short(cls.NAME)].costly else 3, len(found))
        return found if EACH else [",".join(found[part::parts]) for part in range(parts)]


# One class an adapter, so that each is run by one process of the tests.
for _name in RUN:
    _class = type(f"Test_{short(_name)}", (Breaking,), {"NAME": _name})
    _command = BROKEN[short(_name)].needs
    globals()[_class.__name__] = programs.needs(_command)(_class) if _command else _class


@pytest.mark.parametrize("name", ADAPTERS, ids=short)
def test_another_signature_is_refused(name):
    """The wrapper would not take the calls that the function takes by now: the function stays as it is."""

    def theirs(first_of_another_name, second_of_another_name, third, fourth, fifth, *, sixth):
        return "theirs"

    for declared in importlib.import_module(name).PATCHES:
        new = None
        try:
            new = declared.wrap(theirs)
        except Exception:
            continue  # it asks the module that it is for
        try:
            patch._check_signature(new, theirs)
        except code_swap.Moved as moved:
            assert "another way" in str(moved)
        else:
            code = new.__code__
            assert code.co_flags & 0x04, f"{declared.qualname} takes no further arguments"
            assert code.co_flags & 0x08, f"{declared.qualname} takes no further arguments by name"


def test_doctor_names_what_moved_and_what_it_costs(tmp_path):
    adapters = [importlib.import_module(name) for name in ADAPTERS]
    # The other interpreters of newer Pythons are not here, and threads were imported before.
    targets = [
        declared
        for adapter in adapters
        for declared in adapter.PATCHES
        if declared.module not in ("concurrent.futures.interpreter", "threading")
    ]
    gone = ",".join(f"{declared.module}:{declared.qualname}" for declared in targets)
    ran = subprocess.run(
        [sys.executable, "-m", "autotb", "doctor", "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=tmp_path,
        env={**programs.environment(), "PYTHONPATH": BREAKING, "BREAK": gone, "MOVE": "*"},
    )
    problems = json.loads(ran.stdout)["problems"]

    assert ran.returncode == 1
    for declared in targets:
        if not declared.optional:
            told = next(text for text in problems if f"{declared.module}.{declared.qualname} is absent" in text)
            assert told.endswith(f"; lost: {declared.costs}")
    for declared in [assumed for adapter in adapters for assumed in getattr(adapter, "ASSUMPTIONS", ()) if not assumed.optional]:
        names = (declared.module, declared.qualname, declared.names[0], ": moved: ")
        told = [text for text in problems if all(name in text for name in names)]  # two things may rest on one variable
        assert any(text.endswith(f"; lost: {declared.costs}") for text in told), names


def test_doctor_is_content_with_the_engines_as_they_are(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "autotb", "doctor"],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=tmp_path,
        env={**programs.environment(), "HOME": os.environ.get("HOME", str(tmp_path))},
    )

    assert ran.returncode == 0, ran.stdout[-3000:]
    assert ran.stdout.rstrip().endswith("all is well")
