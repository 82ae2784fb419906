"""What a flow came to: a result for each step, and what there is to say of all of them.

Flows in: the columns of a run, the counts.  Flows out: values, errors, root causes, a table of the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from autotb.flow.context import given_errors, unravelled
from autotb.flow.left_out import Made
from autotb.flow.packing import headline
from autotb.flow.snapshots import ErrorInfo, ErrorSnapshot, PropagatedErrorSnapshot
from autotb.flow.steps import Node, Output
from autotb.flow.store import Column, Elements, Lazy, nested
from autotb.flow.tallies import displayed

if TYPE_CHECKING:
    from autotb.trace.failure_groups import Groups


class Results(Mapping[Any, Any]):
    """The results of a flow by output or by the step's name: a map's is a list (nested for more than one dimension), or a lazy
    sequence over the run folder where results were not to be returned; a call's is its value; errors stand among them.

    ``str()`` has the table of the steps and the root causes, grouped; so has the page of a notebook where it is a cell's value.
    """

    def __init__(
        self, flow: object, columns: dict[str, Column], tallies: dict[str, Any], folder: str | None, nodes: dict[str, Node]
    ) -> None:
        self._flow, self._columns, self.tallies, self.run_folder, self._nodes = flow, columns, tallies, folder, nodes
        self._made: dict[str, Any] = {}

    def __getitem__(self, key: Output | str) -> Any:
        name = self._name(key)
        if name not in self._made:
            self._made[name] = self._value(self._columns[name])
        return self._made[name]

    def _name(self, key: Any) -> str:
        name = key.name if isinstance(key, Output) else key
        if isinstance(key, Output) and key.flow is not self._flow:
            raise KeyError(f"{key!r} is of another flow")
        if not isinstance(name, str) or name not in self._columns:
            known = ", ".join(map(repr, self._columns)) or "none"
            how = "" if isinstance(key, (str, Output)) else "; an output is the key of its result, or its name"
            raise KeyError(f"{name!r} is no step of this run; there are {known}{how}")
        return str(name)

    def _value(self, column: Column) -> Any:
        if column.values is not None:
            return nested(column.values, column.shape)
        assert self.run_folder is not None
        if column.shape:
            return Lazy(self.run_folder, column.name, column.shape)
        return next(Elements(self.run_folder, column.name).read(0, 1))

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, key: object) -> bool:
        return (isinstance(key, Output) and key.flow is self._flow and key.name in self._columns) or key in self._columns

    def to_frame(self, step: Output | str | None = None, library: str | None = None) -> Any:
        """The calls as a data frame, a row each: its inputs by the names of the function's parameters, ``index``, ``result``,
        ``state`` (``done``, ``failed``, ``skipped``), ``error`` (``Type: message``, or why it was skipped) and ``time``: the
        seconds that the call took, all attempts together, in the worker; of calls of less than a millisecond the mean of some in
        a row; None where no call was made, or none by a version that kept it.

        Args:
            step: an output of the flow, or a step's name; None for all steps, whose inputs are one dict a row.
            library: ``"pandas"`` or ``"polars"``; by default the first of them that is installed.

        Of the results of a run folder alone (:func:`autotb.load`) there are no inputs.

        Raises KeyError for what is no step of the run, ImportError where there is no such library.
        """
        from autotb.flow import frame

        if step is not None or len(self._columns) == 1:
            output = self._name(step if step is not None else next(iter(self._columns)))
            names = [self._step_of(output)]
        else:  # what takes one of several outputs of a step is no call of the user's, unless it has failed itself
            output, names = None, [*displayed(self.tallies)]
        return frame.frame({name: self._nodes.get(name) for name in names}, self._columns, self.run_folder, library, output)

    def _step_of(self, name: str) -> str:
        """The step whose calls gave an output: of one of several that which has them all."""
        step = name.rpartition("[")[0]
        return step if self.tallies[name].is_part and step in self._columns else name

    @property
    def left_out(self) -> AllLeftOut:
        """The calls that were made in spite of errors among their inputs, as ``step(on_error=…)`` says, by output or by name: for
        each a :class:`~autotb.flow.results.LeftOut`, which has what was left out, or passed on."""
        return AllLeftOut(self)

    @property
    def has_errors(self) -> bool:
        """Whether anything failed or was skipped."""
        return any(tally.failed or tally.skipped for tally in self.tallies.values())

    def get_root_causes(self) -> list[ErrorSnapshot]:
        """The snapshots of all calls that failed, step by step, each once; with them those of requests for resources,
        and of errors that calls were given, or gave, and that no step of this flow has made."""
        found: dict[str, ErrorSnapshot] = {}
        for snapshot in self._failed():
            found.setdefault(snapshot.id, snapshot)
        return list(found.values())

    def _failed(self) -> Iterator[ErrorSnapshot]:
        seen: set[str] = set()  # errors that are told, and calls that were not made
        for name, column in self._columns.items():
            for error in self._errors(column):
                is_told = error.id in seen  # by the step of which this is one of several outputs, say
                seen.add(error.id)
                if isinstance(error, ErrorSnapshot):
                    if not is_told:
                        yield error
                    continue
                # What was skipped has no root of its own but a request for resources, which is no element of any step.
                yield from error.causes
                for root in self._of_elsewhere(name, error, seen):
                    if root.id not in seen:
                        seen.add(root.id)
                        yield root

    def _of_elsewhere(self, name: str, error: PropagatedErrorSnapshot, seen: set[str]) -> Iterator[ErrorSnapshot]:
        """The roots of a call that was not made, as far as they may be of no step of this flow."""
        node = self._nodes.get(name)
        is_result = node is not None and error.skipped_function is not node.step.function and error.run_folder is None
        if error.roots is not None or is_result:
            yield from error.get_root_causes()
            return
        for parameter in error.error_info:
            given = [error.attempted_kwargs.get(parameter), *given_errors(error.sources.get(parameter))]
            for one in given:
                if isinstance(one, (ErrorSnapshot, PropagatedErrorSnapshot)) and one.id not in seen:
                    yield from one.get_root_causes()

    def _errors(self, column: Column) -> Iterator[Any]:
        if column.values is not None:
            values = column.values
            return (values[at] for at in column.errors())
        assert self.run_folder is not None
        return Elements(self.run_folder, column.name).pick(column.errors())

    def __str__(self) -> str:
        from autotb import render

        return self.told(partial(render.as_text, with_hints=True))

    def _repr_html_(self) -> str:
        from autotb.flow import table

        return table.html(self.tallies) + table.causes(self._groups())

    def told(self, draw: Callable[[Any], str]) -> str:
        """The table and the root causes; ``draw`` makes text of a Trace."""
        from autotb.flow import table

        return table.text(self.tallies, self._groups().texts(draw))

    def _groups(self) -> Groups:
        """The root causes, grouped."""
        from autotb import render
        from autotb.trace.failure_groups import Groups

        groups = Groups()
        for snapshot in self._failed() if self.has_errors else ():
            error = snapshot.exception
            groups.add_error(error, headline(error), partial(render.explain, error))
        return groups

    def __repr__(self) -> str:
        return f"<results of {counted_steps(self)}>"


def counted_steps(names: Collection[str]) -> str:
    """``2 steps: load, clean``."""
    named = f": {', '.join(names)}" if names else ""
    return f"{len(names)} {'step' if len(names) == 1 else 'steps'}{named}"


class LeftOut:
    """A call that was made without some of its inputs, as they are errors; with ``passed`` it was given the errors themselves.

    ``index`` is the call's position in its step (``()`` for a single call), ``error_info`` says which arguments it was, and where
    in them: :class:`~autotb.ErrorInfo` by name."""

    def __init__(self, index: Any, made: Made, folder: str | None) -> None:
        self.index, self.passed, self._made, self._folder = index, made.passed, made, folder
        self.error_info = {name: _info(told) for name, told in made.left_out.items()}

    @property
    def count(self) -> int:
        """How many errors there were."""
        return self._made.count

    def get_root_causes(self) -> list[ErrorSnapshot]:
        """The snapshots of the calls that failed for which it is so, each once.

        They are read now.  Raises FileNotFoundError where the run folder is gone.
        """
        found: dict[str, ErrorSnapshot] = {}
        for error in self._errors():
            for root in error.get_root_causes() if isinstance(error, (ErrorSnapshot, PropagatedErrorSnapshot)) else ():
                found.setdefault(root.id, root)
        return list(found.values())

    def _errors(self) -> Iterator[Any]:
        for name, told in self._made.left_out.items():
            if name in self._made.sources:
                source, indices = self._made.sources[name]
                yield from source.read(indices)
            elif self._folder is not None:
                for step, ats in told["from"]:
                    yield from Elements(self._folder, step).pick(ats)

    def __repr__(self) -> str:
        told = ", ".join(f"{info.count} of {name}" for name, info in self.error_info.items())
        return f"<call {self.index}: {'given' if self.passed else 'without'} errors: {told}>"


def _info(told: dict[str, Any]) -> ErrorInfo:
    indices = told["indices"]
    return ErrorInfo(told["kind"], tuple(map(tuple, indices)) if indices is not None else None, told["count"])


class AllLeftOut(Mapping[Any, list[LeftOut]]):
    """``Results.left_out``: the steps that have such calls, with a list for each; of any other step the list is empty."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def __getitem__(self, key: Output | str) -> list[LeftOut]:
        column = self._results._columns[self._results._step_of(self._results._name(key))]
        return [
            LeftOut(_index(at, column.shape), made, self._results.run_folder)
            for at, made in sorted(column.made.items())
            if made.left_out
        ]

    def __iter__(self) -> Iterator[str]:
        return (name for name, column in self._results._columns.items() if any(made.left_out for made in column.made.values()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr({name: self[name] for name in self})


def _index(at: int, shape: tuple[int, ...]) -> Any:
    index = unravelled(at, shape)
    return index[0] if len(index) == 1 else index
