"""Has a function run code of ours, while it stays the very object that it is.

Whoever took it before, wrapped it or put it under another name calls ours too; it pickles by its name as ever; and ours is taken
off again underneath whatever others have put on top.  The code that stands in for the function's own has its file and its first
line, its parameters and its free variables; it calls ours, which calls a twin of the function as it was.

Flows in: a function, and what is to be called in its stead.  Flows out: the code that does so.
"""

import sys
from types import FunctionType

from autotb import first_use

CALL, CLEAN = "autotb:call", "autotb:clean"  # constants of the templates, for which `filled` puts in what they stand for
MORE, NAMED, COROUTINE = 0x04, 0x08, 0x80  # inspect's CO_VARARGS, CO_VARKEYWORDS, CO_COROUTINE
GENERATORS = 0x20 | 0x100 | 0x200  # known by their flags, which code of ours does not have

_AGAIN = "raise" if sys.version_info >= (3, 11) else "raise error"  # without another entry in the traceback, as far as can be
_templates = {}


class Body:
    """A wrapper that stands in itself, with no call in between: for functions that programs call all the time.

    ``template`` has the function's own parameters, knows no names but these and the builtins, and has texts for constants that
    it is to have: the keys of ``constants``, and ``CLEAN``.
    """

    def __init__(self, template, constants):
        self.template = template
        self.constants = constants


class Moved(Exception):  # noqa: N818
    """An engine's function is no longer called as it was when its wrapper was written."""


def is_ours(function):
    """Whether a function runs code of ours by now."""
    code = getattr(function, "__code__", None)
    return getattr(code, "co_name", None) == first_use.NAME


def can_be(function):
    """Whether its code can be exchanged: a plain function's, or a coroutine function's."""
    return type(function) is FunctionType and not function.__code__.co_flags & GENERATORS


def twin(function):
    """The function as it is now, as an object of its own."""
    made = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    for name in ("__module__", "__qualname__", "__doc__", "__kwdefaults__", _ANNOTATIONS):
        setattr(made, name, getattr(function, name))
    made.__dict__.update(function.__dict__)
    return made


_ANNOTATIONS = "__annotate__" if sys.version_info >= (3, 14) else "__annotations__"  # asked for, the newer ones would be made


def code_for(function, instead):
    """The code with which ``function`` calls ``instead``, a function or a :class:`Body`."""
    old = function.__code__
    if type(instead) is Body:
        code = instead.template.__code__
        if _layout(code) != _layout(old):
            raise Moved(f"it is called in another way by now: ({', '.join(_parameters(old))})")
        return filled(code, old, instead.constants)
    free, kind = len(old.co_freevars), old.co_flags & COROUTINE
    if goes_by_form(function, instead):
        shape = (0, 0, (), MORE | NAMED | kind, free)
    else:
        names = _parameters(old)[old.co_argcount : old.co_argcount + old.co_kwonlyargcount]
        shape = (old.co_argcount, old.co_posonlyargcount, names, old.co_flags & (MORE | NAMED) | kind, free)
    code = _templates.get(shape)
    if code is None:
        code = _templates[shape] = _template(*shape)
    return filled(code, old, {CALL: instead})


def goes_by_form(function, instead):
    """Whether ``instead`` takes anything where the function does not: it may ask what was given by name, and what not at all."""
    if type(instead) is Body:
        return False
    ours = getattr(getattr(instead, "__code__", None), "co_flags", MORE)
    return bool(ours & (MORE | NAMED)) and function.__code__.co_flags & (MORE | NAMED) != MORE | NAMED


def filled(template, old, constants):
    """A template's code with what its constants stand for, which looks like the code ``old``."""
    constants = {**constants, CLEAN: first_use.clean}
    names = template.co_varnames
    if _layout(template) == _layout(old):
        ours = len(_parameters(template))
        names = _parameters(old) + tuple("." + name for name in names[ours:])  # a name that no parameter has
    changes = {
        "co_consts": tuple(constants.get(value, value) if type(value) is str else value for value in template.co_consts),
        "co_varnames": names,
        "co_freevars": old.co_freevars,
        "co_filename": old.co_filename,
        "co_firstlineno": old.co_firstlineno,
        "co_name": first_use.NAME,
    }
    if hasattr(template, "co_qualname"):
        changes["co_qualname"] = first_use.NAME
    try:
        return template.replace(co_linetable=_one_line(len(template.co_code)), **changes)
    except (TypeError, AttributeError):  # an interpreter of another make, whose lines are kept in another way
        return template.replace(**changes)


def _layout(code):
    return code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & (MORE | NAMED | COROUTINE)


def _parameters(code):
    more = bool(code.co_flags & MORE) + bool(code.co_flags & NAMED)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + more]


def _one_line(size):
    """A table by which every instruction is in the first line: that is the function's own, where its source is looked for."""
    if sys.version_info >= (3, 11):
        units = size // 2
        return b"\xef\x00" * (units // 8) + (bytes((0xE8 | units % 8 - 1, 0)) if units % 8 else b"")
    return b"\xfe\x00" * (size // 254) + (bytes((size % 254, 0)) if size % 254 else b"")


def _template(positional, before_slash, names, flags, free):
    """Code with so many parameters, and those ``names``: what it is given it passes on; what is raised has no frame of ours."""
    given = [f"_{number}" for number in range(positional)]
    head, passed = list(given), list(given)
    if before_slash:
        head.insert(before_slash, "/")
    if flags & MORE:
        head.append("*args")
        passed.append("*args")
    elif names:
        head.append("*")
    head += names
    passed += [f"{name}={name}" for name in names]
    if flags & NAMED:
        head.append("**kwargs")
        passed.append("**kwargs")
    rest = [*given, *names, *(["args"] if flags & MORE else []), *(["kwargs"] if flags & NAMED else [])]
    cells = ", ".join(f"free{number}" for number in range(free))
    lines = [
        f"def made({cells}):",
        f" {'async ' if flags & COROUTINE else ''}def code({', '.join(head)}):",
        f"  if 0: {cells}" if free else "",
        f"  call = '{CALL}'",
        "  try:",
        f"   return {'await ' if flags & COROUTINE else ''}call({', '.join(passed)})",
        "  except BaseException as error:",
        f"   clean = '{CLEAN}'",
        "   clean(error)",
        f"   {' = '.join([*rest, 'None'])}",  # the frame may stay in the traceback: it must keep nothing alive
        f"   {_AGAIN}",
        " return code",
    ]
    space = {}
    exec("\n".join(lines), space)
    return space["made"](*range(free)).__code__


if sys.version_info >= (3, 11):  # made beforehand for threads' start, which nearly every program has: nothing is compiled for it
    _templates[(1, 0, (), 0, 0)] = first_use.stand_in.__code__
