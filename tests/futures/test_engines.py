"""``unwrap`` and ``collect`` on real Parsl, Ray and Dask."""

from __future__ import annotations

import re

import pytest

from tests import programs
from tests.programs import sections

PARSL = """\
import logging
import sys

import parsl
from parsl import Config, python_app
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl.providers import LocalProvider

import autotb


@python_app
def test_broken():
    def add(text, number):
        return text + number

    return add("text", 1)


@python_app
def test_import_error():
    import nonexistent_module


@python_app
def test_nested():
    try:
        raise ValueError("Inner error")
    except ValueError as error:
        raise RuntimeError("Outer error") from error


@python_app
def downstream(*given):
    return given


@python_app
def fails_at_first(path):
    with open(path, "a") as file:
        file.write("x")
    if len(open(path).read()) < 3:
        raise ConnectionError("not yet")
    return "done"


@python_app
def good(x):
    return x


def report(name, future, **options):
    print("===", name, flush=True)
    try:
        print("value", autotb.unwrap(future, name, **options))
    except Exception as error:
        print("raised", type(error).__name__)


def main():
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    logging.getLogger("parsl").setLevel(logging.CRITICAL)
    executor = HighThroughputExecutor(
        max_workers_per_node=1, address="127.0.0.1", cpu_affinity="none", provider=LocalProvider(init_blocks=1, max_blocks=1)
    )
    if sys.argv[1] == "threads":
        executor = ThreadPoolExecutor(max_threads=2)
    with parsl.load(Config(executors=[executor], initialize_logging=False)):
        for app in (test_broken, test_import_error, test_nested):
            report(app.__name__, app())
        first = test_broken()
        report("chain", downstream(downstream(first)))
        second = test_nested()
        report("two", downstream(first, second))
        a, b = downstream(first), downstream(first)
        report("diamond", downstream(a, b))
        report("unlabelled", good(1), max_retries=2)
        print("===", "wrong_keyword", flush=True)
        try:
            wrong = good(1, executor="other")
            autotb.unwrap(wrong, "wrong_keyword")
        except TypeError as error:
            print("raised", error)
        report("retried", fails_at_first(sys.argv[2]), max_retries=3, wait=0.01)
        print("===", "collected", flush=True)
        collected = autotb.collect({"ok": good(1), "bad": first, "behind": downstream(first)})
        print(sorted(collected.results), [failure.error for failure in collected.failures])
        print("===", "story", flush=True)
        print(collected)


if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module", params=["processes", "threads"])
def parsl(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parsl")
    ran = programs.run(folder, PARSL, request.param, str(folder / "calls"), timeout=200)
    assert ran.status == 0, ran.stdout + ran.stderr
    found = sections(ran.stdout)
    found["path"] = str(folder / "main.py")
    return found


def line_of(text):
    return next(number for number, line in enumerate(PARSL.split("\n"), 1) if text in line)


@pytest.mark.behaviour("S1-22", "S1-27", "S1-55")
def test_a_deliberate_type_error(parsl):
    text = parsl["test_broken"]

    assert text.startswith("[test_broken] FAILED in worker:\nTraceback (most recent call last):\n")
    assert f'  File "{parsl["path"]}", line {line_of("return text + number")}, in add\n' in text
    assert '\nTypeError: can only concatenate str (not "int") to str\n' in text
    assert "\nException type: TypeError\n" in text
    assert "raised TypeError" in text
    assert "parsl/" not in text.partition("Exception attributes")[0]


@pytest.mark.behaviour("S1-24", "S1-56")
def test_an_import_error(parsl):
    text = parsl["test_import_error"]

    assert f"line {line_of('import nonexistent_module')}, in test_import_error\n" in text
    assert "\nModuleNotFoundError: No module named 'nonexistent_module'\n" in text


@pytest.mark.behaviour("S1-16", "S1-57")
def test_a_nested_error(parsl):
    text = parsl["test_nested"]
    inner = text.index("\nValueError: Inner error\n")
    between = text.index("\nThe above exception was the direct cause of the following exception:\n")
    outer = text.index("\nRuntimeError: Outer error\n")

    assert inner < between < outer
    assert text.count("Traceback (most recent call last):") == 2


@pytest.mark.behaviour("S1-19", "S1-20", "S1-23", "S1-49")
def test_a_chain_of_dependent_tasks_is_told_by_its_root(parsl):
    text = parsl["chain"]

    assert 'TypeError: can only concatenate str (not "int") to str' in text
    assert f"line {line_of('return text + number')}, in add" in text
    assert "\nException type: TypeError\n" in text
    assert (
        len(re.findall(r"^skipped: downstream \(task \d+\) ← downstream \(task \d+\) ← test_broken \(task \d+\) ✗$", text, re.M))
        == 1
    )
    assert "raised DependencyError" in text
    (hint,) = re.findall(r"^hint: .*$", text, re.M)
    assert "inputs=[...]" in hint
    assert "upstream task" in hint


@pytest.mark.behaviour("S1-21")
def test_every_root_once(parsl):
    assert parsl["two"].count('TypeError: can only concatenate str (not "int") to str') == 1
    assert parsl["two"].count("RuntimeError: Outer error") == 1
    assert parsl["diamond"].count('TypeError: can only concatenate str (not "int") to str') == 1


@pytest.mark.behaviour("S1-25")
def test_a_mistake_of_the_submitting_side(parsl):
    text = parsl["wrong_keyword"]

    assert "unexpected keyword argument 'executor'" in text
    frames = re.findall(r'^  File "(.*)", line (\d+), in (\w+)$', text, re.M)
    assert (frames[-1][0], int(frames[-1][1])) == (parsl["path"], line_of('wrong = good(1, executor="other")'))
    assert ', in main\n    wrong = good(1, executor="other")\n' in text
    assert "in a Parsl worker" not in text


@pytest.mark.behaviour("S1-37")
def test_parsl_runs_a_task_anew(parsl):
    assert parsl["retried"].split("\n")[:3] == [
        "[retried] Retry 1/3 after: not yet",
        "[retried] Retry 2/3 after: not yet",
        "value done",
    ]


@pytest.mark.behaviour("S1-32")
def test_the_summary_names_root_causes(parsl):
    text = parsl["collected"]

    cause = 'TypeError: can only concatenate str (not "int") to str'
    assert f"⚠ FAILURE SUMMARY: 2 of 3 runs failed\n  • bad: {cause}\n  • behind: {cause}\n" in text
    assert parsl["story"].startswith("2 of 3 runs failed\n\nbad, behind:\nTraceback (most recent call last):\n")


RAY = """\
import logging
import sys

import ray

import autotb


@ray.remote
def divide(value):
    return 1 / value


@ray.remote
def same(value):
    return value


@ray.remote
def fails_at_first(path, times):
    with open(path, "a") as file:
        file.write("x")
    if len(open(path).read()) <= times:
        raise ConnectionError("not yet")
    return "done"


@ray.remote
class Counter:
    def __init__(self):
        self.calls = 0

    def count(self, times):
        self.calls += 1
        if self.calls <= times:
            raise ConnectionError("not yet")
        return self.calls


def main():
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    print("=== value", autotb.unwrap(same.remote(3), "good"), sep="\\n")
    print("=== failed")
    reference = divide.remote(0)
    try:
        autotb.unwrap(reference, "bad")
    except ZeroDivisionError as error:
        print("raised", isinstance(error, ray.exceptions.RayTaskError))
    print("=== retried")
    print(autotb.unwrap(fails_at_first.remote(sys.argv[1], 2), "net", max_retries=3, wait=0.01))
    print("=== not_retried")
    try:
        autotb.unwrap(fails_at_first.remote(ray.put(sys.argv[1]), 9), "net", max_retries=3)
    except ConnectionError as error:
        print("raised", error.__class__.__name__)
    print("=== of_an_actor")
    try:
        autotb.unwrap(Counter.remote().count.remote(1), "count", max_retries=3, wait=0)
    except ConnectionError as error:
        print("raised", error.__class__.__name__)
    print("=== dependent")
    try:
        autotb.unwrap(same.remote(fails_at_first.remote(sys.argv[1] + "2", 1)), "same", max_retries=3, wait=0)
    except ConnectionError as error:
        print("raised", error.__class__.__name__)
    print("=== expired")
    try:
        autotb.unwrap(ray.remote(lambda: __import__("time").sleep(60)).remote(), "slow", timeout=0.1)
    except TimeoutError as error:
        print("raised", type(error).__name__)
    print("=== collected")
    collected = autotb.collect([same.remote(1), divide.remote(0), same.remote(2)], ["a", "b", "c"])
    print(collected.results)


if __name__ == "__main__":
    main()
"""


@pytest.mark.on_main()
def test_ray(tmp_path):
    ran = programs.run(tmp_path, RAY, str(tmp_path / "calls"), timeout=200)
    assert ran.status == 0, ran.stdout + ran.stderr
    found = sections(ran.stdout)

    assert found["value"] == "3\n"
    assert found["failed"].startswith("[bad] FAILED in worker:\nTraceback (most recent call last):\n")
    assert "in divide\n    return 1 / value\n" in found["failed"]
    assert "\nException type: ZeroDivisionError\n" in found["failed"]
    assert found["failed"].endswith("raised True\n")
    assert found["retried"].split("\n")[:3] == ["[net] Retry 1/3 after: not yet", "[net] Retry 2/3 after: not yet", "done"]
    assert "[net] cannot be retried: Ray keeps no call" in found["not_retried"]
    assert (
        "[count] cannot be retried: it is a method of an actor, whose state the failed call may have changed"
        in found["of_an_actor"]
    )
    assert "[same] cannot be retried: Ray keeps no call" in found["dependent"]
    assert "raised" in found["of_an_actor"] and "raised" in found["dependent"]
    assert found["expired"] == "[slow] no result within 0.1 s; the task was not cancelled\nraised GetTimeoutError\n"
    assert "✗ FAILED: b\n    Error: division by zero\n" in found["collected"]
    assert found["collected"].endswith(
        "⚠ FAILURE SUMMARY: 1 of 3 runs failed\n  • b: ZeroDivisionError: division by zero\n{'a': 1, 'c': 2}\n"
    )


DASK = """\
import logging
import sys

from distributed import Client, LocalCluster

import autotb


def divide(value):
    return 1 / value


def fails_at_first(path, times):
    with open(path, "a") as file:
        file.write("x")
    if len(open(path).read()) <= times:
        raise ConnectionError("not yet")
    return "done"


def main():
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        print("=== value", autotb.unwrap(client.submit(divide, 2), "good"), sep="\\n")
        print("=== failed")
        try:
            autotb.unwrap(client.submit(divide, 0))
        except ZeroDivisionError as error:
            print("raised")
        print("=== retried")
        print(autotb.unwrap(client.submit(fails_at_first, sys.argv[1], 2), "net", max_retries=3, wait=0.01))
        print("=== collected")
        print(autotb.collect(client.map(divide, [1, 0, 2])).results)


if __name__ == "__main__":
    main()
"""


def test_dask(tmp_path):
    ran = programs.run(tmp_path, DASK, str(tmp_path / "calls"), timeout=200)
    assert ran.status == 0, ran.stdout + ran.stderr
    found = sections(ran.stdout)

    assert found["value"] == "0.5\n"
    assert re.match(r"\[divide-\w+\] FAILED in worker:\nTraceback \(most recent call last\):\n", found["failed"])
    assert "in divide\n    return 1 / value\n" in found["failed"]
    assert found["retried"].split("\n")[:3] == ["[net] Retry 1/3 after: not yet", "[net] Retry 2/3 after: not yet", "done"]
    assert "⚠ FAILURE SUMMARY: 1 of 3 runs failed\n  • 1: ZeroDivisionError: division by zero\n" in found["collected"]
    assert found["collected"].endswith("{0: 1.0, 2: 0.5}\n")
