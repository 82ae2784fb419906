"""The exceptions of the real world, from every process engine of the standard library: as themselves, without a hang."""

from __future__ import annotations

import sys

import pytest

PROGRAM = """\
import json
import multiprocessing as mp
import sys
import threading
from concurrent.futures import ProcessPoolExecutor


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a = a


class KeywordOnly(ValueError):
    def __init__(self, *, code):
        super().__init__("code", code)
        self.code = code


class HoldsLock(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()
        self.kept = 7


class Unaskable(Exception):
    def __bool__(self):
        raise RuntimeError("neither true nor false")


class Slots(Exception):
    __slots__ = ("x",)

    def __init__(self, x, y):
        super().__init__("slots")
        self.x = x


class Frozen(Exception):
    def __setattr__(self, name, value):
        raise AttributeError("frozen")


class OwnReduce(Exception):
    def __reduce__(self):
        return (OwnReduce, self.args)


class BadStr(Exception):
    def __str__(self):
        raise RuntimeError("no")


class Unicode(UnicodeDecodeError):
    def __init__(self, reason):
        super().__init__("utf-8", b"abc", 0, 1, reason)


class File(FileNotFoundError):
    def __init__(self, path, *, tries):
        super().__init__(2, "gone", path)
        self.tries = tries


class SetState(Exception):
    def __init__(self, a, b):
        super().__init__(a)

    def __setstate__(self, state):
        raise RuntimeError("no state")


def work(case):
    if case == "two":
        raise TwoArguments(1, 2)
    if case == "keyword":
        raise KeywordOnly(code=3)
    if case == "lock":
        raise HoldsLock("locked")
    if case == "slots":
        raise Slots(5, 6)
    if case == "frozen":
        raise Frozen("f")
    if case == "reduce":
        raise OwnReduce("r")
    if case == "badstr":
        raise BadStr("b")
    if case == "unicode":
        raise Unicode("why")
    if case == "file":
        raise File("data.csv", tries=3)
    if case == "setstate":
        raise SetState("a", "b")
    if case == "json":
        json.loads("{")
    if case == "local":
        class Local(LookupError):
            pass
        raise Local("loc")
    if case == "lockarg":
        raise ValueError("bad", threading.Lock())
    if case == "memory":
        raise MemoryError
    if case == "chained":
        try:
            {}["k"]
        except KeyError as error:
            raise TwoArguments(1, 2) from error


    if case == "unaskable":
        raise Unaskable


def ask(case, engine):
    if engine == "ppe":
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(work, case).result()
    with mp.get_context(engine).Pool(1) as pool:
        return pool.apply(work, (case,))


if __name__ == "__main__":
    try:
        ask(*sys.argv[1:3])
    except Exception as error:
        print(type(error).__mro__[0].__name__, [getattr(error, name, None) for name in ("a", "code", "kept", "x", "reason", "filename", "tries")])
        raise
"""
CASES = {
    "two": ("TwoArguments: 1 and 2", "TwoArguments [1,"),
    "keyword": ("KeywordOnly: ('code', 3)", "KeywordOnly [None, 3,"),
    "lock": ("HoldsLock: locked", "HoldsLock [None, None, 7,"),
    "slots": ("Slots: slots", "Slots [None, None, None, 5,"),
    "frozen": ("Frozen: f", "Frozen ["),
    "reduce": ("OwnReduce: r", "OwnReduce ["),
    "badstr": ("BadStr: <exception str() failed>", "BadStr ["),
    "unicode": ("Unicode: 'utf-8' codec can't decode byte 0x61 in position 0: why", "Unicode [None, None, None, None, 'why'"),
    "file": ("File: [Errno 2] gone: 'data.csv'", "File [None, None, None, None, None, 'data.csv', 3]"),
    "setstate": ("SetState: a", "SetState ["),
    "json": ("json.decoder.JSONDecodeError: Expecting property name", "JSONDecodeError ["),
    "local": ("work.<locals>.Local: loc", "LookupError ["),
    "lockarg": ("ValueError: ('bad', ", "ValueError ["),
    "memory": ("MemoryError", "MemoryError ["),
}


@pytest.mark.parametrize("engine", ["ppe", "fork", "spawn"])
@pytest.mark.parametrize("case", CASES)
def test_an_exception_arrives_as_itself(run, case, engine):
    final, caught = CASES[case]

    ran = run(PROGRAM, case, engine, timeout=60)

    assert ran.last.startswith(final), ran.stderr
    assert ran.stdout.startswith(caught), ran.stdout
    assert any(head.endswith("in work") for head in ran.heads), ran.stderr
    assert ran.status == 1


@pytest.mark.parametrize("case", ["lock", "local", "lockarg"])
def test_what_could_not_travel_is_said(run, case):
    assert "lost on the way from the worker" in run(PROGRAM, case, "ppe").stderr


def test_a_cause_stays_with_an_exception_that_had_to_be_rebuilt(run):
    ran = run(PROGRAM, "chained", "fork")

    assert ran.last.startswith("caused by KeyError: 'k', at ")
    assert "The above exception was the direct cause of the following exception:" in ran.stderr


def test_one_that_breaks_the_engine_itself_ends_as_ever(run):
    ours, bare = run(PROGRAM, "unaskable", "ppe", timeout=60), run(PROGRAM, "unaskable", "ppe", timeout=60, autotb="0")

    assert ours.stdout == bare.stdout
    assert ours.stdout.startswith("BrokenProcessPool ")


@pytest.mark.parametrize("case", ["two", "lock"])
def test_without_rescue_the_engine_fails_as_ever(run, case):
    ours = run(PROGRAM, case, "ppe", AUTOTB_RESCUE="0")
    bare = run(PROGRAM, case, "ppe", autotb="0")

    assert ours.stdout == bare.stdout
    assert ours.status == bare.status == 1


BUILTINS = """\
import builtins, sys
from concurrent.futures import ProcessPoolExecutor

MADE = {
    "UnicodeDecodeError": ("utf-8", b"abc", 0, 1, "why"),
    "UnicodeEncodeError": ("ascii", "abc", 0, 1, "why"),
    "UnicodeTranslateError": ("abc", 0, 1, "why"),
    "ExceptionGroup": ("many", [ValueError(1)]),
    "BaseExceptionGroup": ("many", [ValueError(1)]),
    **dict.fromkeys(("SyntaxError", "IndentationError", "TabError", "_IncompleteInputError"), ("text", ("f.py", 3, 4, "line"))),
}
KINDS = [kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, Exception)]
CLASSES = {}
for kind in KINDS:
    def __init__(self, needed, *rest, _kind=kind):
        _kind.__init__(self, needed, *rest)
        self.needed = needed

    def __new__(cls, *args, _kind=kind, **kwargs):
        return _kind.__new__(cls, *args)

    name = "My" + kind.__name__
    namespace = {"__module__": __name__, "__qualname__": name}
    class_ = type(name, (kind,), namespace)
    def broken(self, *, never):
        pass
    class_.__init__ = broken
    globals()[name] = CLASSES[kind.__name__] = class_


def work(name):
    class_ = CLASSES[name]
    kind = class_.__mro__[1]
    args = MADE.get(name, ("text", 2))
    error = kind.__new__(class_, *args)
    kind.__init__(error, *args)
    error.extra = 11
    raise error


if __name__ == "__main__":
    failed = []
    with ProcessPoolExecutor(1) as pool:
        for name in CLASSES:
            kind = CLASSES[name].__mro__[1]
            direct = kind(*MADE.get(name, ("text", 2)))
            try:
                pool.submit(work, name).result()
            except CLASSES[name] as error:
                same = all(getattr(error, key, None) == getattr(direct, key, None) for key in ("args", "errno", "strerror", "filename", "code", "name", "reason", "start", "value", "msg", "lineno") if key != "args" or "Group" not in name)
                if not same or error.extra != 11 or str(error) != str(direct):
                    failed.append((name, str(error), str(direct), vars(error)))
            except BaseException as error:
                failed.append((name, type(error), str(error)))
    print(len(CLASSES), failed)
"""


def test_every_builtin_exception_as_base_survives_an_init_that_cannot_be_called(run):
    ran = run(BUILTINS)

    count, _, failed = ran.stdout.partition(" ")
    assert int(count) > 40, ran.stderr
    assert failed.strip() == "[]"


SIGNALS = """
import multiprocessing as mp
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

def work(case):
    if case == "interrupt":
        raise KeyboardInterrupt("from the task")
    sys.exit(3)

if __name__ == "__main__":
    case, engine = sys.argv[1:3]
    if engine in ("ppe", "threads"):
        with (ProcessPoolExecutor if engine == "ppe" else ThreadPoolExecutor)(1) as pool:
            pool.submit(work, case).result()
    elif engine == "ThreadPool":
        with ThreadPool(1) as pool:
            pool.apply(work, (case,))
    else:
        with mp.get_context(engine).Pool(1) as pool:
            pool.map(work, [case])
"""


@pytest.mark.parametrize("engine", ["ppe", "threads", "ThreadPool", "fork", "spawn"])
def test_system_exit_of_a_task_ends_the_program_with_its_status(run, engine):
    assert run(SIGNALS, "exit", engine, timeout=60).status == 3


@pytest.mark.parametrize("engine", ["ppe", "threads", "ThreadPool", "fork"])
def test_keyboard_interrupt_of_a_task_reaches_the_caller(run, engine):
    ran = run(SIGNALS, "interrupt", engine, timeout=60)

    assert ran.last == "KeyboardInterrupt: from the task"
    assert ran.status == -2


INITIALIZER = """
import multiprocessing as mp
import sys

def connect(url):
    raise ConnectionError(f"no server at {url}")

def work(x):
    return x

if __name__ == "__main__":
    method = sys.argv[2]
    with mp.get_context(sys.argv[1]).Pool(2, initializer=connect, initargs=("http://u:secret1@h",)) as pool:
        if method == "map":
            pool.map(work, range(5))
        elif method == "apply":
            pool.apply(work, (1,))
        elif method == "imap":
            list(pool.imap(work, range(5)))
        else:
            list(pool.imap_unordered(work, range(5)))
"""


@pytest.mark.parametrize(
    "start, method", [("fork", "map"), ("fork", "apply"), ("fork", "imap"), ("fork", "unordered"), ("spawn", "map")]
)
def test_a_pool_whose_initializer_fails_tells_its_error(run, start, method):
    ran = run(INITIALIZER, start, method, timeout=60)

    assert ran.last == "ConnectionError: no server at http://u:secret1@h"
    assert "in the initializer of a pool worker" in ran.stderr
    assert "connect(url='http://u:***@h')" in ran.stderr
    assert ran.stderr.count("ConnectionError: no server") == 1
    assert ran.status == 1


INITIALIZERS = """
import multiprocessing as mp
import threading, time, traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import ThreadPool

def bad():
    1 / 0

def hook(args):
    if not told.is_set():  # the pool starts one thread after the other
        print("".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)))
        told.set()

threading.excepthook = hook

if __name__ == "__main__":
    told = threading.Event()
    with ProcessPoolExecutor(1, initializer=bad, mp_context=mp.get_context("spawn")) as pool:
        try:
            pool.submit(print).result()
        except Exception as error:
            print(type(error).__name__)
    pool = ThreadPool(1, bad)
    told.wait(20)
    pool.terminate()
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a frame that raises again stays in the traceback")
def test_what_programs_and_logs_see_of_a_failing_initializer_has_no_frame_of_ours(run):
    ours, bare = run(INITIALIZERS, AUTOTB_LOGGING="0"), run(INITIALIZERS, autotb="0")

    assert "in bad" in bare.stderr
    assert "in bad" in bare.stdout
    assert (ours.stdout, ours.stderr) == (bare.stdout, bare.stderr)


CAUGHT = """
import pickle, subprocess, sys, traceback
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

class Error(Exception):
    pass

def work():
    error = Error("text", 1)
    error.extra = [1]
    raise error

if __name__ == "__main__":
    for kind in (ProcessPoolExecutor, ThreadPoolExecutor):
        with kind(1) as pool:
            try:
                pool.submit(work).result()
            except Error as caught:
                shown = [type(caught).__name__, str(caught), repr(caught), caught.args, caught.extra, type(caught.__cause__).__name__]
                mine = {key for key in vars(caught)} - {"extra"}
                print(shown, sorted(mine - {"__autotb__"}))
                data = pickle.dumps(caught)
                print(b"autotb." in data)
                code = "import __main__, pickle, sys; __main__.Error = type('Error', (Exception,), {}); e = pickle.loads(bytes.fromhex(sys.argv[1])); print(e.args, e.extra)"
                done = subprocess.run([sys.executable, "-S", "-I", "-c", code, data.hex()], capture_output=True, text=True, timeout=60)
                print(done.stdout, done.stderr)
                if sys.version_info >= (3, 11):
                    print(len(traceback.format_exc().splitlines()))
"""


def test_a_caught_exception_is_as_the_program_made_it(run):
    """Type, text, attributes, cause and pickle are those of a run without autotb, but for one key of plain builtins.

    So is the traceback under the switch.
    """
    ours, bare = run(CAUGHT, AUTOTB_TRACEBACK="0"), run(CAUGHT, autotb="0")

    assert ours.stdout == bare.stdout
    assert "True" not in ours.stdout
    assert ours.stderr == bare.stderr == ""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 has no exception groups of its own")
def test_a_group_from_a_worker_is_a_tree_whose_members_keep_their_causes(run):
    ran = run(
        """
        from concurrent.futures import ProcessPoolExecutor

        def load(x):
            try:
                return {}["id"]
            except KeyError as error:
                raise ValueError(f"row {x}") from error

        def work():
            errors = []
            for x in (1, 2):
                try:
                    load(x)
                except ValueError as error:
                    errors.append(error)
            raise ExceptionGroup("rows", [*errors, ExceptionGroup("inner", [TypeError("t")])])

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                pool.submit(work).result()
        """
    )

    assert ran.last == "ExceptionGroup: rows (3 sub-exceptions)"
    assert ran.stderr.count("KeyError: 'id'") == 2
    assert "│ ValueError: row 1" in ran.stderr
    assert "│ │ TypeError: t" in ran.stderr
    assert "│ ExceptionGroup: inner (1 sub-exception)" in ran.stderr
    assert len([head for head in ran.heads if head.endswith("in load")]) == 4


SPLIT = """
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

def load(x):
    try:
        return {}["id"]
    except KeyError as error:
        raise ValueError(f"row {x}") from error

def inner(count):
    errors = []
    for x in range(count):
        try:
            load(x)
        except ValueError as error:
            errors.append(error)
    raise ExceptionGroup("inner", errors)

def work(count):
    try:
        open("/missing")
    except OSError as missing:
        try:
            inner(count)
        except ExceptionGroup as error:
            raise ExceptionGroup("rows", [error, TypeError("t")]) from missing

if __name__ == "__main__":
    with POOL as pool:
        try:
            pool.ASKS
        except* TypeError:
            print("handled")
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="except* came with Python 3.11")
@pytest.mark.parametrize(
    ("pool", "asks"), [("ProcessPoolExecutor(1)", "submit(work, 2).result()"), ("mp.Pool(1)", "apply(work, (2,))")]
)
def test_what_except_star_leaves_of_a_workers_group_has_the_whole_story(shows, pool, asks):
    def check(ran):
        assert (ran.status, ran.stdout) == (1, "handled\n")
        assert ran.last.startswith("caused by FileNotFoundError")
        assert "submitted at" in ran.stderr and "│ work(count=2)" in ran.stderr
        assert "During handling of the above exception" not in ran.stderr  # nor is any member told in a chain
        assert ran.stderr.count("direct cause") == 3  # of each row, and of the group
        assert ran.stderr.index("FileNotFoundError") < ran.stderr.index("KeyError: 'id'")
        assert "+---" not in ran.stderr
        assert [head.rpartition(" ")[2] for head in ran.heads if head.endswith((" work", " inner"))][:3] == [
            "work",
            "work",
            "work",
        ]

    shows(SPLIT.replace("POOL", pool).replace("ASKS", asks), check)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 has no exception groups of its own")
def test_the_cause_of_a_group_which_a_member_was_raised_in_as_well_is_told_once(shows):
    def check(ran):
        assert ran.stderr.count("No such file or directory: '/missing'") == 2  # the last line names it
        assert ran.stderr.index("FileNotFoundError") < ran.stderr.index("in a process-pool worker")

    code = SPLIT.replace("POOL", "ProcessPoolExecutor(1)").replace("ASKS", "submit(work, 2).result()")
    shows(code.replace("except* TypeError", "except LookupError"), check)
