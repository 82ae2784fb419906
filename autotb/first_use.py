"""Functions that wait for their first call: until then another's code stands in for theirs.

Nearly every program imports threading and asyncio, and few use them: their adapters are loaded by the first thread, the first
event loop.  Flows in: ``import_hook``.  Flows out: functions with the code of :func:`stand_in`; what the engine has made, to
``patch``.
"""

import _thread
import os

held = {}  # functions by module and name, as the engine has made them: whatever stands there by now is somebody's wrapper
waiting = []  # the module's name, the function, its own code, and what stands in for it until it is called
lock = _thread.RLock()
_TRACEBACK = BaseException.__dict__["__traceback__"]
NAME = "<autotb>"  # of code that stands in for another's: stacks show it, and we know it by that
FOLDER = __file__[: -len("first_use.py")]


def stand_in(self):
    """Whose code calls what is put in for the first of its constants: for functions of one parameter, in ``code_swap`` too."""
    call = "autotb:call"
    try:
        return call(self)
    except BaseException as error:
        clean = "autotb:clean"
        clean(error)
        self = None
        raise


def clean(error):
    """Take frames of ours, the outermost ones, out of a traceback that passes through them."""
    tb = _TRACEBACK.__get__(error)
    while tb is not None and tb.tb_next is not None and is_our_code(tb.tb_frame.f_code):
        tb = tb.tb_next
    _TRACEBACK.__set__(error, tb)  # the class of the exception may refuse to be assigned to


def is_our_code(code):
    return code.co_name == NAME or code.co_filename.startswith(FOLDER)


def code_of_stand_in(own, first):
    code = stand_in.__code__  # as in `code_swap`, which waits for the first use as well
    constants = {"autotb:call": first, "autotb:clean": clean}
    return code.replace(
        co_consts=tuple([constants.get(value, value) for value in code.co_consts]),
        co_filename=own.co_filename,
        co_firstlineno=own.co_firstlineno,
        co_name=NAME,
    )


def waits(name):
    return any(each[0] == name for each in waiting)


def function_of(module, qualname):
    owner, _, name = qualname.partition(".")
    kind = vars(module).get(owner)
    return vars(kind).get(name) if type(kind) is type else None


def stop_waiting(name=None):
    """Give the functions that wait for their first call, of this module or of all, their own code back."""
    for each, function, own, stub in waiting:
        if name in (each, None) and function.__code__ is stub:
            function.__code__ = own
    waiting[:] = [each for each in waiting if name not in (each[0], None)]  # not before: another thread may be at its first one


def _after_fork():
    global lock
    lock = _thread.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
