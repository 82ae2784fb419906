"""What is known of an engine stands in its two files, and nowhere else by hand."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

from autotb import assumption
from autotb.cli import triggers
from tests import programs
from tests.engines.declared import engines

ROOT = programs.REPOSITORY
ADAPTERS = [name for name in sorted(triggers.adapters()) if ".engines." in name]

#: Other files in which an installed engine's name stands, each with its reason: none is a list of engines to be added to.
ELSEWHERE = {
    "autotb/_triggers.py": "generated",
    "autotb/cli/pasted.py": "texts that engines print",
    "autotb/engines/dask.py": "Dask and its cluster are two adapters",
    "autotb/engines/dask_bags.py": "a part of the adapters of Dask and its cluster",
    "autotb/engines/dask_calls.py": "a part of the adapters of Dask and its cluster",
    "autotb/engines/dask_operations.py": "a part of the adapters of Dask and its cluster",
    "autotb/engines/datasets.py": "it runs on multiprocess",
    "autotb/engines/distributed.py": "Dask and its cluster are two adapters",
    "autotb/engines/distributed_actors.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/distributed_chains.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/distributed_deaths.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/distributed_failures.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/distributed_handles.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/distributed_logs.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/distributed_memory.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/distributed_results.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/distributed_runs.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/distributed_waits.py": "a part of the adapter of Dask's cluster",
    "autotb/engines/joblib.py": "it runs on Dask's cluster",
    "autotb/engines/multiprocessing/worker.py": "multiprocess is a copy of it",
    "autotb/engines/prefect.py": "it runs on AnyIO",
    "autotb/engines/torch.py": "PyTorch and torchrun are two adapters",
    "autotb/engines/torch_ranks.py": "a part of PyTorch's adapter",
    "autotb/engines/torchelastic.py": "PyTorch and torchrun are two adapters",
    "autotb/flow/executors.py": "engines on which errors are values",
    "autotb/instrument/attributes.py": "attributes of its own objects",
    "autotb/instrument/resubmit.py": "its tensors are measured",
    "autotb/postmortem/death_report.py": "how it says that a worker died",
    "autotb/postmortem/executor_deaths.py": "loky is a copy of concurrent.futures",
    "autotb/postmortem/status_file.py": "its workers are forked",
    "autotb/record/safe_repr.py": "its tensors are told in brief",
    "autotb/trace/hints.py": "a hint on its error",
    "benchmarks/engines.py": "what a task costs, where somebody measured it",
    "benchmarks/flow.py": "compared with",
    "benchmarks/million.py": "compared with",
    "tests/constraints.py": "a version that is held",
    "tests/engines/test_dask_bags.py": "a part of the adapters of Dask and its cluster",
    "tests/engines/test_dask_calls.py": "a part of the adapters of Dask and its cluster",
    "tests/programs.py": "what a command of the system is for",
}
#: Tests of what some engines have, a program an engine.
OF_SOME = ("cli", "flow", "futures", "fuzz", "hooks", "instrument", "postmortem", "record", "render", "trace")
OF_SOME_FILES = (
    "tests/engines/test_template.py",
    "tests/engines/test_endings.py",
    "tests/kills.py",
    "tests/test_boot.py",
    "tests/test_elsewhere.py",
    "tests/test_own_finder.py",
    "tests/test_plain_errors.py",
    "tests/test_settings.py",
)


def names(adapter) -> set[str]:
    stem = adapter.__name__.rpartition(".")[2]
    return {stem, stem.replace("_", "-"), adapter.DISTRIBUTION, *(module.partition(".")[0] for module in adapter.MODULES)}


def own_files(name: str) -> tuple[str, ...]:
    short = name.rpartition(".")[2]
    return (
        f"autotb/engines/{short}.py",
        f"autotb/engines/{short}/",
        f"tests/engines/{engines()[short].module}.py",
        f"tests/engines/{short}/",
    )


def texts(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def test_an_engines_name_stands_in_its_two_files():
    installed = {name: names(adapter) for name in ADAPTERS if (adapter := importlib.import_module(name)).DISTRIBUTION}
    found = set()
    for path in (path for folder in ("autotb", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        if file in OF_SOME_FILES or (file.startswith("tests/") and file.split("/")[1] in OF_SOME):
            continue
        said = texts(path)
        for name, known in installed.items():
            if not file.startswith(own_files(name)) and file != "tests/engines/test_declared.py":
                starts = tuple(f"{one}." for one in known) + (f"{name}.",)
                if any(text in known or text == name or text.startswith(starts) for text in said):
                    found.add(file)

    assert found == set(ELSEWHERE), found ^ set(ELSEWHERE)


def test_every_adapter_is_declared_by_one_test_module():
    assert {name.rpartition(".")[2] for name in ADAPTERS} == set(engines())
    for name in ADAPTERS:
        engine = engines()[name.rpartition(".")[2]]
        assert engine.cases or engine.unbroken or not importlib.import_module(name).PATCHES, name


def test_the_version_matrix_begins_where_the_readme_says():
    for name in ADAPTERS:
        adapter, engine = importlib.import_module(name), engines()[name.rpartition(".")[2]]
        pinned = [pin for other in engines().values() if other.module == engine.module for pin in other.oldest]
        found = [pin.partition("==")[2] for pin in pinned if pin.partition("==")[0].partition("[")[0] == adapter.DISTRIBUTION]
        if adapter.DISTRIBUTION is not None:
            assert found, name
            assert found[0].startswith(adapter.TESTED.partition(" to ")[0]), name


def test_what_is_taken_for_granted_is_declared():
    """No adapter looks into a frame by itself, and what it declares is in its table, for ``doctor``."""
    for path in (ROOT / "autotb" / "engines").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert ".f_locals" not in text, path.name
        assert ".co_varnames" not in text, path.name
    for name in ADAPTERS:
        adapter = importlib.import_module(name)
        declared = {id(one) for one in getattr(adapter, "ASSUMPTIONS", ())}
        made = [value for value in vars(adapter).values() if isinstance(value, assumption.Assumption)]
        assert {id(one) for one in made} <= declared, name
        assert all(one.costs for one in made), name
