"""The calls of a step as a data frame: what each was given, what became of it.

Flows in: nodes, if there are any, and the columns of a run.  Flows out: a frame of pandas, or of polars.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from autotb.flow.context import CONTINUE, unravelled
from autotb.flow.packing import headline
from autotb.flow.result_log import FAILED, OK, SKIPPED
from autotb.flow.snapshots import ErrorSnapshot
from autotb.flow.step_inputs import Work
from autotb.flow.steps import Node
from autotb.flow.store import Column, Elements, Memory

LIBRARIES = ("pandas", "polars")
STATES = {OK: "done", FAILED: "failed", SKIPPED: "skipped"}
_OWN = ("index", "result", "state", "error", "time", "left_out")
_ABSENT = {"left_out": 0}  # in the rows of steps that leave nothing out


def _memory(names: Iterable[str], columns: dict[str, Column], folder: str | None) -> Memory:
    """The columns of some steps, with all their values."""
    memory = Memory()
    memory.columns = {name: _loaded(columns[name], folder) for name in names}
    return memory


def _loaded(column: Column, folder: str | None) -> Column:
    if column.values is not None or folder is None:
        return column
    values: list[Any] = [None] * len(column.states)
    for at, value in Elements(folder, column.name).all(len(values)):
        values[at] = value
    return Column(column.name, column.shape, column.states, values, column.step, column.made, column.seconds)


def frame(
    steps: Mapping[str, Node | None],
    columns: dict[str, Column],
    folder: str | None,
    library: str | None,
    output: str | None = None,
) -> Any:
    """A row for each call: of the one step that gives ``output``, with a column for each of its inputs; without that of each
    step, with ``step``, and ``inputs`` as a dict.  Where there is no node of a step its inputs are not known.

    Raises ImportError where there is neither library, or not the one that was asked for.
    """
    made = _library(library)
    rows: list[dict[str, Any]] = []
    for name, node in steps.items():
        shown = output or name
        memory = _memory({*(node.predecessors if node is not None else ()), name, shown}, columns, folder)
        for inputs, told in _calls(name, node, shown, memory, _seconds(columns[name], folder)):
            if output is not None:
                rows.append({**{f"{one} (input)" if one in _OWN else one: value for one, value in inputs.items()}, **told})
            else:
                rows.append({"step": name, **({"inputs": inputs} if node is not None else {}), **told})
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(_OWN[:5])
    return made.DataFrame({name: _series(made, name, [row.get(name, _ABSENT.get(name)) for row in rows]) for name in names})


def _library(name: str | None) -> Any:
    if name is not None and name not in LIBRARIES:
        raise ValueError(f"library is one of {', '.join(map(repr, LIBRARIES))}, not {name!r}")
    for one in (name,) if name is not None else LIBRARIES:
        try:
            return importlib.import_module(one)
        except ImportError:
            continue
    raise ImportError(f"to_frame() makes a frame of {name or 'pandas or polars'}, which is not installed")


def _series(library: Any, name: str, values: list[Any]) -> Any:
    """One column, in which a value stays what it is: a missing one makes no number of another type, an object no text."""
    if library.__name__ == "pandas":
        return library.Series(values, name=name, dtype=object if not values or any(value is None for value in values) else None)
    try:
        return library.Series(name, values, strict=True)
    except Exception:
        return library.Series(name, values, dtype=library.Object)


def _seconds(column: Column, folder: str | None) -> dict[int, float]:
    """What each call took that was made, in this run or in an earlier one of the folder."""
    found = {at: one for at, one in enumerate(column.seconds) if one == one}  # the others are no numbers
    if folder is not None and len(found) < column.states.count(OK) + column.states.count(FAILED):
        found = {**dict(Elements(folder, column.name).seconds(len(column.states))), **found}
    return {at: float(f"{one:.6g}") for at, one in found.items()}


def _calls(
    name: str, node: Node | None, output: str, memory: Memory, seconds: dict[int, float]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The inputs of each call by name, as far as they are known, and what became of it."""
    column, shown = memory.columns[name], memory.columns[output]
    work = Work(node, memory, CONTINUE, containers=False) if node is not None else None
    for at, made in enumerate(column.states):
        source, state = (column, made) if made != OK else (shown, shown.states[at])
        value = memory.read(source, at, at + 1)[0] if state in STATES else None
        index = unravelled(at, column.shape)
        told = {
            "index": index[0] if len(index) == 1 else index,
            "result": value if state == OK else None,
            "state": STATES.get(state, "not called"),
            "error": None if state == OK or value is None else _error(value),
            "time": seconds.get(at) if made in (OK, FAILED) else None,
        }
        if any(made.left_out for made in column.made.values()):
            told["left_out"] = column.made[at].count if at in column.made else 0
        yield work.call(at).named if work is not None else {}, told


def _error(value: Any) -> str:
    return headline(value.exception) if isinstance(value, ErrorSnapshot) else str(getattr(value, "reason", value))
