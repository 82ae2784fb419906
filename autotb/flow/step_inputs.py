"""One step of a run: its inputs, which are loaded when they are asked for, and its shape.

Flows in: a node of a flow, the columns of the steps before it.  Flows out: the arguments of each call, and what is known of them.
"""

from __future__ import annotations

import functools
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autotb.flow import cache, items, left_out, resources, streams
from autotb.flow.binding import Names
from autotb.flow.context import CONTINUE, Array, Element, ErrorContext, Held, ResourcesEval, Sources, scan, unravelled
from autotb.flow.left_out import DROP, PASS, SKIP, Lineage
from autotb.flow.messages import Elsewhere
from autotb.flow.over import Rows, sound
from autotb.flow.result_log import MISSING, OK
from autotb.flow.snapshots import ERRORS, ArrayReference, ErrorInfo, Noted
from autotb.flow.steps import MAP, Nest, Node, Output
from autotb.flow.store import Column, Lazy, Memory, OneOf, nested
from autotb.flow.stored import Mixed, Places, Stored, StoredInside, here, loaded

_AT_ONCE = 1_000  # elements whose places are asked for at once
MOST_LOADED = 100  # elements of a chunk whose inputs are loaded from a run folder


@dataclass
class Call:
    """One call: its arguments, the same by name, and what is known of those that are results of other steps."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    named: dict[str, Any]
    inputs: dict[str, Any]


class Given:
    """An axis of a map that the user gave."""

    def __init__(self, values: list[Any]) -> None:
        self.values, self.shape, self.is_loaded = values, (len(values),), True

    @functools.cached_property
    def kinds(self) -> set[type]:
        """The types of the values."""
        return {*map(type, self.values)}

    def take(self, ats: Sequence[int]) -> list[Any]:
        """The values at these places."""
        return _take(self.values, ats)

    def has_errors(self, _ats: Sequence[int]) -> bool:
        """Errors among what was given are seen by their type."""
        return False

    def is_error(self, at: int) -> bool:
        """Whether this value is one."""
        return isinstance(self.values[at], ERRORS)

    def element(self, _at: int) -> None:
        """Nothing is known of a value that was given."""

    def whole(self) -> tuple[Any, Any]:
        """All values, and where errors are among them."""
        is_sound = self.kinds.isdisjoint(ERRORS)
        errors = [] if is_sound else [at for at, value in enumerate(self.values) if isinstance(value, ERRORS)]
        return self.values, Array.of("", self.shape, errors, None)


class Gathered(Given):
    """An axis of a map that the user gave, and that holds outputs: each of them whole, an element of it."""

    def __init__(self, values: list[Any], known: list[Any]) -> None:
        super().__init__(values)
        self.known = known

    def is_error(self, at: int) -> bool:
        return _is_wrong(self.known[at]) or super().is_error(at)

    def has_errors(self, ats: Sequence[int]) -> bool:
        return any(_is_wrong(self.known[at]) for at in ats)

    def now(self, at: int, value: Any, known: Any) -> None:
        """One of them, now that it is read here."""
        self.values[at], self.known[at] = value, known
        vars(self).pop("kinds", None)

    def element(self, at: int) -> Any:
        """What is known of the output that stands there."""
        return self.known[at]


class Upstream:
    """An axis of a map that is what another map gave."""

    def __init__(self, store: Memory, column: Column, on_error: str = SKIP) -> None:
        self.store, self.column, self.shape, self.on_error = store, column, column.shape, on_error
        self.source = store.source(column)
        self.is_loaded = column.values is not None

    @functools.cached_property
    def kinds(self) -> set[type]:
        """The types of the values, where they are in memory."""
        return {*map(type, self.column.values or ())}

    def take(self, ats: Sequence[int]) -> list[Any]:
        """The values at these places; from a run folder they are loaded now, but for errors."""
        if self.column.values is not None:
            return _take(self.column.values, ats)
        if isinstance(ats, range) and ats.step == 1 and not self.has_errors(ats):
            return self.store.read(self.column, ats.start, ats.stop)
        return [self._loaded(at) for at in ats]

    def _loaded(self, at: int) -> Any:
        if self.column.states[at] != OK and self.on_error != PASS:
            return ArrayReference(f"<error at {at} of {self.column.name}>", ())
        return self.store.read(self.column, at, at + 1)[0]

    def has_errors(self, ats: Sequence[int]) -> bool:
        """Whether errors are among them."""
        states = self.column.states
        if isinstance(ats, range) and ats.step == 1:
            return states.count(OK, ats.start, ats.stop) != len(ats)
        return any(states[at] != OK for at in ats)

    def is_error(self, at: int) -> bool:
        """Whether this value is one."""
        return self.column.states[at] != OK

    def element(self, at: int) -> Element:
        """Whether a value is an error, and where it is found again."""
        is_error = self.is_error(at)
        return Element(is_error, OneOf(self.source, unravelled(at, self.shape)) if is_error else None)

    def whole(self) -> tuple[Any, Any]:
        """All values as a nested list, and where errors are among them; with errors they are not loaded."""
        array = Array.of(self.column.name, self.shape, self.column.errors(), self.source)
        if array.indices and self.on_error == DROP:
            return sound(self.store, self.column, range(len(self.column.states)), self.shape), array
        if array.indices and not self.is_loaded and self.on_error == SKIP:
            return ArrayReference(array.name, array.shape), array
        return nested(self.take(range(len(self.column.states))), self.shape), array


class Work:
    """A node whose inputs are there.  Raises ValueError and TypeError for inputs whose shapes do not fit."""

    def __init__(self, node: Node, store: Memory, mode: str, containers: bool) -> None:
        self.node, self.step, self.function = node, node.step, node.step.function
        self.on_error = node.step.on_error if mode == CONTINUE else SKIP
        self.store, self.mode, self.containers = store, mode, containers or self.on_error == DROP
        self.lineage = Lineage(store, self.on_error)
        self.begun = time.monotonic()
        self.is_warned = False
        self.unread: set[int] = set()  # elements whose inputs a worker could not read
        self.constants: dict[str, Any] = {}
        self.known: dict[str, Any] = {}
        for name, value in node.constants.items():
            self.constants[name], self.known[name] = self._whole(value)
        axes = [self._axis(value) for value in node.inputs] if node.is_map else []
        self.is_map = node.is_map and None not in axes  # over an error as a whole there is one call, which is not made
        self.axes = axes if self.is_map else []
        if node.is_map and not self.is_map:
            self.on_error = SKIP
            self.lineage.is_no_map()
        self.loads = bool(self.axes) and not all(axis.is_loaded for axis in self.axes)  # from a run folder, as the calls are made
        self.singles = [] if self.is_map else [self._whole(value) for value in node.inputs]
        is_flowing = any(isinstance(axis, streams.Flowing) for axis in self.axes)
        self.reader = streams.Reader(node.name, self._in_a_row(), store) if is_flowing else None
        self.shape = self._shape() if self.is_map else ()
        self.size = math.prod(self.shape)
        self._strides = [math.prod(self.shape[at + 1 :]) for at in range(len(self.shape))]
        self._map_resources: ResourcesEval | None = None

    def _shape(self) -> tuple[int, ...]:
        if self.reader is not None:
            return (0,)  # it grows
        return shape_of(self.node.name, [axis.shape for axis in self.axes], self.node.product)

    def _in_a_row(self) -> list[Any]:
        """The axes, which are to be of one dimension each.  Raises ValueError where one is not."""
        for axis in self.axes:
            if len(axis.shape) != 1:
                raise ValueError(f"{self.node.name}: the iterables have different lengths: {axis.shape}, a stream")
        return self.axes

    def _whole(self, value: Any, is_item: bool = False) -> tuple[Any, Any]:
        """An argument, and what is known of it; an ``is_item`` is one of those in a list, tuple or dict."""
        if isinstance(value, Nest):
            wholes = [self._whole(item, True) for item in value.items]
            errors = [at for at, (inner, known) in enumerate(wholes) if _is_wrong(known) or isinstance(inner, ERRORS)]
            held = Sources([_source(*wholes[at]) for at in errors])
            leaves = [at for at in errors if type(wholes[at][1]) is not Array] if self.on_error == DROP else []
            inners = [inner for inner, _ in wholes]
            is_stored = any(isinstance(inner, Elsewhere) for inner in inners)
            filled = StoredInside(value, inners, leaves) if is_stored else value.filled(inners, leaves)
            return filled, Array.of("", (len(wholes),), errors, held)
        if not isinstance(value, Output):
            return left_out.without(value) if self.on_error == DROP else (value, None)
        column = self.store.columns[value.name]
        self.lineage.whole(column)
        if self._is_read_as_a_whole(column, is_item):
            return self._stored_whole(column)
        if column.shape:
            return Upstream(self.store, column, self.on_error).whole()
        is_error = column.states[0] != OK
        source = OneOf(self.store.source(column), ()) if is_error else None
        if is_error and column.values is None and self.on_error != PASS:
            return ArrayReference(f"<error of {column.name}>", ()), Element(True, source)
        found = self.store.read(column, 0, 1)[0]
        if self.on_error == DROP and not is_error:
            found, known = left_out.without(found)
            return found, known or Element(False)
        return found, Element(is_error, source)

    def _is_read_as_a_whole(self, column: Column, is_item: bool) -> bool:
        """Whether workers read an output from the run folder, whole or without its errors."""
        if column.values is not None or not self.store.is_read_by_workers:
            return False
        if self.node.is_map and not self.step.is_plain:
            return False  # it is looked at here for each call: it is read once
        if self.on_error == DROP and not column.shape:  # a worker that finds errors in it says so
            return not (is_item or column.errors())
        if self.on_error == DROP:
            return len(column.shape) == 1 or not column.errors()
        return not column.errors() or (self.on_error == PASS and bool(column.shape))

    def _stored_whole(self, column: Column) -> tuple[Stored, Any]:
        """Where it stands, and which of it are errors."""
        parts = [range(at, min(at + _AT_ONCE, len(column.states))) for at in range(0, len(column.states), _AT_ONCE)]
        errors = column.errors() if column.shape else []
        dropped = frozenset(errors) if self.on_error == DROP else frozenset()
        places = Places(row for part in parts for row in self.store.places(column, part) if row[0] not in dropped)
        known = Array.of(column.name, column.shape, errors, self.store.source(column)) if column.shape else Element(False)
        return self._lying(column, [places], (len(places),) if dropped else column.shape or None), known

    def read_here(self, at: int) -> None:
        """A worker could not read the inputs of a call: those, and what is taken whole, are read here from now on."""
        self.unread.add(at)
        # Calls that are with the executor keep those that they were given: what is read here is looked at first.
        found = {name: self._here(value, self.known[name]) for name, value in self.constants.items()}
        self.constants = {name: value for name, (value, _) in found.items()}
        self.known = {name: known for name, (_, known) in found.items()}
        self.singles = [self._here(value, known) for value, known in self.singles]
        for axis, place in zip(self.axes, self._at(at), strict=True):
            if isinstance(axis, Gathered):
                axis.now(place, *self._here(axis.values[place], axis.known[place]))
        for kept in ("_of_constants", "_bad_constants"):
            vars(self).pop(kept, None)

    def _here(self, value: Any, known: Any) -> tuple[Any, Any]:
        """An argument that is read here now, and what is known of it."""
        found = here(value)
        if found is not value and self.on_error == DROP and type(known) is not Array:
            found, inside = left_out.without(found)
            return found, inside or known
        return found, known

    def _axis(self, value: Any) -> Any:
        """An axis of a map; None where what it was to be is an error."""
        if isinstance(value, Nest):
            self.lineage.along(None, None)
            wholes = [self._whole(item, True) for item in value.items]
            return Gathered([inner for inner, _ in wholes], [known for _, known in wholes])
        if not isinstance(value, Output):
            self.lineage.along(None, None)
            if isinstance(value, streams.Stream):
                return streams.Flowing(value)
            return Given(value)
        column = self.store.columns[value.name]
        if len(column.shape) > 1 and self.node.over:
            rows = Rows(self.store, column, self.node.over, self.on_error)
            self.lineage.along(column, rows.ats)
            return rows
        if column.shape:
            self.lineage.along(column, lambda at: (at,))
            return Upstream(self.store, column, self.on_error)
        self.lineage.along(column, lambda _: (0,))
        if column.states[0] != OK:
            return None
        if (one_by_one := items.of(self.store, column)) is not None:
            return one_by_one
        values = self.store.read(column, 0, 1)[0]
        try:
            return Given(list(values))
        except TypeError as error:
            raise TypeError(
                f"{self.node.name!r} is mapped over what {value.name!r} gave, which is no iterable but {type(values).__name__}"
            ) from error

    @functools.cached_property
    def cache_id(self) -> str | None:
        """What the keys of its calls in the cache begin with, as the step was when it began."""
        return cache.id_of(self.step) if self.step.cache else None

    @functools.cached_property
    def names(self) -> Names:
        """Those of the function's parameters."""
        return Names(self.function)

    def begin(self, run_again: tuple[int, ...]) -> None:
        """Take the step's place in the store; elements in these states, of an earlier run, are called again."""
        column = self.store.begin(self.node.name, self.shape, self.reader is not None)
        self.column = column
        if self.reader is not None:
            self.reader.column, self.size = column, len(column.states)
        if run_again and column.states.count(MISSING) != self.size:
            column.states[:] = column.states.translate(bytes.maketrans(bytes(run_again), bytes([MISSING]) * len(run_again)))
        for at, made in list(column.made.items()):
            if column.states[at] == MISSING or made.of != self.lineage.of(self._at(at)):
                column.states[at] = MISSING  # there is more to take now, or less: the result is of other inputs
                del column.made[at]

    def _at(self, at: int) -> list[int]:
        """The places of an element's inputs on the axes."""
        return [self._places(which, (at,))[0] for which in range(len(self.axes))]

    def note(self, at: int, left: dict[str, ErrorInfo], call: Call | None = None) -> None:
        """A call is to be made: of what, where errors have to do with it."""
        of = self.lineage.of(self._at(at))
        if left or of:
            inputs, named = (call.inputs, call.named) if call is not None else (self.known, self.constants)
            self.column.made[at] = left_out.made(of, left, inputs, named, self.on_error == PASS)
            if self.on_error == DROP and not self.is_warned and (text := left_out.apart(self.node.name, left, named, inputs)):
                self._warn(text)
        elif self.column.made:
            self.column.made.pop(at, None)

    def _warn(self, text: str) -> None:
        """Once a step, at the line that made it."""
        self.is_warned = True
        place = self.node.place or {}
        warnings.warn_explicit(text, UserWarning, place.get("path", "<flow>"), place.get("line", 0))

    def missing(self) -> Sequence[int]:
        """The elements that are still to be had."""
        states = self.column.states
        if states.count(MISSING) == self.size:
            return range(self.size)
        return [at for at, state in enumerate(states) if state == MISSING]

    def plain_columns(self, ats: Sequence[int]) -> tuple[list[Any], ...] | None:
        """The positional arguments of these elements; None where something is to be looked at call by call: errors, resources,
        a cache."""
        if not self.step.is_plain:
            return None
        if not self.is_map:
            return self._plain_single()
        places = [self._places(which, ats) for which in range(len(self.axes))]
        checks = self.mode == CONTINUE
        if checks and (self._bad_constants or any(axis.has_errors(at) for axis, at in zip(self.axes, places, strict=True))):
            return None
        if self.is_read_by_workers and self.unread.isdisjoint(ats):
            taken = [self._stored(axis, at) for axis, at in zip(self.axes, places, strict=True)]
        else:
            taken = [_column(axis, at) for axis, at in zip(self.axes, places, strict=True)]
        # Where no error was ever made in this process, none can be among values that are in memory.
        if (
            checks
            and Noted.any_made
            and any(
                self._may_hold_errors(axis.kinds)
                or (not axis.is_loaded and type(values) is not Stored and self._may_hold_errors({*map(type, values)}))
                for axis, values in zip(self.axes, taken, strict=True)
            )
        ):
            return None
        return tuple(taken)

    def _plain_single(self) -> tuple[Any, ...] | None:
        """The same of a single call."""
        if self.mode == CONTINUE:
            values = [*[value for value, _ in self.singles], *self.constants.values()]
            known = [*[one for _, one in self.singles], *self.known.values()]
            if any(map(_is_wrong, known)) or (Noted.any_made and self._may_hold_errors({*map(type, values)})):
                return None
        return tuple([value if isinstance(value, Elsewhere) else [value] for value, _ in self.singles])

    @property
    def is_read_by_workers(self) -> bool:
        """Whether workers read inputs that are in a run folder themselves."""
        return self._may_be_read_by_workers and self.step.is_plain and not self._bad_constants

    @property
    def _may_be_read_by_workers(self) -> bool:
        return self.loads and self.reader is None and self.store.is_read_by_workers

    def _stored(self, axis: Any, ats: Sequence[int]) -> Any:
        """The values at these places: where they stand, if they are in a run folder."""
        if axis.is_loaded:
            return _column(axis, ats)
        inner = axis.inner if type(axis) is Rows else None
        if type(axis) is items.Items:
            rows: list[Any] = [[one] for one in axis.places(ats)]
        elif inner is None:
            rows = [[one] for one in self.store.places(axis.column, ats)]
        else:
            rows = [self.store.places(axis.column, axis.ats(at)) for at in ats]
        return self._lying(axis.column, rows, inner)

    def _lying(self, column: Column, rows: Sequence[Sequence[Any]], inner: tuple[int, ...] | None) -> Stored:
        checks = self.mode == CONTINUE and self.on_error != PASS
        return Stored(str(self.store.folder), self.store.token, column.name, rows, inner, checks, self.containers)

    def parted(self, ats: Sequence[int]) -> tuple[list[int], list[int]]:
        """Elements whose inputs are sound, and those that have an error among theirs."""
        wrong = {at for at in ats for axis, place in zip(self.axes, self._at(at), strict=True) if axis.has_errors((place,))}
        return [at for at in ats if at not in wrong], [at for at in ats if at in wrong]

    def note_all(self, ats: Sequence[int]) -> None:
        """Calls that were looked at together are to be made."""
        if self._left_of_constants or not self.lineage.is_plain or self.column.made:
            for at in ats:
                self.note(at, self._left_of_constants)

    def _may_hold_errors(self, kinds: set[type]) -> bool:
        suspects: tuple[type, ...] = (*ERRORS, list, tuple, dict) if self.containers else ERRORS
        return not kinds.isdisjoint(suspects) or any(hasattr(kind, "flat") for kind in kinds)

    @functools.cached_property
    def _bad_constants(self) -> bool:
        return bool(self._of_constants[1])

    @property
    def _left_of_constants(self) -> dict[str, ErrorInfo]:
        return self._of_constants[0]

    @functools.cached_property
    def _of_constants(self) -> tuple[dict[str, ErrorInfo], dict[str, ErrorInfo]]:
        if self.mode != CONTINUE:
            return {}, {}
        return left_out.split(self.on_error, scan(self.constants, self.known, self.containers), self.known)

    def _places(self, which: int, ats: Sequence[int]) -> Sequence[int]:
        """Where on one axis these elements are: where they are in the result, but for a product, whose axes follow each other,
        and for an axis that is broadcast along those before it."""
        if not self.node.product:
            size = math.prod(self.axes[which].shape)
            return ats if size == self.size or self.reader is not None else [at % size for at in ats]
        before = sum(len(axis.shape) for axis in self.axes[:which])
        axis = self.axes[which]
        if not axis.shape:
            return [0] * len(ats)
        stride, size = self._strides[before + len(axis.shape) - 1], math.prod(axis.shape)
        return [(at // stride) % size for at in ats]

    def call(self, at: int) -> Call:
        """One call, its stored values loaded."""
        if self.is_map:
            places = self._at(at)
            args = tuple([axis.take((place,))[0] for axis, place in zip(self.axes, places, strict=True)])
            known = tuple([axis.element(place) for axis, place in zip(self.axes, places, strict=True)])
            if self.on_error == DROP:
                args, known = _without(args, known)
        else:
            args, known = tuple([value for value, _ in self.singles]), tuple([one for _, one in self.singles])
            is_made = self.on_error != SKIP or not any(map(_is_wrong, (*known, *self.known.values())))
            if is_made and not self.step.is_plain:  # it is looked at here
                return self._called(tuple(map(here, args)), known, loaded(self.constants))
        return self._called(args, known)

    def sent(self, at: int, call: Call) -> tuple[Any, ...]:
        """The positional arguments of a call that was looked at, as columns; of those in the run folder where they stand."""
        if not self.is_map:
            return tuple([value if isinstance(value, Elsewhere) else [value] for value, _ in self.singles])
        if not self._may_be_read_by_workers or at in self.unread or any(map(_is_wrong, call.inputs.values())):
            return tuple([Mixed.of([value]) for value in call.args])
        return tuple([self._stored(axis, (place,)) for axis, place in zip(self.axes, self._at(at), strict=True)])

    @functools.cached_property
    def plain_context(self) -> ErrorContext:
        """That of calls which are not looked at one by one."""
        return ErrorContext(self.mode, {}).with_resources(resources.evaluate(self.step, {}, {}, self.mode))

    def _called(self, args: tuple[Any, ...], known: tuple[Any, ...], constants: dict[str, Any] | None = None) -> Call:
        constants = self.constants if constants is None else constants
        named = self.names.bind(args, constants, spread=True)
        inputs = self.names.bind(known, self.known, spread=True)
        return Call(args, constants, named, {name: one for name, one in inputs.items() if one is not None})

    def resources(self, call: Call, context: ErrorContext, owners: tuple[Any, ...]) -> ResourcesEval:
        """What the call needs: asked for it alone, or once for the whole map."""
        # Of a map as a whole it is asked when the first call is made; one that is not made asks for nothing.
        is_made = self.mode != CONTINUE or not context.error_info
        if self.step.resources_scope != MAP or not self.is_map or not is_made:
            return resources.evaluate(self.step, call.named, context.error_info, self.mode, owners)
        if self._map_resources is None:
            wholes = [_looked_at(axis) for axis in self.axes] if self.step.resources is not None else []
            has_errors = any(array is not None and array.indices for _, array in wholes)
            if self.mode == CONTINUE and self.on_error != PASS and has_errors:
                wholes = [(values, None) for values in self._of_calls_made()]
            whole = self._called(tuple([value for value, _ in wholes]), tuple([known for _, known in wholes]))
            _, found = left_out.split(self.on_error, scan(whole.named, whole.inputs), whole.inputs)
            self._map_resources = resources.evaluate(self.step, whole.named, found, self.mode, owners)
        return self._map_resources

    def _of_calls_made(self) -> list[list[Any]]:
        """For each axis the elements that go into calls which are made: of a product the sound ones of each, else those that are
        sound on all axes, in a row."""
        sizes = [math.prod(axis.shape) for axis in self.axes]
        sound = [[at for at in range(size) if not axis.is_error(at)] for axis, size in zip(self.axes, sizes, strict=True)]
        if not self.node.product:
            good = [set(ats) for ats in sound]
            together = [at for at in range(self.size) if all(at % size in ats for ats, size in zip(good, sizes, strict=True))]
            sound = [sorted({at % size for at in together}) for size in sizes]
        return [list(axis.take(ats)) for axis, ats in zip(self.axes, sound, strict=True)]


def _looked_at(axis: Any) -> tuple[Any, Any]:
    """All values of an axis; those in a run folder each when it is asked for."""
    if type(axis) is not Upstream or axis.is_loaded or axis.has_errors(range(len(axis.column.states))):
        found: tuple[Any, Any] = axis.whole()
        return found
    name, shape = axis.column.name, axis.shape
    return Lazy(str(axis.store.folder), name, shape), Array.of(name, shape, [], axis.source)


def _column(axis: Any, ats: Sequence[int]) -> Any:
    """The values at these places of an axis; of outputs among them where they stand in the run folder."""
    values = axis.take(ats)
    return Mixed.of(values) if type(axis) is Gathered else values


def _is_wrong(known: Any) -> bool:
    """Whether what is known of an input is that it is an error, or holds some."""
    return known is not None and (bool(known.indices) if type(known) is Array else known.is_error)


def _without(args: tuple[Any, ...], known: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Arguments of a call without the errors inside of them, and what is known of them then."""
    pairs = [
        (value, one) if type(one) is Array or _is_wrong(one) else left_out.without(value)
        for value, one in zip(args, known, strict=True)
    ]
    return tuple([value for value, _ in pairs]), tuple([found for _, found in pairs])


def _source(value: Any, known: Any) -> tuple[Any, Any]:
    """Where the errors of one item of a nest are, and which."""
    if known is None:
        return Held([value]), None
    return known.source, known.indices if type(known) is Array else ()


_MIXED = (
    "; what is taken beside an array of several dimensions has its shape, or that of its last axes, as numpy broadcasts: let the "
    "step that made the array give with each of its elements what belongs to it, or make the other one of the same inputs with "
    "product=True"
)


def shape_of(name: str, shapes: list[tuple[int, ...]], product: bool) -> tuple[int, ...]:
    """The shape of a map's result; an input of fewer dimensions has the shape of the others' last axes, and is broadcast along
    those before them, as numpy does it.  Raises ValueError where the inputs do not fit together."""
    if product:
        return tuple(length for shape in shapes for length in shape)
    longest = max(shapes, key=len)
    if any(shape != longest[len(longest) - len(shape) :] for shape in shapes):
        told = ", ".join(str(shape[0]) if len(shape) == 1 else str(shape) for shape in shapes)
        same = all(len(shape) == len(shapes[0]) for shape in shapes)
        raise ValueError(f"{name}: the iterables have different lengths: {told}{'' if same else _MIXED}")
    return longest


def _take(values: list[Any], ats: Sequence[int]) -> list[Any]:
    if isinstance(ats, range) and ats.step == 1:
        return values if len(ats) == len(values) else values[ats.start : ats.stop]
    return [values[at] for at in ats]
