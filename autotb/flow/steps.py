"""What a flow consists of: steps, and the outputs that stand for their results before there are any.

Flows in: functions and options, checked here.  Flows out: :class:`Step`, :class:`Output`, :class:`Node`.
"""

from __future__ import annotations

import functools
import inspect
import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from autotb.flow import left_out
from autotb.flow.attempts import ONCE, UNSET, Policy, several
from autotb.flow.binding import Names
from autotb.flow.left_out import SKIP
from autotb.flow.snapshots import PropagatedErrorSnapshot, is_error
from autotb.record import callsite, safe_repr

if TYPE_CHECKING:
    from autotb.record.schema import Place

ELEMENT, MAP = "element", "map"


@dataclass(frozen=True)
class Step:
    """A function with what is to be known of its calls; see :func:`step`."""

    function: Callable[..., Any]
    name: str
    resources: Any = None
    resources_scope: str = ELEMENT
    resources_variable: str | None = None
    cache: bool | str = False
    chunksize: int | None = None
    policy: Policy = ONCE
    on_error: str = SKIP

    def __repr__(self) -> str:
        return f"<step {self.name}>"

    @property
    def is_plain(self) -> bool:
        """Whether nothing has to be looked at call by call."""
        return not callable(self.resources) and not self.cache

    @property
    def takes_wholes(self) -> bool:
        """Whether a map of it is to know all its inputs: to ask once what it needs."""
        return callable(self.resources) and self.resources_scope == MAP

    def check(self, count: int, constants: Iterable[str]) -> None:
        """Whether it can be called with so many positional arguments and these keywords.  Raises TypeError."""
        injected = [self.resources_variable] if self.resources_variable is not None else []
        names = [*constants]
        if self.resources_variable in names:
            raise TypeError(f"{self.name}: {injected[0]!r} is given here, and by resources_variable too: leave one out")
        names += injected
        try:
            Names(self.function).check(self.name, count, names)
        except TypeError as error:
            raise TypeError(f"{error}{_belonging(names, self)}") from None

    def tried(self, constants: dict[str, Any], **options: Any) -> tuple[Step, dict[str, Any]]:
        """The step with options of its policy, and the constants of its calls: an option that the function has as a parameter of
        its own is the function's.  Raises TypeError and ValueError for what cannot be meant."""
        given = {name: value for name, value in options.items() if value is not UNSET}
        if not given:
            return self, constants
        names = Names(self.function)
        theirs = {name: value for name, value in given.items() if names.takes(name)}
        ours = {name: value for name, value in given.items() if name not in theirs}
        return replace(self, policy=self.policy.changed(**ours)), {**constants, **theirs}

    def giving(self, outputs: int | None) -> Step:
        """The step whose calls give so many values.  Raises ValueError for what is no number of outputs."""
        if outputs is None:
            return self
        if not isinstance(outputs, int) or isinstance(outputs, bool) or outputs < 1:
            raise ValueError(f"outputs is how many values a call gives, at least 1, not {outputs!r}")
        return replace(self, policy=replace(self.policy, outputs=outputs))


def _belonging(names: Iterable[str], step: Step) -> str:
    """Where an argument belongs that a function does not take, as it is an option: what is to be written."""
    takes = Names(step.function).takes
    for name in names:
        for options, where in _OPTIONS:
            if name in options and not takes(name):
                return f"; {name} is an option of {where.format(step.name, name)}"
    return ""


def step(
    fn: Callable[..., Any],
    *,
    name: str | None = None,
    resources: Mapping[str, Any] | Callable[[dict[str, Any]], Any] | None = None,
    resources_scope: str = ELEMENT,
    resources_variable: str | None = None,
    cache: bool | str = False,
    chunksize: int | None = None,
    timeout: float | None = None,
    retries: int = 0,
    retry_on: type[Exception] | tuple[type[Exception], ...] = Exception,
    wait: float = 0.1,
    on_error: str = SKIP,
) -> Step:
    """A function with options, for ``Flow.map`` and ``Flow.call``.

    Args:
        fn: the function.
        name: what its output is called; by default the function's own name.
        resources: what a call needs, in the engine's own terms (``{"num_cpus": 2}`` for Ray, ``{"GPU": 1}`` for Dask, a
            ``parsl_resource_specification`` for Parsl), or a function that says so: it is given one dict of the call's keyword
            arguments.
        resources_scope: ``"element"`` asks that function once a call, ``"map"`` once a map, with the whole arrays.
        resources_variable: the parameter of ``fn`` that is given the resources.
        cache: whether results are taken from the flow's cache and put there; a text is used instead of the function's own
            identity (module, name and bytecode; its defaults, the variables of functions around it, the object of a method).
        chunksize: how many calls of a map are sent at once; by default as many as take a fraction of a second, and 1 where each
            call has resources of its own.
        timeout: seconds that an attempt of a call may take.  Then it is given up, and has failed of a TimeoutError; as a thread
            cannot be stopped, what it does goes on to its end in a thread of its worker.
        retries: how many more attempts a call has that fails.
        retry_on: types of the errors that are worth another attempt.
        wait: seconds before the second attempt; doubled for each further one, up to 5.
        on_error: what becomes of a call some of whose inputs are errors, in ``"continue"`` mode.  ``"skip"``: it is not made.
            ``"drop"``: errors are left out of the lists, dicts and arrays that it takes; one that is an argument by itself cannot
            be left out, and the call is not made.  ``"pass"``: it is given the errors themselves.  ``Results.left_out`` has what
            was left out, or passed on.

    Raises TypeError and ValueError for what is none of these.
    """
    _check_function(fn)
    if resources is not None and not callable(resources) and not isinstance(resources, Mapping):
        raise TypeError(f"resources is a mapping, or a function that gives one, not {resources!r}")
    if resources_scope not in (ELEMENT, MAP):
        raise ValueError(f'resources_scope is "element" or "map", not {resources_scope!r}')
    if resources_variable is not None and resources is None:
        raise ValueError(f"resources_variable={resources_variable!r} is given resources, but there are none: give resources too")
    policy = Policy().changed(timeout=timeout, retries=retries, retry_on=retry_on, wait=wait)
    chunksize = checked_chunksize(chunksize)
    on_error = left_out.checked(on_error)
    return Step(fn, name or name_of(fn), resources, resources_scope, resources_variable, cache, chunksize, policy, on_error)


_FLOWS = "executor error_handling schedule run_folder resume retry_failed cache return_results scan progress"
_OPTIONS = (
    (frozenset(inspect.signature(step).parameters) - {"fn"}, "the step: autotb.step({}, {}=…)"),
    (frozenset(_FLOWS.split()), "the flow: autotb.Flow({1}=…)"),
    (frozenset({"over", "product", "outputs"}), "flow.map: flow.map({}, …, {}=…)"),
)


def as_step(fn: Any) -> Step:
    """The step itself, or that of a bare function."""
    if isinstance(fn, Step):
        return fn
    _check_function(fn)
    return Step(fn, name_of(fn))  # there may be thousands


def _check_function(fn: Any) -> None:
    if isinstance(fn, Step):
        raise TypeError(f"autotb.step takes a function, and {fn!r} is a step already: give all its options at once")
    if not callable(fn):
        raise TypeError(f"a step is a function, not {fn!r}")
    if inspect.iscoroutinefunction(fn):
        raise TypeError(f"{fn!r} is a coroutine function, which a worker would have to await: give a function that runs it")


def checked_chunksize(chunksize: Any) -> int | None:
    """The number itself.  Raises ValueError for what is no number of calls."""
    if chunksize is not None and (not isinstance(chunksize, int) or isinstance(chunksize, bool) or chunksize < 1):
        raise ValueError(f"chunksize is a number of calls, at least 1, not {chunksize!r}")
    return chunksize


def name_of(fn: Any) -> str:
    """What a function calls itself; a partial goes by the function that it wraps."""
    name = getattr(fn, "__name__", None)
    if not isinstance(name, str):
        inner = getattr(fn, "func", None)
        name = name_of(inner) if callable(inner) and inner is not fn else type(fn).__name__
    return name


class Output:
    """Stands for what a step of a flow will have given: the argument of another step, and the key of its result."""

    __slots__ = ("flow", "name")

    def __init__(self, flow: object, name: str) -> None:
        self.flow, self.name = flow, name

    def __repr__(self) -> str:
        return f"<output of {self.name}>"

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            f"{self!r} stands for a result that is not there yet, and cannot be gone through or unpacked: a step whose calls "
            "give two values has two outputs with outputs=2; results[output] is what it came to, after flow.run()"
        )

    def __getitem__(self, at: Any) -> Any:
        raise TypeError(
            f"{self!r} stands for a result that is not there yet, of which {at!r} cannot be taken: do that in a step, or give "
            "outputs=2 to a step whose calls give two values; results[output] is what it came to, after flow.run()"
        )


class Part:
    """Takes one of the values that a step with several outputs gave; to the user it is that output, not a call of theirs.  An
    error that the step gave in place of them is each of them.

    Raises TypeError and ValueError where they are not so many.
    """

    def __init__(self, name: str, at: int, count: int) -> None:
        self.name, self.at, self.count = name, at, count
        self.__name__ = self.__qualname__ = f"{name}[{at}]"
        parameter = name if name.isidentifier() and not keyword.iskeyword(name) else "values"
        self.__signature__ = inspect.Signature([inspect.Parameter(parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD)])

    def __call__(self, values: Any) -> Any:
        if is_error(values):
            return values
        return several(values, self.count, self.name)[self.at]  # a cache may have other values

    def __reduce__(self) -> Any:
        return Part, (self.name, self.at, self.count)


safe_repr.named[Part] = lambda one: one.__name__


def of_call(value: Any) -> Any:
    """What one of several outputs came to; of a call that gave none what stands in place of that call."""
    if type(value) is not PropagatedErrorSnapshot or type(value.skipped_function) is not Part or len(value.sources) != 1:
        return value
    ((found,),) = [source.read(()) for source in value.sources.values()]
    return found


class Nest:
    """A list, tuple or dict of the user's that holds outputs, at some depth: ``items`` are its values, those that hold some as
    nests of their own."""

    __slots__ = ("items", "kind", "names")

    def __init__(self, kind: type, names: list[Any] | None, items: list[Any]) -> None:
        self.kind, self.names, self.items = kind, names, items

    def __len__(self) -> int:
        return len(self.items)

    def outputs(self) -> Iterator[Output]:
        """All that it holds."""
        for item in self.items:
            if isinstance(item, Nest):
                yield from item.outputs()
            elif isinstance(item, Output):
                yield item

    def filled(self, values: list[Any], leaves: Sequence[int] = ()) -> Any:
        """The user's container, with values in the place of its items, without some of them."""
        kept = [at for at in range(len(values)) if at not in leaves]
        if self.names is not None:
            return {self.names[at]: values[at] for at in kept}
        return self.kind([values[at] for at in kept])


def nest_of(value: Any, depth: int = 5) -> Any:
    """The value itself, or the :class:`Nest` that it is; so many levels are looked at."""
    if not _holds_outputs(value, depth):
        return value
    items = [nest_of(item, depth - 1) for item in _items(value)]
    return Nest(type(value), list(value) if type(value) is dict else None, items)


def _holds_outputs(value: Any, depth: int) -> bool:
    """Nothing is copied for it: a map may have a million elements."""
    if type(value) not in (list, tuple, dict) or not depth:
        return False
    items = _items(value)
    return any(type(item) is Output for item in items) or (depth > 1 and any(_holds_outputs(item, depth - 1) for item in items))


def _items(value: Any) -> Any:
    return value.values() if type(value) is dict else value


@dataclass(frozen=True)
class Node:
    """A step in its place: ``inputs`` are its positional arguments (a map's: one for each axis or column), ``constants`` those by
    name; each a value, an :class:`Output` or a :class:`Nest`.  ``site`` is where the user made it, ``over`` the axes along which
    outputs of several dimensions are taken."""

    name: str
    step: Step
    is_map: bool
    inputs: tuple[Any, ...]
    constants: dict[str, Any]
    product: bool
    predecessors: frozenset[str]
    generation: int
    site: callsite.Site | None = None
    over: tuple[int, ...] | None = None

    @functools.cached_property
    def place(self) -> Place | None:
        """The user's line that made it: path, line, name."""
        try:
            return callsite.decode(self.site)
        except Exception:
            return None  # a nicety of the story

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "place": self.place, "site": None}  # a site has code in it, which cannot be pickled


def user_site() -> callsite.Site | None:
    """Where the user's code calls us."""
    try:
        return callsite.here(2)
    except Exception:
        return None  # as above
