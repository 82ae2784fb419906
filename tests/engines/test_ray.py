"""Ray, a real local cluster: one program shows every kind of failure through ``sys.excepthook``, one fails for good."""

from __future__ import annotations

import re
import sys

import pytest

from tests import programs
from tests.engines import kit
from tests.engines.declared import Engine
from tests.programs import sections

PROGRAM = """\
import asyncio
import json
import sys
import threading
import traceback

import ray


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


class HoldsLock(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()


def divide(a, b):
    return a / b


@ray.remote
def task(x, password="p4ss"):
    local = x + 1
    return divide(local, x)


@ray.remote
def passes(x):
    return x


@ray.remote
def nested(x):
    return ray.get(task.remote(x))


@ray.remote
def raises(kind):
    if kind == "two":
        raise TwoArguments(1, 2)
    if kind == "lock":
        raise HoldsLock("locked")
    if kind == "json":
        json.loads("{")
    if kind == "group":
        try:
            divide(1, 0)
        except ZeroDivisionError as error:
            raise ExceptionGroup("group", [error]) from None
    try:
        divide(1, 0)
    except ZeroDivisionError as error:
        raise ValueError("chained") from error


@ray.remote
class Actor:
    def __init__(self, x):
        divide(1, x)

    def method(self, x):
        return divide(1, x)


@ray.remote
class AsyncActor:
    async def method(self, x):
        return divide(1, x)


@ray.remote(num_returns="streaming")
def generate(n):
    yield 1
    divide(n, 0)


def get_task():
    ray.get(task.remote(0))


def get_nested():
    ray.get(nested.remote(0))


def get_list():
    refs = [task.remote(1), task.remote(0)]
    ray.get(refs)


def get_dependent():
    ray.get(passes.remote(task.remote(0)))


def wait_then_get():
    done, _ = ray.wait([task.remote(0)])
    ray.get(done[0])


def get_method():
    actor = Actor.remote(1)
    ray.get(actor.method.remote(0))


def get_broken_actor():
    actor = Actor.remote(0)
    ray.get(actor.method.remote(1))


def await_method():
    actor = AsyncActor.remote()

    async def awaiting():
        return await actor.method.remote(0)

    asyncio.run(awaiting())


def await_task():
    async def awaiting():
        return await task.remote(0)

    asyncio.run(awaiting())


def get_generated():
    for ref in generate.remote(1):
        ray.get(ref)


def get_two():
    ray.get(raises.remote("two"))


def get_lock():
    ray.get(raises.remote("lock"))


def get_json():
    ray.get(raises.remote("json"))


def get_chained():
    ray.get(raises.remote("chained"))


def get_group():
    if sys.version_info >= (3, 11):
        ray.get(raises.remote("group"))


CASES = [get_group, get_task, get_nested, get_list, get_dependent, wait_then_get, get_method, get_broken_actor, await_method,
         await_task, get_generated, get_two, get_lock, get_json, get_chained]


def main():
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    if len(sys.argv) > 1:
        return globals()[sys.argv[1]]()
    for case in CASES:
        sys.stderr.write(f"=== {case.__name__}\\n")
        sys.stderr.flush()
        try:
            case()
        except Exception as error:
            print(case.__name__, [cls.__name__ for cls in type(error).__mro__[:3]], isinstance(error, ray.exceptions.RayError))
            sys.excepthook(type(error), error, error.__traceback__)
            if case in (get_chained, get_group):
                sys.stderr.write(f"=== {case.__name__}_printed\\n")
                traceback.print_exception(type(error), error, error.__traceback__)


if __name__ == "__main__":
    main()
"""

#: What ``test_degrading`` runs, with one name after another gone.
BROKEN = """\
import os
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
import ray
import cases

def task(task):
    return ray.get(ray.remote(task).remote(0))

class Actor:
    def call(self, task):
        return task(0)

def actor(task):
    return ray.get(ray.remote(Actor).remote().call.remote(task))

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    ray.init(num_cpus=1, include_dashboard=False, logging_level=40, runtime_env={"env_vars": {"PYTHONPATH": here + os.pathsep + os.environ.get("PYTHONPATH", "")}})
    cases.run(globals())
"""

ENGINES = {
    "ray": Engine(
        requires=("ray>=2.9",),
        parts=("grpcio-reflection", "mmh3"),  # for Serve, whose own extra wants a newer FastAPI than Prefect takes
        oldest=("ray==2.9.3", "setuptools<80"),
        also=("../postmortem/test_engines.py", "-k", "ray or actor"),
        costly=True,
        main=BROKEN,
        cases=("task:ok", "task:score", "actor:score"),
        unsendable="import ray\ndef main():\n    ray.init(num_cpus=1, include_dashboard=False, logging_level=40)\n"
        "    return ray.get(ray.remote(lambda x: id(x)).remote(LOCK))",
    ),
}
#: case: the frames after ``main`` and the last line
EXPECTED = {
    "get_task": (["get_task", "task", "divide"], "ZeroDivisionError: division by zero"),
    "get_nested": (["get_nested", "nested", "task", "divide"], "ZeroDivisionError: division by zero"),
    "get_list": (["get_list", "task", "divide"], "ZeroDivisionError: division by zero"),
    "get_dependent": (["get_dependent", "task", "divide"], "ZeroDivisionError: division by zero"),
    "wait_then_get": (["wait_then_get", "task", "divide"], "ZeroDivisionError: division by zero"),
    "get_method": (["get_method", "method", "divide"], "ZeroDivisionError: division by zero"),
    "get_broken_actor": (["get_broken_actor", "__init__", "divide"], "ZeroDivisionError: division by zero"),
    "await_method": (["await_method", "awaiting", "method", "divide"], "ZeroDivisionError: division by zero"),
    "await_task": (["await_task", "awaiting", "task", "divide"], "ZeroDivisionError: division by zero"),
    "get_generated": (["get_generated", "generate", "divide"], "ZeroDivisionError: division by zero"),
    "get_two": (["get_two", "raises"], "TwoArguments: 1 and 2"),
    "get_lock": (["get_lock", "raises"], "HoldsLock: locked"),
    "get_json": (["get_json", "raises", "raw_decode"], "json.decoder.JSONDecodeError: Expecting property name"),
    "get_chained": (["raises", "divide", "get_chained", "raises"], "caused by ZeroDivisionError: division by zero, at "),
}


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    ours = programs.run(tmp_path_factory.mktemp("ray"), PROGRAM)
    bare = programs.run(tmp_path_factory.mktemp("ray"), PROGRAM, autotb="0")
    return ours, bare


#: A line that a worker or the raylet wrote itself: Ray relays it when it gets to it, be another case under way by then.
RELAYED = re.compile(r"^(\x1b\[\d+m)?\((raylet|\w+ pid=\d+).*?\).*\n", re.M)


def check(name, text):
    frames, last = EXPECTED[name]
    text = RELAYED.sub("", text)
    ran = programs.Ran(1, "", text, None)
    shown = [head.partition(" in ")[2] for head in ran.heads]
    assert [head for head in shown if head != "main"] == [frame for frame in frames if frame != "main"], text
    assert ran.last.startswith(last), text
    assert "ray/" not in text.replace("test_ray/", "")
    assert "RayTaskError" not in text
    assert re.search(r"in a Ray (worker|actor), pid \d+", text)
    assert text.count("\n") <= 66 or name in ("get_json", "get_chained", "get_nested")


@pytest.mark.behaviour("S0-2", "S0-5", "S0-31", "S0-35")
@pytest.mark.parametrize("name", EXPECTED)
def test_every_kind_of_failure_is_one_short_story(stories, name):
    ours, bare = stories

    check(name, sections(ours.stderr)[name])
    with pytest.raises(AssertionError):
        check(name, sections(bare.stderr)[name])


def test_others_show_what_an_error_came_out_of_in_the_worker(stories):
    """Ray tells it in the error's message, as text."""
    ours, bare = (RELAYED.sub("", sections(ran.stderr)["get_chained_printed"]) for ran in stories)

    assert re.findall(r", in (\w+)$", ours, re.M) == ["raises", "divide", "main", "get_chained", "raises"]
    assert ours.count("return a / b") == bare.count("return a / b") == 1
    assert "direct cause" in ours and "ray::" not in ours
    assert ours.count("\n") <= bare.count("\n")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
@kit.newer  # older ones raise a TypeError of their own
def test_others_show_the_members_of_a_group_once(stories):
    ours, bare = (RELAYED.sub("", sections(ran.stderr)["get_group_printed"]) for ran in stories)

    assert ours.count("return a / b") == bare.count("return a / b") == 1
    assert "ray::" not in ours and ours.count("ZeroDivisionError: division by zero") == 1


@kit.newer
def test_the_program_catches_the_same_exceptions(stories):
    ours, bare = stories
    rescued = ("get_two", "get_lock")

    def kept(stdout):
        return [line for line in stdout.splitlines() if not line.startswith(rescued)]

    assert kept(ours.stdout) == kept(bare.stdout)
    assert "get_two ['RayTaskError(TwoArguments)'" in ours.stdout


def test_submit_place_arguments_and_secrets(stories):
    text = sections(stories[0].stderr)["get_list"]

    assert re.search(r"submitted at \S+main\.py:\d+ in get_list", text)
    assert "task(x=0, password=***)" in text


@pytest.mark.behaviour("S0-37")
def test_a_failed_actor_is_told_once(stories):
    text = sections(stories[0].stderr)["get_broken_actor"]

    assert text.count("in __init__") == 1
    assert "the actor was not created: its __init__ failed" in text
    assert len(re.findall(r"^\S*\(Actor pid=", text, re.M)) <= 1
    assert "Exception raised in creation task" not in text[text.index("in __init__") :]  # where the story is, its copy is none


@pytest.mark.on_main()
def test_an_uncaught_error_ends_the_program_with_status_1(tmp_path):
    ran = programs.run(tmp_path, PROGRAM, "get_task")

    assert ran.status == 1
    assert ran.last == "ZeroDivisionError: division by zero"


@pytest.mark.on_main()
def test_a_task_whose_ref_was_dropped(tmp_path):
    ran = programs.run(
        tmp_path,
        """
        import sys, time
        import ray

        @ray.remote
        def task(x):
            return 1 / x

        ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
        task.remote(0)
        ray.get(task.remote(1))
        end = time.monotonic() + 60
        while not getattr(sys.modules.get("autotb.hooks.unretrieved_report"), "_used", 0) and time.monotonic() < end:
            time.sleep(0.05)
        """,
    )

    assert "was never retrieved, submitted at" in ran.stderr
    assert "RAY_IGNORE_UNHANDLED_ERRORS" not in ran.stderr
    assert ran.last == "ZeroDivisionError: division by zero"
    assert ran.status == 0


@pytest.mark.behaviour("S0-38")
@pytest.mark.parametrize(
    ("given", "seen"), [({}, "1 True"), ({"RAY_DEDUP_LOGS": "0"}, "0 False"), ({"AUTOTB_NOISE": "keep"}, "None True")]
)
def test_ray_reads_the_quiet_setting_as_it_is_imported(run, given, seen):
    ran = run("import os, ray\nprint(os.environ.get('RAY_DEDUP_LOGS'), ray._private.ray_constants.RAY_DEDUP_LOGS)", **given)

    assert ran.stdout.split("\n")[0] == seen, ran.stderr
