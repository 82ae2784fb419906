"""``Flow``: steps that take each other's outputs, run on one executor; errors stop it, or are values that are passed on.

Flows in: functions, inputs, options.  Flows out: :class:`~autotb.flow.results.Results`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, overload

from autotb.flow import executors, notebook, scheduler, streams
from autotb.flow import over as along
from autotb.flow.attempts import UNSET
from autotb.flow.cache import Cache
from autotb.flow.context import RAISE, check_mode
from autotb.flow.plot import Plot
from autotb.flow.progress import listener
from autotb.flow.results import Results, counted_steps
from autotb.flow.scheduler import Running
from autotb.flow.schedules import SCHEDULES
from autotb.flow.snapshots import ErrorSnapshot
from autotb.flow.step_inputs import shape_of
from autotb.flow.steps import Nest, Node, Output, Part, Step, as_step, nest_of, user_site
from autotb.flow.store import Folder, Memory, refuse_existing

Progress = Callable[[int, int, int, int], object]
Types = type[Exception] | tuple[type[Exception], ...]
VALUES, CONTAINERS = "values", "containers"


class Flow:
    """Steps that take each other's outputs, run together.

    Args:
        executor: where calls run: any ``concurrent.futures.Executor``, ``"threads"``, ``"processes"``, ``"ray"``, a Dask
            ``Client``, or Parsl's ``DataFlowKernel``.
        error_handling: ``"raise"``: the first exception of a step is raised, with its own type.  ``"continue"``: it becomes an
            ``ErrorSnapshot`` in the place of the call's result; calls that would take it are not made, a
            ``PropagatedErrorSnapshot`` stands for each, and everything else goes on.
        schedule: ``"eager"``: a step begins when the steps are done whose outputs it takes; ``"generation"``: when all steps are
            done that are fewer steps from the start.
        run_folder: where results and errors are kept.  It must not exist, or be empty, unless ``resume``.
        resume: go on with the run in the folder: only what is missing is called.  Its files are unpickled, which runs what they
            say: resume only what you trust as you trust code.
        retry_failed: call again what failed in the run that is resumed, and what is damaged in its folder, all of which is read.
        cache: a folder or a mapping for the results of steps with ``cache=True``; by default they are kept as long as the flow.
        return_results: with False results stay in the run folder, written by the workers, and are read when they are asked for.
        scan: ``"values"`` looks for errors among arguments and in arrays; ``"containers"`` also one level into lists, tuples and
            dicts.
        progress: None for a table of the steps on a terminal, False for none, or a function that is called with (done, failed,
            skipped, total): how many calls are settled, how many of these failed, how many were skipped, and how many there are.

    ``error_snapshot`` is the newest snapshot of a call that failed, ``results`` are those of the newest run that came to its end.

    Raises ValueError and TypeError for other values of these, and FileExistsError for a run folder that exists.
    """

    error_snapshot: ErrorSnapshot | None = None
    results: Results | None = None

    def __init__(
        self,
        executor: Any = "threads",
        *,
        error_handling: str = RAISE,
        schedule: str = "eager",
        run_folder: str | os.PathLike[str] | None = None,
        resume: bool = False,
        retry_failed: bool = False,
        cache: str | os.PathLike[str] | MutableMapping[Any, Any] | None = None,
        return_results: bool = True,
        scan: str = VALUES,
        progress: Progress | bool | None = None,
    ) -> None:
        executors.check(executor)
        self._executor, self._mode = executor, check_mode(error_handling)
        if schedule not in SCHEDULES:
            raise ValueError(f'schedule is "eager" or "generation", not {schedule!r}')
        if scan not in (VALUES, CONTAINERS):
            raise ValueError(f'scan is "values" or "containers", not {scan!r}')
        if run_folder is None and not return_results:
            raise ValueError("return_results=False leaves the results in a run folder: give run_folder too")
        if run_folder is None and resume:
            raise ValueError("resume=True goes on with the run in a folder: give run_folder too")
        if retry_failed and not resume:
            raise ValueError("retry_failed=True calls again what failed in the run that is resumed: give resume=True too")
        if run_folder is not None and not resume:
            refuse_existing(os.fspath(run_folder))
        check_progress(progress)
        self._schedule, self._containers, self._progress = schedule, scan == CONTAINERS, progress
        self._folder = None if run_folder is None else os.path.abspath(run_folder)
        self._resume, self._retry_failed, self._return_results = resume, retry_failed, return_results
        self._cache, self._has_cache = Cache(cache), cache is not None
        self._nodes: dict[str, Node] = {}
        self._tallies: Mapping[str, Any] = {}  # of the newest run
        self._named: dict[str, int] = {}  # how often a name was given
        self._shapes: dict[str, tuple[int, ...] | None] = {}  # None: known when it runs
        self._dimensions: dict[str, int] = {}

    @overload
    def map(
        self,
        step: Step | Callable[..., Any],
        /,
        *iterables_or_outputs: Any,
        product: bool = ...,
        outputs: None = ...,
        over: int | tuple[int, ...] | None = ...,
        timeout: float | None = ...,
        retries: int = ...,
        retry_on: Types = ...,
        wait: float = ...,
        **constants: Any,
    ) -> Output: ...
    @overload
    def map(
        self,
        step: Step | Callable[..., Any],
        /,
        *iterables_or_outputs: Any,
        product: bool = ...,
        outputs: int,
        over: int | tuple[int, ...] | None = ...,
        timeout: float | None = ...,
        retries: int = ...,
        retry_on: Types = ...,
        wait: float = ...,
        **constants: Any,
    ) -> tuple[Output, ...]: ...
    def map(
        self,
        step: Step | Callable[..., Any],
        /,
        *iterables_or_outputs: Any,
        product: bool = False,
        outputs: int | None = None,
        over: int | tuple[int, ...] | None = None,
        timeout: float | None = UNSET,
        retries: int = UNSET,
        retry_on: Types = UNSET,
        wait: float = UNSET,
        **constants: Any,
    ) -> Output | tuple[Output, ...]:
        """One call of the step for each element of the inputs, side by side, or with ``product`` for each combination of them.

        Inputs are iterables, or outputs of this flow, which are taken element by element; an error among them is passed on alone.
        ``constants`` are the same for all calls; an output among them is taken whole, and so is one inside a list, tuple or dict.
        With ``outputs=2`` each call gives two values, and what is returned is two outputs, each of them mapped by itself.
        ``timeout``, ``retries``, ``retry_on`` and ``wait`` are those of :func:`autotb.step`; one that is a parameter of the
        function is given to the function.

        Of an output of two dimensions or more ``over`` says what a call takes: ``over=1`` the elements along axis 1 as a list (so
        that the result has the shape which ``numpy.mean(array, axis=1)`` has), ``over=(0, 1)`` those along both as a nested list,
        ``over=()`` each element by itself.  Inputs of one dimension beside it are taken element by element; one of fewer
        dimensions than what is left of it has the shape of its last axes, and is broadcast along the others, as numpy does it.

        Returns an :class:`Output`, or a tuple of them.

        Raises TypeError where the step cannot be called so, and ValueError where the inputs have different lengths, or more
        dimensions than are spoken of.
        """
        axes = along.checked(over)
        made, constants = as_step(step).tried(constants, timeout=timeout, retries=retries, retry_on=retry_on, wait=wait)
        made = made.giving(outputs)
        if not iterables_or_outputs:
            raise TypeError(f"{made.name}: map takes at least one iterable or output after the step{same_for_all(constants)}")
        inputs = tuple([self._input(made, one, product) for one in iterables_or_outputs])
        found = self._added(made, True, inputs, constants, product, axes)
        has_axes = self._dimensions[found.name] > 0  # none is left where all are taken at once
        return self._parts(found, outputs, functools.partial(self.map, over=()) if has_axes else self.call)

    @overload
    def call(
        self,
        step: Step | Callable[..., Any],
        /,
        *args_or_outputs: Any,
        outputs: None = ...,
        timeout: float | None = ...,
        retries: int = ...,
        retry_on: Types = ...,
        wait: float = ...,
        **kwargs: Any,
    ) -> Output: ...
    @overload
    def call(
        self,
        step: Step | Callable[..., Any],
        /,
        *args_or_outputs: Any,
        outputs: int,
        timeout: float | None = ...,
        retries: int = ...,
        retry_on: Types = ...,
        wait: float = ...,
        **kwargs: Any,
    ) -> tuple[Output, ...]: ...
    def call(
        self,
        step: Step | Callable[..., Any],
        /,
        *args_or_outputs: Any,
        outputs: int | None = None,
        timeout: float | None = UNSET,
        retries: int = UNSET,
        retry_on: Types = UNSET,
        wait: float = UNSET,
        **kwargs: Any,
    ) -> Output | tuple[Output, ...]:
        """One call of the step.  An output is taken whole: that of a map is a list, nested for more than one dimension; so is one
        inside a list, tuple or dict.  With ``outputs=2`` the call gives two values: ``train, test = flow.call(split, rows,
        outputs=2)``.  ``timeout``, ``retries``, ``retry_on`` and ``wait`` are as for :meth:`map`.

        Returns an :class:`Output`, or a tuple of them.

        Raises TypeError where the step cannot be called so.
        """
        made, kwargs = as_step(step).tried(kwargs, timeout=timeout, retries=retries, retry_on=retry_on, wait=wait)
        return self._parts(self._added(made.giving(outputs), False, args_or_outputs, kwargs, False), outputs, self.call)

    def run(self) -> Results:
        """Run all steps, and wait for them.

        Raises the first exception of a step in raise mode; in both modes what the executor or the store raise for themselves.
        Raises RuntimeError inside a running event loop, which it would block: there, await :meth:`run_async`.  In a notebook it
        blocks the cell, as anything else does.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            if not notebook.is_one():
                raise RuntimeError("an event loop is running here, which run() would block: use await flow.run_async()")
        heard = listener(self._progress)
        with heard:
            one = self._running(heard.tell)
            heard.begin(one.tallies)
            scheduler.drive(one)
        return self._results(one, heard)

    def iterate(self, output: Output) -> Iterator[Any]:
        """:meth:`run`, as far as the results of one step are asked for: they come in order, those of a product one after the
        other, while the other steps run as well.  With the last one the run is at its end, and ``results`` has all.

        Who leaves it before its end, or closes it, cancels what is not begun.  Raises as :meth:`run` does, and KeyError for what
        is no output of this flow; where a step's exception is raised, the results before it that are there come first.
        """
        if not isinstance(output, Output) or output.flow is not self:
            raise KeyError(f"{output!r} is no output of this flow")
        return self._iterated(output.name)

    def _iterated(self, name: str) -> Iterator[Any]:
        heard = listener(self._progress)
        with heard:
            one = self._running(heard.tell)
            heard.begin(one.tallies)
            yield from scheduler.iterate(one, name)
        self._results(one, heard)

    async def run_async(self) -> Results:
        """:meth:`run`, awaited: other tasks of the event loop run meanwhile."""
        heard = listener(self._progress)
        with heard:
            one = self._running(heard.tell)
            heard.begin(one.tallies)
            await scheduler.drive_async(one)
        return self._results(one, heard)

    def __repr__(self) -> str:
        return f"<flow of {counted_steps(self._nodes)}>"

    def plot(self) -> Plot:
        """The steps and what they take from each other, as a picture; after a run with its counts.

        ``print`` it for Mermaid's text, which GitHub and documentation tools draw; ``plot().dot`` is Graphviz's.
        """
        return Plot(self._nodes.values(), self._tallies)

    def _running(self, tell: Any) -> Running:
        self._tell_of_cache()
        store = (
            Memory()
            if self._folder is None
            else Folder(self._folder, self._return_results, self._resume, checks_all=self._retry_failed)
        )
        try:
            running = Running(
                list(self._nodes.values()),
                self._executor,
                self._mode,
                store,
                shapes=self._shapes,
                schedule=self._schedule,
                cache=self._cache,
                containers=self._containers,
                retry_failed=self._retry_failed,
                owners=(self,),
                tell=tell,
            )
            self._tallies = running.tallies
            return running
        except BaseException:
            store.close()
            raise

    def _tell_of_cache(self) -> None:
        """A cache that was given and that no step uses is an oversight."""
        if self._has_cache and self._nodes and not any(node.step.cache for node in self._nodes.values()):
            warnings.warn(
                "this flow has a cache, and none of its steps uses it: give those that should autotb.step(function, cache=True)",
                UserWarning,
                stacklevel=4,
            )

    def _results(self, one: Running, heard: Any) -> Results:
        columns = {name: one.store.columns[name] for name in self._nodes}
        self.results = results = Results(self, columns, one.tallies, one.store.folder, dict(self._nodes))
        heard.finish(results)
        return results

    def _input(self, step: Step, value: Any, product: bool) -> Any:
        if isinstance(value, Output):
            return value
        if isinstance(value, (str, bytes)) or not is_iterable(value):
            raise TypeError(f"{step.name}: map takes iterables and outputs, not {value!r}; give constants by name")
        return list(value) if product or step.takes_wholes or not streams.is_one(value) else streams.of(value)

    def _added(
        self,
        step: Step,
        is_map: bool,
        inputs: tuple[Any, ...],
        constants: dict[str, Any],
        product: bool,
        over: tuple[int, ...] | None = None,
    ) -> Output:
        inputs = tuple([nest_of(value, 1 if is_map else 5) for value in inputs])
        constants = {name: nest_of(value) for name, value in constants.items()}
        before = frozenset(one.name for value in (*inputs, *constants.values()) for one in self._outputs(step, value))
        step.check(len(inputs), constants)
        if is_map:
            names = [one.name for one in inputs if isinstance(one, Output)]
            along.check(step.name, over, {one: (self._dimensions[one], self._shapes[one]) for one in names})
        shape = self._shape(step, inputs, product, over) if is_map else ()
        name = step.name
        while name in self._nodes:
            self._named[step.name] = count = self._named.get(step.name, 1) + 1
            name = f"{step.name}#{count}"
        generation = 1 + max((self._nodes[one].generation for one in before), default=0)
        self._nodes[name] = Node(name, step, is_map, inputs, constants, product, before, generation, user_site(), over)
        self._shapes[name] = shape
        self._dimensions[name] = self._counted(inputs, product, over) if is_map else 0
        return Output(self, name)

    def _parts(self, output: Output, count: int | None, add: Callable[..., Any]) -> Output | tuple[Output, ...]:
        """The output itself, or as many as its step gives values, each by a step of its own."""
        if count is None:
            return output
        return tuple([add(Step(Part(output.name, at, count), f"{output.name}[{at}]"), output) for at in range(count)])

    def _outputs(self, step: Step, value: Any) -> list[Output]:
        """The outputs that an argument is or holds.  Raises ValueError for one of another flow."""
        found = list(value.outputs()) if isinstance(value, Nest) else [value] if isinstance(value, Output) else []
        for output in found:
            if output.flow is not self:
                raise ValueError(f"{step.name}: {output!r} is of another flow")
        return found

    def _shape_of(self, value: Any, over: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if isinstance(value, streams.Stream):
            return None
        return self._axis(value, over) if isinstance(value, Output) else (len(value),)

    def _shape(self, step: Step, inputs: tuple[Any, ...], product: bool, over: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """The shape of a map, where it is known by now.  Raises ValueError where it has none."""
        shapes = [self._shape_of(one, over) for one in inputs]
        known = [shape for shape in shapes if shape is not None]
        if len(known) < len(shapes) and (product or not known):
            return None
        found = shape_of(step.name, known, product)
        return found if len(known) == len(shapes) else None

    def _axis(self, output: Output, over: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """The shape of an output as an axis of a map; what a single call will give is not known."""
        shape = self._shapes[output.name]
        if over and shape and self._dimensions[output.name] > 1:
            return along.left(shape, over)
        return shape or None

    def _counted(self, inputs: tuple[Any, ...], product: bool, over: tuple[int, ...] | None) -> int:
        """How many dimensions a map has."""
        counts = []
        for one in inputs:
            count = max(self._dimensions[one.name], 1) if isinstance(one, Output) else 1  # a single call gives one, so to say
            counts.append(count - len(over) if over and count > 1 else count)
        return sum(counts) if product else max(counts)


def same_for_all(constants: Mapping[str, Any]) -> str:
    """What to add to an error of a map that has only constants."""
    named = ", ".join(f"{name}=…" for name in constants)
    return f"; {named}, given by name, {'are' if len(constants) > 1 else 'is'} the same for all calls" if constants else ""


def is_iterable(value: Any) -> bool:
    """Also what has a length and elements alone, as the arrays of some stores do."""
    return isinstance(value, Iterable) or all(hasattr(type(value), name) for name in ("__len__", "__getitem__"))


def check_progress(progress: Any) -> None:
    """Raises TypeError for what is no way to tell of progress."""
    if progress not in (None, False, True) and not callable(progress):
        raise TypeError(f"progress is None, False or a function of (done, failed, skipped, total), not {progress!r}")
