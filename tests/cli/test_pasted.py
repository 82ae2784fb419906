"""Text that is pasted, of any engine and machine, with anything around it, is told as the story that it has."""

from __future__ import annotations

import subprocess
import sys

import pytest

from autotb.cli import pasted
from autotb.cli.surroundings import HEADER
from autotb.record import ownership
from autotb.trace.phrases import CAUSED
from tests import programs

LIB = "/home/me/.venv/lib/python3.11/site-packages"
PLAIN = """Traceback (most recent call last):
  File "/app/main.py", line 9, in <module>
    main()
  File "/app/main.py", line 5, in main
    return 1 / 0
           ~~^~~
ZeroDivisionError: division by zero
"""
POOL = '''{module}RemoteTraceback: 
"""
Traceback (most recent call last):
  File "/usr/lib/python3.11/concurrent/futures/process.py", line 263, in _process_worker
    r = call_item.fn(*call_item.args, **call_item.kwargs)
  File "/app/main.py", line 5, in work
    return 1 / x
           ~~^~~
ZeroDivisionError: division by zero
"""

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/main.py", line 9, in <module>
    pool.submit(work, 0).result()
  File "/usr/lib/python3.11/concurrent/futures/_base.py", line 456, in result
    return self.__get_result()
ZeroDivisionError: division by zero
'''  # noqa: W291
RAY = f"""Traceback (most recent call last):
  File "/app/main.py", line 23, in <module>
    ray.get(outer.remote(0))
  File "{LIB}/ray/_private/worker.py", line 2822, in get
    values = worker.get_objects(object_refs)
ray.exceptions.RayTaskError(ZeroDivisionError): \x1b[36mray::outer()\x1b[39m (pid=4242, ip=10.0.0.3)
  File "/app/main.py", line 27, in outer
    return ray.get(inner.remote(x))
ray.exceptions.RayTaskError(ZeroDivisionError): \x1b[36mray::inner()\x1b[39m (pid=4243, ip=10.0.0.3)
  File "/app/main.py", line 4, in inner
    return 1 / x
ZeroDivisionError: division by zero
"""
RAY_CHAINED = """Traceback (most recent call last):
  File "/app/main.py", line 23, in <module>
    ray.get(chained.remote(0))
ray.exceptions.RayTaskError(ValueError): ray::chained() (pid=4242, ip=10.0.0.3)
  File "/app/main.py", line 9, in chained
    {}["a"]
KeyError: 'a'

The above exception was the direct cause of the following exception:

ray::chained() (pid=4242, ip=10.0.0.3)
  File "/app/main.py", line 11, in chained
    raise ValueError("b") from error
ValueError: b
"""
#: As Ray 2.60 prints it, but for a few of its frames.
REPLICA = (
    "pid=23969, ip=192.0.2.2, actor_id=04df075811b22bc993f08c6201000000"
    ", repr=<ray.serve._private.replica.ServeReplica:b:Back object at 0x7f55e62d65d0>"
)
RAY_SERVE = f"""Traceback (most recent call last):
  File "/app/main.py", line 83, in main
    case(x)
  File "/app/main.py", line 46, in handle
    answer.result()
  File "{LIB}/ray/serve/handle.py", line 595, in result
    return replica_result.get(remaining_timeout_s)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{LIB}/ray/serve/_private/replica_result.py", line 210, in get
    return ray.get(self.to_object_ref(), timeout=timeout_s)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{LIB}/ray/_private/worker.py", line 3009, in get
    values, debugger_breakpoint = worker.get_objects(
                                  ^^^^^^^^^^^^^^^^^^^
  File "{LIB}/ray/_private/worker.py", line 1053, in get_objects
    raise value.as_instanceof_cause()
ray.exceptions.RayTaskError(ZeroDivisionError): \x1b[36mray::ServeReplica:b:Back.handle_request_with_rejection()\x1b[39m ({REPLICA})
    async for result in self._replica_impl.handle_request_with_rejection(
  File "{LIB}/ray/serve/_private/replica.py", line 1820, in handle_request_with_rejection
    self._raise_user_exception(e, request_metadata)
  File "{LIB}/ray/serve/_private/replica.py", line 1756, in _raise_user_exception
    raise e
  File "{LIB}/ray/serve/_private/replica.py", line 1816, in handle_request_with_rejection
    yield await self._user_callable_wrapper.call_user_method(
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{LIB}/ray/serve/_private/replica.py", line 4612, in call_user_method
    result, _ = await self._call_func_or_gen(
                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{LIB}/ray/serve/_private/replica.py", line 3994, in _call_func_or_gen
    result = await to_thread.run_sync(run_callable)
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{LIB}/ray/serve/_private/replica.py", line 3977, in run_callable
    result = callable(*args, **kwargs)
             ^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/app/main.py", line 14, in go
    return inner(x)
           ^^^^^^^^
  File "/app/main.py", line 8, in inner
    return 1 / x
           ~~^~~
ZeroDivisionError: division by zero
"""
DASK = r"""2026-11-26 10:12:03,260 - distributed.worker - ERROR - Compute Failed
Key:       work-8bf9
State:     executing
Task:  <Task 'work-8bf9' work(...)>
Exception: "ZeroDivisionError('division by zero')"
Traceback: '  File "/app/main.py", line 4, in work\n    return 1 / x\n           ~~^~~\n'
"""
SPARK = f"""26/11/26 10:12:03 ERROR Executor: Exception in task 0.0
Traceback (most recent call last):
  File "/app/main.py", line 41, in <module>
    rdd.map(work).collect()
  File "{LIB}/py4j/protocol.py", line 327, in get_return_value
    raise Py4JJavaError(
py4j.protocol.Py4JJavaError: An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "{LIB}/pyspark/worker.py", line 1247, in main
    process()
  File "/app/main.py", line 4, in work
    return 1 / x
ZeroDivisionError: division by zero

	at org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:572)
	... 1 more
Driver stacktrace:
	at org.apache.spark.scheduler.DAGScheduler.failJobAndIndependentStages(DAGScheduler.scala:2856)
Caused by: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "{LIB}/pyspark/worker.py", line 1247, in main
    process()
  File "/app/main.py", line 4, in work
    return 1 / x
ZeroDivisionError: division by zero

	at org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:572)
"""
PARSL = f"""Traceback (most recent call last):
  File "/app/main.py", line 37, in <module>
    work(0).result()
  File "{LIB}/parsl/app/errors.py", line 138, in wrapper
    return func(*args, **kwargs)
^^^^^^^^^^^^^^^
  File "/app/main.py", line 4, in work
    return 1 / x
      ^^^^^^^^^^^
ZeroDivisionError: division by zero
"""


@pytest.fixture(autouse=True)
def facts(monkeypatch):
    known = pasted.engine_facts.facts
    monkeypatch.setattr(known, "own_modules", known.own_modules | {"ray", "parsl", "pyspark", "py4j"})


def told(text):
    """Of each story the hops: where, and the lines of the user's frames."""
    return [
        [(hop.where, [frame.line for frame in hop.frames if frame.kind == ownership.USER]) for hop in trace.stack.hops]
        for trace in pasted.traces(text)
    ]


def test_cpythons_own():
    (trace,) = pasted.traces(PLAIN)
    assert (trace.stack.headline, [frame.line for frame in trace.frames]) == ("ZeroDivisionError: division by zero", [9, 5])
    assert trace.frames[-1].failing_line == "return 1 / 0"


@pytest.mark.parametrize(
    ("module", "where"),
    [
        ("concurrent.futures.process._", "in a process-pool worker"),
        ("multiprocessing.pool.", "in a pool worker"),
        ("joblib.externals.loky.process_executor._", "in a loky worker"),
        ("another.pool._", "in a worker"),
    ],
)
def test_pools(module, where):
    text = POOL.replace("{module}", module)
    assert told(text) == [[("", [9]), (where, [5])]]
    (trace,) = pasted.traces(text)
    assert (trace.stack.message, trace.stack.cause) == ("division by zero", None)
    assert [frame.kind for frame in trace.frames] == ["user", "engine", "engine", "user"]


def test_ray():
    outer, inner = (f"in a Ray worker, pid={pid}, ip=10.0.0.3, {name}" for pid, name in ((4242, "outer"), (4243, "inner")))
    assert told(RAY) == [[("", [23]), (outer, [27]), (inner, [4])]]

    (trace,) = pasted.traces(RAY_CHAINED)
    assert (trace.stack.headline, trace.root_cause.headline) == ("ValueError: b", "KeyError: 'a'")
    assert [[frame.line for frame in hop.frames] for hop in trace.stack.hops] == [[23], [11]]


def test_an_actor_of_rays():
    where = "in a Ray actor, pid=23969, ip=192.0.2.2, ServeReplica:b:Back.handle_request_with_rejection"
    (trace,) = pasted.traces(RAY_SERVE)

    assert told(RAY_SERVE) == [[("", [83, 46]), (where, [14, 8])]]
    assert trace.stack.headline == "ZeroDivisionError: division by zero"
    named = RAY_SERVE.replace("<ray.serve._private.replica.ServeReplica:b:Back object at 0x7f55e62d65d0>", "Worker(rank=3)")
    assert told(named)[0][1][0] == where.replace("192.0.2.2", "192.0.2.2, repr=Worker(rank=3)")


def test_dask_parsl_and_spark():
    assert told(DASK) == [[("in a Dask worker, work-8bf9", [4])]]
    assert pasted.traces(DASK)[0].stack.headline == "ZeroDivisionError: division by zero"
    assert told(PARSL) == [[("", [37, 4])]]
    assert told(SPARK) == [[("", [41]), ("in a PySpark worker", [4])]]
    (trace,) = pasted.traces(SPARK)
    assert (trace.stack.headline, trace.stack.raised_as) == ("ZeroDivisionError: division by zero", "py4j.protocol.Py4JJavaError")


@pytest.mark.parametrize("prefix", ["> ", "    ", "web-1  | ", "(work pid=7) ", "\x1b[36m(work pid=7)\x1b[0m "])
def test_what_stands_before_every_line_is_left_out(prefix):
    text = "".join(prefix + line + "\n" for line in PLAIN.splitlines())
    (trace,) = pasted.traces(f"begun\n{text}")
    assert (trace.stack.headline, [frame.line for frame in trace.frames]) == ("ZeroDivisionError: division by zero", [9, 5])


def test_several_in_a_log_are_several_and_what_follows_is_no_message():
    log = "2026-11-26 10:12:03 INFO all is well\n"
    found = pasted.traces(log + PLAIN + log + PLAIN.replace("Zero", "Other") + "$ ls\n")
    assert [trace.stack.headline for trace in found] == [
        "ZeroDivisionError: division by zero",
        "OtherDivisionError: division by zero",
    ]


def test_lines_that_only_look_like_dasks_are_kept():
    assert (
        pasted.traces("Key: 7\n" + PLAIN.replace("ZeroDivisionError:", "Exception:"))[0].stack.headline
        == "Exception: division by zero"
    )


def test_the_lines_around_are_this_machines_only_where_they_agree(tmp_path):
    path = tmp_path / "main.py"
    path.write_text("# before\nreturn 1 / 0\n# after\n")
    text = PLAIN.replace("/app/main.py", str(path)).replace("line 5", "line 2")
    assert [text for _, text in pasted.traces(text)[0].frames[-1].source][:3] == ["# before", "return 1 / 0", "# after"]

    (tmp_path / "other.py").write_text("# before\nanother\n")
    assert pasted.traces(text.replace("main.py", "other.py"))[0].frames[-1].source == ((2, "return 1 / 0"),)


@pytest.mark.parametrize(
    "text", ["", "no traceback", "Traceback: it", "Traceback (most recent call last):\n", '"""\n', "\0" * 100]
)
def test_no_traceback(text):
    assert pasted.traces(text) == []


def test_a_text_without_its_beginning_or_its_end():
    frames = '  File "/a.py", line 3, in f\n    g()\n  File "/a.py", line 5, in g\n    raise KeyError\n'
    whole = f"{HEADER}\n{frames}KeyError\n"
    begun = f"    f()\n{frames}KeyError\n\n{CAUSED}\n\n{HEADER}\n{frames}ValueError: 1\n"

    (trace,) = pasted.traces(f"  some words\n{frames}KeyError\n")
    assert trace == pasted.traces(whole)[0]
    (trace,) = pasted.traces(begun)
    assert (trace.stack.type, trace.root_cause.type, len(trace.root_cause.frames)) == ("ValueError", "KeyError", 2)
    (trace,) = pasted.traces(f"{HEADER}\n{frames}")
    assert [frame.name for frame in trace.stack.frames] == ["f", "g"]
    assert trace.stack.final == ("[the text ends before it says what the error was]",)


def test_hostile_text_ends():
    text = "Traceback (most recent call last):\n" * 5_000 + 'x._RemoteTraceback: \n"""\n' * 5_000 + PLAIN * 200
    assert len(pasted.traces(text)) >= 1


def shown(text, folder):
    command = [sys.executable, "-m", "autotb", "show", "-"]
    return subprocess.run(command, input=text, cwd=folder, env=programs.environment(), capture_output=True, text=True, timeout=60)


def test_from_stdin(tmp_path):
    ran = shown(RAY, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("╭")
    assert "ray/_private" not in ran.stdout
    assert "1 engine frame hidden" in ran.stdout

    ran = shown("nothing", tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", "autotb show: -: there is no traceback in it\n")


def test_what_a_real_pool_prints_without_autotb(tmp_path):
    code = """
        from concurrent.futures import ProcessPoolExecutor

        def work(x):
            return 1 / x

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                pool.submit(work, 0).result()
        """
    ran = programs.run(tmp_path, code, autotb="0")
    assert told(ran.stderr) == [[("", [9]), ("in a process-pool worker", [5])]]


GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/app/main.py", line 9, in work
  |     raise ExceptionGroup("parts", errors)
  | ExceptionGroup: parts (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/main.py", line 4, in step
    |     raise ValueError("bad row")
    | ValueError: bad row
{bar}id: 17
{bar}views: 0
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File "/app/main.py", line 5, in step
    |     return 1 / 0
    | ZeroDivisionError: division by zero
    +------------------------------------
"""
#: As it comes from a worker: the members' frames stayed there.
ARRIVED = """
The above exception was the direct cause of the following exception:

  + Exception Group Traceback (most recent call last):
  |   File "/app/main.py", line 20, in <module>
  |     future.result()
  | ExceptionGroup: parts (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: bad row
{bar}id: 17
{bar}views: 0
    +---------------- 2 ----------------
    | ZeroDivisionError: division by zero
    +------------------------------------
"""


@pytest.mark.parametrize("bar", ["    | ", ""])  # CPython up to 3.11 has none before a message's further lines
def test_members_of_a_group_have_their_whole_messages(bar):
    first, second = pasted.traces(GROUP.format(bar=bar) + f"2026-11-26 13:00 the next line of a log\n{PLAIN}")
    group = first.stack

    assert group.headline == "ExceptionGroup: parts (2 sub-exceptions)"
    assert [member.headline for member in group.members] == [
        "ValueError: bad row\nid: 17\nviews: 0",
        "ZeroDivisionError: division by zero",
    ]
    assert [member.hops[0].frames[0].line for member in group.members] == [4, 5]
    assert second.stack.headline == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("bar", ["    | ", ""])
def test_a_group_from_a_worker_has_its_members_frames(bar):
    worker = GROUP.format(bar="    | ")
    (trace,) = pasted.traces(f'concurrent.futures.process._RemoteTraceback: \n"""\n{worker}"""\n{ARRIVED.format(bar=bar)}')

    assert trace.stack.cause is None
    assert [hop.where for hop in trace.stack.hops] == ["", "in a process-pool worker"]
    assert [member.hops[0].frames[0].line for member in trace.stack.members] == [4, 5]
    assert trace.stack.message == "parts (2 sub-exceptions)"
