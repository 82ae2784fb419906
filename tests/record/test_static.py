"""What is captured of a program whose objects answer for themselves: none of their code runs, and every error is drawn."""

from __future__ import annotations

import re
import sys

import pytest

HOSTILE = '''\
import itertools
import sys
from concurrent.futures import ProcessPoolExecutor

import autotb

RAN = []  # whose code has run


class Everything:
    """A mapping with a value for every key but one, of which there is no end."""

    def __getitem__(self, key):
        if key == "missing":
            raise KeyError(key)
        return 1

    def keys(self):
        return map(str, itertools.count())

    __iter__ = keys

    def __len__(self):
        return 10**9


class Meta(type):
    def __getattribute__(cls, name):
        if name in ("__mro__", "__dict__", "__module__", "__qualname__", "__name__", "__bases__"):
            RAN.append(f"metaclass {name}")
        return type.__getattribute__(cls, name)

    def __eq__(cls, other):
        RAN.append("metaclass eq")
        return cls is other

    def __hash__(cls):
        RAN.append("metaclass hash")
        return 5


def answering(name, value=None):
    def answer(self, *args):
        RAN.append(name)
        return value

    return answer


class Value(metaclass=Meta):
    __class__ = property(answering("__class__", int))
    __dict__ = property(answering("__dict__", {}))
    __dir__ = answering("__dir__", [])
    __repr__ = answering("__repr__", "")
    __len__ = answering("__len__", 1)
    __bool__ = answering("__bool__", True)
    __iter__ = answering("__iter__", iter(()))
    __eq__ = answering("__eq__", False)
    __call__ = answering("__call__")

    def __getattr__(self, name):
        RAN.append(f"getattr {name}")
        raise AttributeError(name)

    def __hash__(self):
        return hash("x")


class Dict(dict):
    get = items = keys = __iter__ = __len__ = answering("dict")

    def __getitem__(self, key):
        return dict.__getitem__(self, key)


class Str(str):
    __str__ = __format__ = __hash__ = __eq__ = __len__ = startswith = partition = rpartition = split = answering("str", 0)


class Notes(list):
    __iter__ = __len__ = __getitem__ = answering("notes")


class Odd(Exception, metaclass=Meta):
    __class__ = property(answering("exception's __class__", int))
    __dict__ = args = __cause__ = __context__ = __traceback__ = __notes__ = __suppress_context__ = property(answering("field"))
    __init__ = answering("init")

    def __getattr__(self, name):
        RAN.append(f"exception getattr {name}")
        raise AttributeError(name)


def endless():
    eval("missing", {}, Everything())


def attribute(value=Value()):
    mixed = {value: 1, "x": value, 1: [value, {2: value}]}
    value.nothing


def attribute_beside_a_dict_that_answers():
    class Value:
        __dict__ = property(answering("__dict__ alone", {}))

    Value().nothing


def name_error(self=Value()):
    missing


def globals_of_a_class_of_its_own():
    names = Dict()
    dict.__setitem__(names, "__name__", Str("made"))
    exec(compile("def inner(given):\\n    1 / 0\\ninner(1)", Str("<made>"), "exec"), names)


def class_body():
    class Space(Dict):
        pass

    class Kind(type):
        @classmethod
        def __prepare__(kind, name, bases):
            return Space()

    class Made(metaclass=Kind):
        inside = 1
        1 / 0


def odd():
    error = Odd("odd")
    BaseException.__dict__["__dict__"].__set__(error, Dict())
    dict.__setitem__(BaseException.__dict__["__dict__"].__get__(error), "__notes__", Notes([Str("a note"), Value()]))
    raise error


def group():
    if sys.version_info < (3, 11):
        from exceptiongroup import ExceptionGroup as Base
    else:
        Base = ExceptionGroup

    class Group(Base):
        exceptions = property(answering("exceptions"))

    raise Group("a group", [ValueError("a member")])


def syntax():
    class Syntax(SyntaxError):
        filename = lineno = text = offset = msg = property(answering("syntax"))

    raise Syntax("bad", ("there.py", 3, 1, "x x\\n", 3, 2))


def no_lines():
    function = lambda: 1 / 0
    function.__code__ = function.__code__.replace(co_linetable=b"")
    function()


def nul():
    exec(compile("1 / 0", "there.py", "exec").replace(co_filename="th\\0ere.py"))


def surrogate():
    exec(compile("1 / 0", "there.py", "exec").replace(co_filename="th\\ud800ere.py"))


CASES = [attribute_beside_a_dict_that_answers, endless, attribute, name_error, globals_of_a_class_of_its_own, class_body, odd, group, syntax, no_lines, nul, surrogate]
if sys.version_info < (3, 11):
    CASES.remove(no_lines)  # they are another table there
'''

PROGRAM = (
    HOSTILE
    + """
if __name__ == "__main__":
    for case in CASES:
        try:
            case()
        except BaseException as error:
            RAN.clear()
            story = autotb.explain(error)
            captured = list(RAN)
            print(case.__name__, captured, story.stack.type, story.stack.message, flush=True)
            sys.stderr.write(f"=== {case.__name__}\\n")
            sys.excepthook(type(error), error, BaseException.__dict__["__traceback__"].__get__(error))
"""
)


@pytest.mark.parametrize("style", ["rich", "plain"])
def test_no_code_of_the_users_runs_while_an_error_is_captured_and_each_is_drawn(run, style):
    from tests.programs import sections

    ran = run(PROGRAM, AUTOTB_STYLE=style, AUTOTB_LOCALS="1")

    lines = ran.stdout.splitlines()
    assert all(line.split(" ", 1)[1].startswith("[] ") for line in lines), ran.stdout
    told = sections(ran.stderr)
    assert len(lines) == len(told) == (12 if sys.version_info >= (3, 11) else 11)
    assert "autotb:" not in ran.stderr, ran.stderr
    for name, last in {
        "endless": "NameError: name 'missing' is not defined",
        "class_body": "ZeroDivisionError: division by zero",
        "group": "caused by ValueError: a member" if style == "rich" else "-" * 36,  # the plain style has Python's lines alone
        "nul": "ZeroDivisionError: division by zero",
        "surrogate": "ZeroDivisionError: division by zero",
        "no_lines": "ZeroDivisionError: division by zero",
    }.items():
        assert name not in told or told[name].rstrip().endswith(last), told[name]
    assert "Odd" in told["odd"] and "a note" in told["odd"]
    if style == "rich" and "no_lines" in told:
        assert re.search(r"main\.py:\S+ in <lambda>", told["no_lines"])  # early ones of 3.11 make a line of nothing


SOURCES = """\
import linecache
import os

import autotb

RAN = []


class Text(str):
    def __getattribute__(self, name):
        RAN.append(f"a text's {name}")
        raise RuntimeError


class Spec:
    def __getattr__(self, name):
        RAN.append(f"a specification's {name}")
        raise RuntimeError


class Ends:
    def get_source(self, name):
        raise SystemExit(7)


class Asked:
    def __getattr__(self, name):
        RAN.append(f"a loader's {name}")
        return lambda name: "1 / 0"


def told(file, code="1 / 0", **names):
    try:
        exec(compile(code, "made", "exec").replace(co_filename=file), {"__name__": "mine", **names})
    except (ZeroDivisionError, NameError) as error:
        return str(autotb.explain(error)).splitlines()[-1]


os.mkfifo("fifo.py")
linecache.cache["lines.py"] = (3, None, [Text("1 / 0\\n"), 5], "lines.py")
linecache.cache["tuple.py"] = (3, None, Text("1 / 0\\n"), "tuple.py")
linecache.cache["fifo.py"] = (lambda: "1 / 0",)  # what it asks where there is no such file
linecache.cache["ends.py"] = (Ends().get_source,)
print(told("lines.py"), told("tuple.py"), told("ends.py"), told(os.path.abspath("fifo.py")), told("fifo.py"))
print(told("a.py", __loader__=Ends()), told("b.py", __loader__=Asked()), told("c.py", __spec__=Spec()), told("d.py", __name__=Text("x")))
for names in ({"__spec__": Spec()}, {"__loader__": Asked()}, {"__name__": Text("x")}):
    print(told("e.py", "missing", **names), told(Text("f.py"), "missing"))
print(autotb.explain(SyntaxError("odd", ("g.py", 1, 3, "a = ", 1, 1 << 40))).stack.final[-1])
print(RAN)
"""


def test_where_the_source_is_comes_from_nobody_who_answers_for_himself(run):
    division = "ZeroDivisionError: division by zero"
    ran = run(SOURCES, timeout=60)

    missing = ["NameError: name 'missing' is not defined"] * 2
    expected = [" ".join([division] * 5), " ".join([division] * 4), *[" ".join(missing)] * 3, "SyntaxError: odd", "[]"]
    assert ran.stdout.splitlines() == expected, ran


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="CPython's own traceback walks the mapping, in the worker")
def test_a_worker_walks_no_mapping_of_the_users(run):
    program = (
        HOSTILE
        + """
if __name__ == "__main__":
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(endless).result()
        except NameError as error:
            print("caught", error)
"""
    )

    assert run(program).stdout == run(program, autotb="0").stdout == "caught name 'missing' is not defined\n"


CALLABLE = '''\
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import Pool
from multiprocessing.pool import ThreadPool


class Callable:
    """What is asked of it is written to stderr."""

    def __getattr__(self, name):
        if not name.startswith("__") or name in ("__wrapped__", "__qualname__", "__name__", "__code__"):
            sys.stderr.write(f"asked for {name}\\n")
        raise AttributeError(name)

    def __call__(self, value):
        return 1 / value


if __name__ == "__main__":
    for make in (ThreadPoolExecutor, ProcessPoolExecutor, ThreadPool, Pool):
        pool = make(1)
        for value in (1, 0):
            try:
                if hasattr(make, "submit"):
                    print(pool.submit(Callable(), value).result())
                else:
                    print(pool.apply(Callable(), (value,)))
                    print(pool.map(Callable(), [value]))
            except ZeroDivisionError as error:
                print(type(error))
'''


def test_a_callable_object_is_asked_nothing_that_a_pool_does_not_ask(run):
    ours, bare = run(CALLABLE), run(CALLABLE, autotb="0")

    assert ours.stdout == bare.stdout
    assert ours.stderr == bare.stderr == ""


def test_the_last_line_of_a_plain_error_has_the_interpreters_own_suggestion(run):
    program = """
        import sys
        import types

        class Plain:
            colour = 1

            def __init__(self):
                self.length = 2

        class Asked:
            colour = 1

            def __getattr__(self, name):
                raise AttributeError(f"no {name}")

        module = types.ModuleType("module")
        module.colour = 1
        SOURCES = "Plain().lenght", "Plain().colou", "Plain.colou", "Asked().colou", "module.colou", "Pla", "from sys import pat"

        for source in SOURCES:
            try:
                exec("def inner():\\n    " + source + "\\ninner()")
            except Exception as error:
                sys.excepthook(type(error), error, error.__traceback__.tb_next)
    """

    def last_lines(text):
        return [line for line in text.splitlines() if "Error: " in line]

    if sys.version_info >= (3, 12):
        program = program.replace('"Asked().colou", ', "")  # the interpreter asks such an object by now, and we do not
    ours, bare = run(program, AUTOTB_STYLE="plain"), run(program, autotb="0")
    assert last_lines(ours.stderr) == last_lines(bare.stderr)
    assert len(last_lines(bare.stderr)) == (6 if sys.version_info >= (3, 12) else 7)
