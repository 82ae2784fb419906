"""Makes an exception fit to travel, and lets its record ride along.

Flows in: an exception and its record, in a worker.  Flows out: objects whose pickles rebuild both with nothing but the standard
library, so that a driver without autotb reads them; an exception that survives by itself goes as it is.
"""

from __future__ import annotations

import operator
import pickle
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
    return exc, Rebuild(operator.getitem, ((text, setting), 0))


def carrying(fit: Any, tree: Tree | Light) -> Rebuild:
    """What unpickles into ``fit`` with ``tree`` hung on it, for engines that pickle an exception by itself."""
    setting = Rebuild(operator.setitem, (dict_of(fit), KEY, tree))
    return Rebuild(operator.getitem, ((fit, setting), 0))


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
    if not settings.switch("rescue") or not is_suspect(exc):
        return exc, []
    if _survives(exc, dumps, loads):
        return exc, []
    lost: list[str] = []
    return _rebuilt(exc, dumps, loads, lost, 0), lost


def _survives(value: Any, dumps: Callable[[Any], Any], loads: Callable[[Any], Any]) -> bool:
    """Whether a value arrives.  What ends in SystemExit or KeyboardInterrupt while it is pickled ends so here as well: whoever
    pickles it is about to see the same."""
    try:
        data = dumps(value)
    except Exception:
        return False
    if len(data) > MAX_TRIAL:
        return True  # not tried: that would cost more than it may save
    try:
        arrived = loads(data)
    except BaseException:  # it is the driver that would end of it
        return False
    return type(arrived) is type(value) or not static.is_exception(value) or static.is_exception(arrived)


def _arrives(value: Any, dumps: Callable[[Any], Any], loads: Callable[[Any], Any]) -> bool:
    """The same of a part, which only we pickle by itself: nothing of it may end anything."""
    try:
        return _survives(value, dumps, loads)
    except BaseException:
        return False


def _rebuilt(exc: BaseException, dumps: Callable[[Any], Any], loads: Callable[[Any], Any], lost: list[str], depth: int) -> Any:
    """``exc`` made without its ``__init__``: ``base.__new__(cls)``, then what it holds, set piece by piece."""
    kind = _nearest_class(type(exc), dumps, lost)
    base = next(filter(static.is_builtin, static.mro(kind)))
    new_args: tuple[Any, ...] = ()
    args: tuple[Any, ...] = ()
    members = static.members(exc)
    if members and static.name(base) in ("ExceptionGroup", "BaseExceptionGroup"):
        sent = [_member(_value("member", member, dumps, loads, lost, depth, True)) for member in members]
        new_args = (static.text_of(static.slot(exc, "message")), sent)
    else:
        args = tuple(_value(f"args[{i}]", value, dumps, loads, lost, depth, True) for i, value in enumerate(static.args_of(exc)))
    fields = {}
    for name, value in _held(exc):
        kept = _value(name, value, dumps, loads, lost, depth, False)
        if kept is not _LOST:
            fields[name] = kept
    made = Rebuild(base.__new__, (kind, *new_args))
    steps = [(_BASE_ARGS, args)] if not new_args else []
    steps += _slot_values(exc, kind, dumps, loads, lost, depth)
    actions = [Rebuild(_method(descriptor, "__set__"), (made, value)) for descriptor, value in steps]
    actions += [Rebuild(operator.setitem, (Rebuild(getattr, (made, "__dict__")), name, value)) for name, value in fields.items()]
    return Rebuild(operator.getitem, ((made, *actions), 0))


def _member(value: Any) -> Any:
    """A group takes exceptions alone: of one that cannot travel at all there is a text."""
    return Rebuild(Exception, (value,)) if type(value) is str else value


_LOST = object()
_BASE_ARGS = BaseException.__dict__["args"]


def _method(descriptor: Any, name: str) -> Any:
    """``descriptor.__set__``, pickled as a look-up on the class that holds the descriptor."""
    owner = descriptor.__objclass__
    found = Rebuild(operator.getitem, (Rebuild(getattr, (owner, "__dict__")), descriptor.__name__))
    return Rebuild(getattr, (found, name))


def _value(
    name: str, value: Any, dumps: Callable[[Any], Any], loads: Callable[[Any], Any], lost: list[str], depth: int, needed: bool
) -> Any:
    if _is_plain(value) or _arrives(value, dumps, loads):
        return value
    if static.is_exception(value) and depth < 5:
        return _rebuilt(value, dumps, loads, lost, depth + 1)
    lost.append(f"{name} ({safe_repr.brief(value, name)})")
    return safe_repr.brief(value, name) if needed else _LOST


def _nearest_class(kind: type, dumps: Callable[[Any], Any], lost: list[str]) -> type:
    for cls in static.mro(kind):
        if _can(dumps, cls):
            if cls is not kind:
                lost.append(f"the class {type_name(kind)}, which cannot be pickled")
            return cls
    return Exception


def _can(function: Callable[[Any], Any], value: Any) -> bool:
    try:
        function(value)
    except BaseException:  # a metaclass of the user's
        return False
    return True


def _slot_values(
    exc: BaseException,
    kind: type,
    dumps: Callable[[Any], Any],
    loads: Callable[[Any], Any],
    lost: list[str],
    depth: int,
) -> list[tuple[Any, Any]]:
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
            kept = _value(name, value, dumps, loads, lost, depth, False)
            if kept is not _LOST:
                steps.append((_Held(cls, descriptor), kept))
    return steps


_NOT_STATE = ("__dict__", "__weakref__", "__traceback__", "__context__", "__cause__", "exceptions", "message", "args")


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
) -> tuple[Any, Any]:
    """The ``(exc, text)`` to pickle in place of an engine's own: fit to travel, with its record."""
    if tree is not None:
        dict.pop(fields_of(exc), KEY, None)  # an inner worker's record, now part of ours
    fit, lost = fit_to_travel(exc, dumps, loads)
    if tree is None:
        return fit, text
    tell_lost(tree, lost)
    return with_record(fit, text, tree)


def tell_lost(tree: Tree | Light, lost: list[str]) -> None:
    """Note in a record what could not travel."""
    if lost and isinstance(tree, dict):
        tree["lost"] = lost
