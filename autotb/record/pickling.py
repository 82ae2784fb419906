"""Makes an exception fit to travel, and lets its record ride along.

Flows in: an exception and its record, in a worker.  Flows out: objects whose pickles rebuild both with nothing but the standard
library, so that a driver without autotb reads them; an exception that survives by itself goes as it is.
"""

from __future__ import annotations

import copyreg
import operator
import pickle
import sys
from types import GetSetDescriptorType, MemberDescriptorType

from autotb import settings
from autotb.record import safe_repr, static
from autotb.record.capture import KEY, fields_of, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:  # a worker that fails imports this: typing is not for it
    from collections.abc import Callable
    from typing import Any

    from autotb.record.schema import Light, Tree


MAX_TRIAL = 1 << 20  # bytes of an exception that is tried


class Rebuild:
    """Pickles as the call ``function(*args)``: this class itself is in no pickle."""

    __slots__ = ("args", "function", "state")

    def __init__(self, function: Any, args: tuple[Any, ...], state: Any = None) -> None:
        self.function, self.args, self.state = function, args, state

    def __call__(self) -> None:
        """Never called here; pickle asks for a callable where one Rebuild is the function of another."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.args) if self.state is None else (self.function, self.args, self.state)


def with_record(exc: Any, text: str, tree: Tree | Light) -> tuple[Any, Any]:
    """The arguments ``(exc, text)`` of an engine's rebuild function, whose unpickling also hangs ``tree`` on ``exc``.

    No code of the user's runs that would not have run: ``exc.__dict__[KEY] = tree`` and nothing else.
    """
    setting = Rebuild(operator.setitem, (dict_of(exc), KEY, tree))
    return exc, Rebuild(operator.getitem, ((text, *_refills(exc), setting), 0))


def by_itself(exc: BaseException, tree: Tree | Light) -> Rebuild | None:
    """What pickles as ``exc`` itself would if ``tree`` hung on it, for errors like ``ValueError("bad")``; None for any other.

    These come by the thousand: it takes half the time of ``with_record``, here and where it arrives.
    """
    kind = type(exc)
    forking = sys.modules.get("multiprocessing.reduction")
    tables = copyreg.dispatch_table, forking.ForkingPickler._extra_reducers if forking is not None else {}
    if is_suspect(exc) or any(kind in table for table in tables):
        return None
    stock: Any = _builtin_base(kind).__reduce__  # written in C: no class between has one
    reduced = stock(exc)
    state = reduced[2] if len(reduced) == 3 else {}
    if len(reduced) not in (2, 3) or type(state) is not dict:
        return None
    return Rebuild(reduced[0], reduced[1], {**state, KEY: tree})


def carrying(fit: Any, tree: Tree | Light) -> Rebuild:
    """What unpickles into ``fit`` with ``tree`` hung on it, for engines that pickle an exception by itself."""
    setting = Rebuild(operator.setitem, (dict_of(fit), KEY, tree))
    return Rebuild(operator.getitem, ((fit, *_refills(fit), setting), 0))


def _refills(fit: Any) -> list[Rebuild]:
    """What is to be set of an exception whose own pickle leaves it behind."""
    if type(fit) not in copyreg.dispatch_table:
        return []
    from autotb.record import refilling

    found = refilling.of(fit)
    return [Rebuild(_method(_Held(owner, descriptor), "__set__"), (one, value)) for one, owner, descriptor, value in found]


def packed(
    exc: BaseException,
    tree: Tree | Light,
    dumps: Callable[[Any], Any] = pickle.dumps,
    loads: Callable[[Any], Any] = pickle.loads,
) -> Rebuild:
    """``carrying``, with an exception that was made fit to travel."""
    dict.pop(fields_of(exc), KEY, None)  # an inner worker's record, now part of ours
    fit: Any = exc
    lost: list[str] = []
    try:
        fit, lost = fit_to_travel(exc, dumps, loads)
    except Exception:
        raise
    except BaseException:
        pass  # as it will end when the engine pickles it
    tell_lost(tree, lost)
    return carrying(fit, tree)


def dict_of(exc: Any) -> Rebuild:
    """What unpickles into ``exc.__dict__``, without asking a class that answers for itself."""
    for base in () if static.is_builtin(type(exc)) else static.mro(type(exc)):
        names = static.own(base)
        own = names.get("__dict__")
        stock = own is None or type(own) is GetSetDescriptorType
        if not stock or ("__getattribute__" in names and not static.is_builtin(base)):
            getter = Rebuild(operator.getitem, (Rebuild(getattr, (BaseException, "__dict__")), "__dict__"))
            return Rebuild(Rebuild(getattr, (getter, "__get__")), (exc,))
    return Rebuild(getattr, (exc, "__dict__"))


_PLAIN = (str, int, float, bool, type(None), bytes)


def _is_plain(value: Any) -> bool:
    kind = type(value)
    return type(kind) is type and kind in _PLAIN  # a metaclass of the user's answers when it is compared


def is_suspect(exc: BaseException) -> bool:
    """Whether ``exc`` might not survive pickling: its class has ways of its own, or it holds more than plain values."""
    kind = type(exc)
    if static.is_builtin(kind):
        if not issubclass(kind, Exception):
            return True
    elif _has_own_ways(kind) or not static.is_found(kind):
        return True
    values = [*static.args_of(exc), *(value for name, value in _held(exc))]
    if issubclass(kind, _WITH_FIELDS):
        values += [static.slot(exc, field) for field in _FIELDS]
    return not all(map(_is_plain, values)) or bool(static.members(exc))


def _has_own_ways(kind: type) -> bool:
    for base in static.mro(kind):
        if static.is_builtin(base):
            break
        names = static.own(base)
        if any(name in names for name in _OWN_WAYS) or "<locals>" in static.qualname(base):
            return True
    return False


_WITH_FIELDS = (AttributeError, ImportError, NameError, OSError)
_FIELDS = ("name", "obj", "path", "name_from", "filename", "filename2")  # which pickle with it, in some versions of Python


def _held(exc: BaseException) -> list[tuple[str, Any]]:
    """What an exception's ``__dict__`` holds by name, without our record."""
    return [(name, value) for name, value in dict.items(fields_of(exc)) if type(name) is str and name != KEY]


_OWN_WAYS = (
    "__init__",
    "__new__",
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
    "__setattr__",
    "__getattribute__",
    "__slots__",
    "__getnewargs__",
    "__getnewargs_ex__",
)


def fit_to_travel(
    exc: BaseException, dumps: Callable[[Any], Any] = pickle.dumps, loads: Callable[[Any], Any] = pickle.loads
) -> tuple[Any, list[str]]:
    """``exc`` itself where it survives a round trip, else something that pickles into it; and what had to be left out."""
    trip = Trip(dumps, loads)
    if not settings.switch("rescue") or not is_suspect(exc) or trip.survives(exc):
        return exc, []
    return trip.rebuilt(exc), trip.lost


class Trip:
    """One exception's way through an engine's pickler; ``lost`` names what cannot go along.

    ==================================================================  ===================================================
    what was raised                                                     what is pickled in its place
    ==================================================================  ===================================================
    ``Bad(code, path)``, whose ``__init__`` wants two arguments         ``Bad.__new__(Bad)``, then its ``args`` and its
    and which pickle would give one                                     ``__dict__``, piece by piece
    the same with an open file in ``handle``                            the same without ``handle``; ``lost``: ``handle (<file>)``
    the same with an open file in ``args``                              the same with the file's safe text in its place
    a class of ``<locals>``                                             its nearest base that has a name; ``lost`` says so
    a group                                                             its class, called with its message and members
    ==================================================================  ===================================================
    """

    def __init__(self, dumps: Callable[[Any], Any], loads: Callable[[Any], Any]) -> None:
        self.dumps, self.loads = dumps, loads
        self.lost: list[str] = []

    def survives(self, value: Any) -> bool:
        """Whether a value arrives.  What ends in SystemExit or KeyboardInterrupt while it is pickled ends so here as well:
        whoever pickles it is about to see the same."""
        try:
            data = self.dumps(value)
        except Exception:
            return False
        if len(data) > MAX_TRIAL:
            return True  # not tried: that would cost more than it may save
        try:
            arrived = self.loads(data)
        except BaseException:  # it is the driver that would end of it
            return False
        return type(arrived) is type(value) or not static.is_exception(value) or static.is_exception(arrived)

    def _arrives(self, value: Any) -> bool:
        """The same of a part, which only we pickle by itself: nothing of it may end anything."""
        try:
            return self.survives(value)
        except BaseException:
            return False

    def parts(self, exc: BaseException, depth: int = 0) -> tuple[type, tuple[Any, ...], dict[str, Any]]:
        """The class, the arguments and the fields of an exception, as far as they can go; safe text for other arguments."""
        kind = self._nearest_class(type(exc))
        args = tuple(self._value(f"args[{at}]", value, depth, needed=True) for at, value in enumerate(static.args_of(exc)))
        kept = {name: self._value(name, value, depth) for name, value in _held(exc)}
        return kind, args, {name: value for name, value in kept.items() if value is not _LOST}

    def rebuilt(self, exc: BaseException, depth: int = 0) -> Rebuild:
        """``exc`` made without its ``__init__``: ``base.__new__(cls)``, then what it holds, set piece by piece."""
        members = static.members(exc)
        if members and static.name(_builtin_base(type(exc))) in ("ExceptionGroup", "BaseExceptionGroup"):
            return self._rebuilt_group(exc, members, depth)
        kind, args, fields = self.parts(exc, depth)
        made = Rebuild(_builtin_base(kind).__new__, (kind,))
        return self._filled(made, exc, kind, [(_BASE_ARGS, args)], fields, depth)

    def _rebuilt_group(self, exc: BaseException, members: tuple[BaseException, ...], depth: int) -> Rebuild:
        kind = self._nearest_class(type(exc))
        sent = [_member(self._value("member", member, depth, needed=True)) for member in members]
        fields = {name: self._value(name, value, depth) for name, value in _held(exc)}
        made = Rebuild(_builtin_base(kind).__new__, (kind, static.text_of(static.slot(exc, "message")), sent))
        return self._filled(made, exc, kind, [], fields, depth)

    def _filled(
        self, made: Rebuild, exc: BaseException, kind: type, steps: list[tuple[Any, Any]], fields: dict[str, Any], depth: int
    ) -> Rebuild:
        """What pickles as the making of ``made``, then the setting of its slots and fields."""
        steps = [*steps, *self._slot_values(exc, kind, depth)]
        actions = [Rebuild(_method(descriptor, "__set__"), (made, value)) for descriptor, value in steps]
        actions += [
            Rebuild(operator.setitem, (Rebuild(getattr, (made, "__dict__")), name, value))
            for name, value in fields.items()
            if value is not _LOST
        ]
        return Rebuild(operator.getitem, ((made, *actions), 0))

    def _value(self, name: str, value: Any, depth: int, *, needed: bool = False) -> Any:
        if _is_plain(value) or self._arrives(value):
            return value
        if static.is_exception(value) and depth < 5:
            return self.rebuilt(value, depth + 1)
        self.lost.append(f"{name} ({safe_repr.brief(value, name)})")
        return safe_repr.brief(value, name) if needed else _LOST

    def _nearest_class(self, kind: type) -> type:
        for cls in static.mro(kind):
            if _can(self.dumps, cls):
                if cls is not kind:
                    self.lost.append(f"the class {type_name(kind)}, which cannot be pickled")
                return cls
        return Exception

    def _slot_values(self, exc: BaseException, kind: type, depth: int) -> list[tuple[Any, Any]]:
        """What builtin fields (``errno``, ``filename``, ``code``…) and ``__slots__`` hold; not None, not read-only."""
        steps = []
        for cls in static.mro(kind):
            if cls is BaseException or cls is object:
                continue
            for name, descriptor in static.own(cls).items():
                if type(descriptor) not in (MemberDescriptorType, GetSetDescriptorType) or name in _NOT_STATE:
                    continue
                try:
                    value = descriptor.__get__(exc)
                    if value is None:
                        continue
                    descriptor.__set__(exc, value)  # read-only fields refuse; the others keep the value that they have
                except (AttributeError, TypeError):
                    continue
                kept = self._value(name, value, depth)
                if kept is not _LOST:
                    steps.append((_Held(cls, descriptor), kept))
        return steps


def _builtin_base(kind: type) -> type:
    return next(filter(static.is_builtin, static.mro(kind)))


def _member(value: Any) -> Any:
    """A group takes exceptions alone: of one that cannot travel at all there is a text."""
    return Rebuild(Exception, (value,)) if type(value) is str else value


_LOST = object()
_BASE_ARGS = BaseException.__dict__["args"]
_NOT_STATE = ("__dict__", "__weakref__", "__traceback__", "__context__", "__cause__", "exceptions", "message", "args")


def _method(descriptor: Any, name: str) -> Any:
    """``descriptor.__set__``, pickled as a look-up on the class that holds the descriptor."""
    owner = descriptor.__objclass__
    found = Rebuild(operator.getitem, (Rebuild(getattr, (owner, "__dict__")), descriptor.__name__))
    return Rebuild(getattr, (found, name))


def _can(function: Callable[[Any], Any], value: Any) -> bool:
    try:
        function(value)
    except BaseException:  # a metaclass of the user's
        return False
    return True


class _Held:
    """A descriptor with the class to look it up on."""

    def __init__(self, owner: type, descriptor: Any) -> None:
        self.__objclass__, self.__name__ = owner, descriptor.__name__


def travelling(
    exc: BaseException,
    text: str,
    tree: Tree | Light | None,
    dumps: Callable[[Any], Any] = pickle.dumps,
    loads: Callable[[Any], Any] = pickle.loads,
    stock: bool = False,
) -> tuple[Any, Any]:
    """The ``(exc, text)`` to pickle in place of an engine's own: fit to travel, with its record.

    ``stock``: by the standard library's pickler, of which is known what it does with an exception.
    """
    if tree is not None:
        dict.pop(fields_of(exc), KEY, None)  # an inner worker's record, now part of ours
        if stock and (made := by_itself(exc, tree)) is not None:
            return made, text
    fit, lost = fit_to_travel(exc, dumps, loads)
    if tree is None:
        return fit, text
    tell_lost(tree, lost)
    return with_record(fit, text, tree)


def tell_lost(tree: Tree | Light, lost: list[str]) -> None:
    """Note in a record what could not travel."""
    if lost and isinstance(tree, dict):
        tree["lost"] = lost
