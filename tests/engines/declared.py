"""What an engine's test module declares of its engine, beside its tests: ``ENGINES = {adapter: Engine(…)}``.

Flows in: the test modules of this folder.  Flows out: the packages that the extras install (``tests.generated``), the rows of
``tests.matrix``, the programs that ``test_degrading`` and ``test_interrupts`` run, the demos that ``tests.cli.test_run`` runs.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Engine:
    """One engine, by what the tests need to know of it.

    ``requires`` are the packages that it is, with the oldest versions that are supported; ``heavy`` ones are installed and tested
    on the main Python only, as are those of ``parts``, which only some of its tests need.  ``oldest`` pins what the version matrix installs, ``older`` does so for further rows, ``also`` are
    tests of other files that such a row runs.  ``needs`` is a command of the system (``programs.SYSTEM``).

    ``main`` is a program as ``kit.Program`` takes it and ``cases`` what it runs, some that succeed and some that fail, after
    ``first``: it is run while each patch and each assumption of the adapter in turn finds something else (``unbroken`` says why
    not).  ``waits`` is the way whose task is interrupted by a Ctrl-C; ``unsendable`` a program whose ``main()`` sends ``LOCK``.
    """

    requires: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    heavy: bool = False
    oldest: tuple[str, ...] = ()
    older: dict[str, tuple[str, ...]] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    needs: str = ""
    since: tuple[int, int] = (3, 10)  # the oldest Python
    environment: dict[str, str] = field(default_factory=dict)
    costly: bool = False  # its demo takes long: it is run before a release, not in CI

    main: str = ""
    cases: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    unbroken: str = ""
    draws: bool = False  # it draws panels of its own
    waits: str = ""
    unsendable: str = ""

    module: str = ""  # the test module, filled in by ``engines``


@functools.lru_cache(None)
def engines() -> dict[str, Engine]:
    """Every engine that a test module declares, by its adapter's short name."""
    found: dict[str, Engine] = {}
    for path in sorted(HERE.glob("test_*.py")):
        if "declared import Engine\n" not in path.read_text(encoding="utf-8"):
            continue
        for name, declared in importlib.import_module(f"tests.engines.{path.stem}").ENGINES.items():
            assert name not in found, f"{name} is declared in {found[name].module} and in {path.stem}"
            found[name] = replace(declared, module=path.stem)
    return found


def extra(*, heavy: bool) -> list[str]:
    """The requirements of one of the two extras of engines."""
    found = {wanted for engine in engines().values() if engine.heavy == heavy for wanted in engine.requires}
    return sorted(found | {wanted for engine in engines().values() if heavy for wanted in engine.parts})
