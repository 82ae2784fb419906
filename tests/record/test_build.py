"""The record: what it holds, its bounds, floods of failures."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from autotb.record import annotate, capture, pickling, schema
from autotb.record import build as records
from autotb.trace import build


def fail(depth, padding=""):
    big = [padding] * 3
    if depth:
        fail(depth - 1, padding)
    raise ValueError("x" * len(big))


def caught(*args):
    try:
        fail(*args)
    except ValueError as error:
        return error


@pytest.fixture(autouse=True)
def fresh():
    records._seen.clear()


@pytest.mark.behaviour("S1-58")
def test_a_record_is_plain_builtins_with_everything_the_story_needs():
    error = caught(2, "pad")
    tree = records.record(error, error.__traceback__, records.hop("test", "in a test", call="fail(2)"))

    assert records._size(tree) < records.MAX_RECORD
    assert b"autotb.trace" not in pickle.dumps(tree)
    assert set(tree) <= set(schema.forms(schema.Tree))
    assert set(tree["hops"][0]) <= set(schema.forms(schema.Hop))
    assert set(tree["hops"][0]["frames"][0]) <= set(schema.forms(schema.Frame))
    frame = tree["hops"][0]["frames"][-1]
    assert frame["name"] == "fail"
    assert frame["locals"]["big"] == "['pad', 'pad', 'pad']"
    assert frame["source"][1][frame["line"] - frame["source"][0]].strip() == 'raise ValueError("x" * len(big))'
    assert build.from_tree(tree).stack.type == "ValueError"


def test_a_record_stays_within_its_bounds_and_says_what_was_cut():
    names = {}
    for number in range(110):
        calls = "None" if number == 0 else f"f{number - 1}()"
        values = "".join(f"    v{i} = {'x' * 400!r}\n" for i in range(20))
        exec(f"def f{number}():\n{values}    {calls}\n    1 / {number or 0}\n", names)
    try:
        names["f109"]()
    except ZeroDivisionError as caught_error:
        error = caught_error
    tree = records.record(error, error.__traceback__, records.hop("test", "in a test"))

    assert records._size(tree) <= records.MAX_RECORD
    assert "local variables" in tree["cut"]


@pytest.mark.parametrize("failures", [1, 101])
def test_a_record_stays_within_its_bounds_whatever_code_says_of_its_file(failures):
    names = {}
    for number in range(30):
        calls = "1 / 0" if number == 0 else f"f{number - 1}()"
        exec(compile(f"def f{number}():\n    {calls}\n", "日" * 9_000 + str(number), "exec"), names)
    for _ in range(failures):
        try:
            names["f29"]()
        except ZeroDivisionError as caught_error:
            error = caught_error
        record = records.record(error, error.__traceback__, records.hop("test", "in a test"))

    assert len(pickle.dumps(record)) <= (records.MAX_RECORD if failures == 1 else 2 * records.MAX_RECORD)
    if failures == 1:
        assert "source lines" in record["cut"]
        assert record["hops"][0]["frames"][-1]["name"] == "f0"


def test_after_a_hundred_failures_from_one_place_records_are_light():
    for _ in range(records.FULL_RECORDS):
        error = caught(0)
        records.record(error, error.__traceback__, records.hop("test", "in a test"))
    error = caught(0)
    light = records.record(error, error.__traceback__, records.hop("test", "in a test", call="fail(0)"))
    annotate.attach(error, light)

    assert records._size(light) < 2_048
    tree = capture.attached(error)
    assert tree["hops"][0]["call"] == "fail(0)"
    assert tree["hops"][0]["frames"][-1]["name"] == "fail"
    assert tree["type"] == "ValueError"


def test_a_light_record_is_shown_with_this_machines_source(run):
    ran = run(
        """
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        import sys

        def work(x):
            # here
            return 1 / x

        if __name__ == "__main__":
            kind = ProcessPoolExecutor if sys.argv[1] == "p" else ThreadPoolExecutor
            with kind(1) as pool:
                for _ in range(150):
                    try:
                        pool.submit(work, 0).result()
                    except ZeroDivisionError:
                        pass
                pool.submit(work, 0).result()
        """,
        "p",
    )

    assert "   6 │     # here" in ran.stderr
    assert "work(x=0)" in ran.stderr
    assert "submitted at" in ran.stderr


def test_fit_to_travel_leaves_a_plain_exception_alone():
    error = ValueError("x", 1)

    assert pickling.fit_to_travel(error) == (error, [])


def test_a_record_of_a_later_version_is_ignored():
    error = ValueError("x")
    error.__dict__[capture.KEY] = {"v": 99, "hops": "something else"}

    assert capture.attached(error) is None
    assert build.build(error).stack.headline == "ValueError: x"


def test_versions_are_read_without_any_code_of_a_modules_own(run):
    """A module that is loaded on first use (importlib's LazyLoader), and one that answers for itself."""
    ran = run(
        """
        import importlib.util
        import sys
        import types
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        import numpy


        class Loud(types.ModuleType):
            def __getattribute__(self, name):
                print("asked for", name, flush=True)
                return super().__getattribute__(name)


        def lazily(name):
            spec = importlib.util.find_spec(name)
            spec.loader = importlib.util.LazyLoader(spec.loader)
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            return module


        rich = lazily("rich")
        loud = sys.modules["loud"] = Loud("loud")
        object.__getattribute__(loud, "__dict__")["__version__"] = "3"


        def fails(x):
            if x:
                rich.print, loud.anything
            numpy.zeros(1).no_such


        if __name__ == "__main__":
            with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
                try:
                    pool.submit(fails, 0).result()
                except AttributeError as error:
                    found = error.__dict__["__autotb__"]["hops"][0]["versions"]
                    print(sorted(found), type(rich).__name__)
        """
    )

    assert ran.stdout == "['numpy', 'python'] _LazyModule\n", ran.stdout + ran.stderr


TRAVELLERS = """
    from concurrent.futures import ProcessPoolExecutor

    def made(name, **more):
        return type(name, (ValueError,), more)

    def nested(depth):
        if depth == 0:
            return made("Inner")("lost")
        return ExceptionGroup(f"depth {depth}", [nested(depth - 1)])

    def failing(what):
        if what == "made":
            raise made("Made")("made")
        if what == "liar":
            raise made("Liar", __module__="builtins")("a liar")
        if what == "field":
            raise ImportError("a field", name=lambda: 0)
        if what == "odd traceback":  # which traceback itself cannot format
            from types import TracebackType

            error = ValueError("odd traceback")
            raise error.with_traceback(TracebackType(None, __import__("sys")._getframe(), 10_000, 1))
        raise nested(8)

    if __name__ == "__main__":
        pool = ProcessPoolExecutor(1)
        for what in ("made", "liar", "field", "odd traceback", "deep"):
            try:
                if what == "deep" and not hasattr(__builtins__, "ExceptionGroup"):
                    what = "made"
                pool.submit(failing, what).result()
            except Exception as error:
                print(type(error).__name__, str(error).partition(" (")[0])
"""


def test_an_exception_of_a_class_that_no_name_leads_to_arrives(shows):
    def check(ran):
        lines = ran.stdout.splitlines()
        assert lines[:4] == ["ValueError made", "ValueError a liar", "ImportError a field", "ValueError odd traceback"], ran
        assert lines[4] in ("ExceptionGroup depth 8", "ValueError made")

    shows(TRAVELLERS, check)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_tells_its_own_rank(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    records._job.cache_clear()
    assert records.hop("test", "in a test")["job"]["RANK"] == "0"

    with ProcessPoolExecutor(
        1, mp_context=get_context("fork"), initializer=os.environ.__setitem__, initargs=("RANK", "3")
    ) as pool:
        assert pool.submit(records.hop, "test", "in a test").result(timeout=60)["job"]["RANK"] == "3"
    records._job.cache_clear()
