"""The traceback that an exception from another process has: what programs see of it that walk tracebacks, and the switch."""

import re
import sys

PROGRAM = """
import asyncio
import copy
import gc
import inspect
import pickle
import sys
import traceback
import warnings
import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import Pool

if sys.version_info < (3, 15):  # which warns of a main program's own frames
    warnings.simplefilter("error")


def ratio(clicks, views):
    return clicks / views


def score(clicks):
    return ratio(clicks, 0)


def caught(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error


def many():
    raise ExceptionGroup("two", [caught(score, 1), caught(score, 2)])


def given(error):
    raise error


def nested():
    with ProcessPoolExecutor(1) as inner:
        inner.submit(score, 2).result()


class Mine(Exception):
    pass


def mine():
    raise Mine


def names(error):
    return " ".join(frame.name for frame in traceback.extract_tb(error.__traceback__)) or "-"


def tell(what, *said):
    print(f"{what}:", *said, flush=True)


async def awaited(pool):
    loop = asyncio.get_running_loop()
    future = asyncio.wrap_future(pool.submit(score, 1))
    for name, waiting in (("run_in_executor", loop.run_in_executor(pool, score, 1)), ("wrap_future", future)):
        try:
            await waiting
        except ZeroDivisionError as error:
            tell(name, names(error))


def walk(error):
    tb = error.__traceback__
    while tb is not None:
        frame = tb.tb_frame
        assert frame.f_back is None and frame.f_trace is None and frame.f_lineno == tb.tb_lineno
        assert inspect.getmodule(frame) is sys.modules["__main__"] and frame.f_builtins["len"] is len
        assert "__unittest" not in frame.f_globals
        tell("frame", frame.f_globals["__name__"], frame.f_code.co_name, inspect.getframeinfo(tb).code_context)
        tb = tb.tb_next
    tell("inner", [frame.function for frame in inspect.getinnerframes(error.__traceback__)])
    traceback.clear_frames(error.__traceback__)
    tell("cleared", names(error))
    tell("stripped", names(error.with_traceback(None)))


def main():
    with ProcessPoolExecutor(1) as pool, ThreadPoolExecutor(1) as threads:
        future = pool.submit(score, 1)
        first = future.exception()
        tell("exception", names(first))
        tell("asked", names(caught(future.result)))
        tell("asked again", names(caught(future.result)))
        tell("sent on", names(pool.submit(given, pool.submit(score, 1).exception()).exception()))
        tell("nested", names(pool.submit(nested).exception()))
        tell("thread", names(threads.submit(score, 1).exception()))
        tell("mapped", names(caught(list, pool.map(score, [1]))))
        with Pool(1) as other:
            tell("Pool", names(caught(other.map, score, [1])))
        if sys.version_info >= (3, 11):
            group = pool.submit(many).exception()
            tell("group", names(group), "|", *map(names, group.exceptions))
        error = pool.submit(score, 1).exception()
        for copied in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
            tell("copied", names(copied))
        walk(error)
        asyncio.run(awaited(pool))
        gone = pool.submit(mine).exception()
        tell("mine", names(gone))
        gone = weakref.ref(gone)
        gc.collect()
        tell("freed", gone() is None)


if __name__ == "__main__":
    main()
"""

WITH = """
exception: score ratio
asked: caught result __get_result score ratio
asked again: caught result __get_result caught result __get_result score ratio
sent on: given score ratio
nested: nested score ratio
thread: run score ratio
mapped: caught … score ratio
Pool: caught map get score ratio
group: many | caught score ratio caught score ratio
copied: -
copied: -
copied: -
frame: __main__ score ['    return ratio(clicks, 0)\\n']
frame: __main__ ratio ['    return clicks / views\\n']
inner: ['score', 'ratio']
cleared: score ratio
stripped: -
run_in_executor: awaited score ratio
wrap_future: awaited score ratio
mine: mine
freed: True
"""
WITHOUT = """
exception: -
asked: caught result __get_result
asked again: caught result __get_result caught result __get_result
sent on: -
nested: -
thread: run score ratio
mapped: caught …
Pool: caught map get
group: - | - -
copied: -
copied: -
copied: -
inner: []
cleared: -
stripped: -
run_in_executor: awaited
wrap_future: awaited
mine: -
freed: True
"""


def test_what_walks_tracebacks_finds_the_workers_frames_and_nothing_else_that_is_new(run):
    ran, off, bare = run(PROGRAM), run(PROGRAM, AUTOTB_TRACEBACK="0"), run(PROGRAM, autotb="0")

    for each in (ran, off, bare):
        printed = each.stdout.replace(" <autotb>", "")  # before 3.11 a frame that raises again stays in the traceback
        printed = printed.replace("run run", "run").replace(
            "__mp_main__", "__main__"
        )  # threads, and the way to start, since 3.14
        each.stdout = re.sub(r"(?<=^mapped: caught ).*__get_result", "…", printed, flags=re.M)
        assert each.stderr == "", each.stderr
    assert ran.stdout.split("\n") == [line for line in WITH.lstrip("\n").split("\n") if is_here(line)]
    assert bare.stdout.split("\n") == [line for line in WITHOUT.lstrip("\n").split("\n") if is_here(line)]
    assert off.stdout == bare.stdout


def is_here(line):
    return sys.version_info >= (3, 11) or not line.startswith("group")


STORY = """
    from concurrent.futures import ProcessPoolExecutor

    def ratio(clicks, views):
        return clicks / views

    def score(clicks):
        return ratio(clicks, 0)

    def nested():
        with ProcessPoolExecutor(1) as inner:
            inner.submit(score, 2).result()

    def again(future):
        try:
            future.result()
        except ZeroDivisionError:
            return future.result()

    if __name__ == "__main__":
        with ProcessPoolExecutor(1) as pool:
            again(pool.submit(nested))
"""


def test_our_own_story_is_the_same(run):
    shown = [without_numbers(run(STORY, AUTOTB_TRACEBACK=switch, AUTOTB_FRAMES="all").stderr) for switch in "10"]

    assert shown[0] == shown[1]
    assert shown[0].count("in score") == 1


def without_numbers(text):
    return re.sub(r"pid \d+|Thread-\d+", "…", text)


def test_another_error_that_is_given_the_traceback_tells_the_workers_part(shows):
    def check(ran):
        assert ran.heads[-2:] == ["main.py:8 in score", "main.py:5 in ratio"]
        assert "in a process-pool worker, pid" in ran.stderr
        assert ran.last == "ValueError: other"

    code = STORY.replace(
        "            again(pool.submit(nested))\n",
        """\
            try:
                pool.submit(score, 1).result()
            except ZeroDivisionError as error:
                other = ValueError("other").with_traceback(error.__traceback__)
        raise other from None
""",
    )
    shows(code, check, AUTOTB_STYLE="rich")
