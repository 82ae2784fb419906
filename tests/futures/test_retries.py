"""What is retried is the very call that failed, or it is not retried and that is said: never a result of another call."""

from __future__ import annotations

import re

import pytest

from tests import programs

POOLS = """\
import dataclasses
import functools
import logging
import sys
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import autotb

FOLDER = sys.argv[1]
numbers = iter(range(1000))


def marks():
    return f"{FOLDER}/{next(numbers)}"


def fails_at_first(path):
    with open(path, "a") as file:
        file.write("x")
    if len(open(path).read()) < 2:
        raise ConnectionError("reset")


def total(items, path):
    fails_at_first(path)
    return sum(items)


def appends(items, path):
    items.append(100)
    return total(items, path)


def reads(items, path):
    items = list(items)
    return total([len(items)], path)


def same(value, path):
    fails_at_first(path)
    return value


def waits(items, path, started, goes_on):
    open(started, "w").close()
    while not __import__("os").path.exists(goes_on):
        __import__("time").sleep(0.01)
    return total(items, path)


@dataclasses.dataclass
class Config:
    rate: float = 0.5
    names: tuple = ("a", "b")


class Account:
    def __init__(self):
        self.sum = 0

    def add(self, n, path):
        self.sum += n
        fails_at_first(path)
        return self.sum


class Items(list):
    pass


def tell(name, future):
    try:
        print(name, "value", autotb.unwrap(future, name, max_retries=3, wait=0))
    except ConnectionError:
        print(name, "raised")


def changed_by_the_caller(pool):
    items, started, goes_on = [1, 2], marks(), marks()
    future = pool.submit(waits, items, marks(), started, goes_on)
    while not __import__("os").path.exists(started):
        __import__("time").sleep(0.01)
    items.append(100)
    open(goes_on, "w").close()
    return future


def main():
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    if sys.argv[2] == "loky":
        from loky import ProcessPoolExecutor as kind
    else:
        kind = {"threads": ThreadPoolExecutor, "processes": ProcessPoolExecutor}[sys.argv[2]]
    with kind(1) as pool:
        tell("list", pool.submit(total, [1, 2], marks()))
        tell("nested", pool.submit(same, {"a": [1, {"b": (2, None)}]}, path=marks()))
        tell("dataclass", pool.submit(same, Config(), marks()))
        tell("partial", pool.submit(functools.partial(total, [1, 2]), marks()))
        tell("changed_by_the_task", pool.submit(appends, [1, 2], marks()))
        tell("object", pool.submit(Account().add, 1, marks()))
        tell("changed_by_the_caller", changed_by_the_caller(pool))
        tell("subclass", pool.submit(total, Items([1, 2]), marks()))
        tell("long", pool.submit(total, list(range(900)), marks()))
        if sys.argv[2] == "threads":
            tell("iterator", pool.submit(reads, iter([1, 2]), marks()))
            tell("generator", pool.submit(reads, (n for n in [1, 2]), marks()))
            tell("file", pool.submit(reads, items=open(__file__), path=marks()))


if __name__ == "__main__":
    main()
"""

_UNCHANGED = {
    "list": "value 3",
    "nested": "value {'a': [1, {'b': (2, None)}]}",
    "dataclass": "value Config(rate=0.5, names=('a', 'b'))",
    "partial": "value 3",
}
_NOT_COMPARED = {
    "changed_by_the_caller": "its argument items, of type list, has changed since it was given",
    "subclass": "its argument items, of type Items, may have changed since it was given: autotb cannot compare it",
    "long": "its argument items, of type list, may have changed since it was given: autotb cannot compare it",
}
_SHARED = {
    "changed_by_the_task": "its argument items, of type list, has changed since it was given",
    "object": "its function's object, of type Account, has changed since it was given",
    "iterator": "its argument items, of type list_iterator, is used up by being read",
    "generator": "its argument items, of type generator, is used up by being read",
    "file": "its argument items, of type _io.TextIOWrapper, is used up by being read",
}


@pytest.mark.parametrize("kind", ["threads", "processes", "loky"])
def test_pools(tmp_path, kind):
    ran = programs.run(tmp_path, POOLS, str(tmp_path), kind)
    outcomes = dict(line.split(" ", 1) for line in ran.stdout.splitlines() if re.match(r"\w+ (value|raised)", line + " "))
    refused = dict(re.findall(r"^\[(\w+)\] cannot be retried: (.*?)(?:; its one result is asked for)?$", ran.stdout, re.M))

    shared = kind == "threads"
    expected = dict(_UNCHANGED) if shared else {**_UNCHANGED, "changed_by_the_task": "value 103", "object": "value 1"}
    refusals = {**_NOT_COMPARED, **_SHARED} if shared else _NOT_COMPARED
    assert refused == refusals, ran.stdout + ran.stderr
    assert outcomes == {**expected, **dict.fromkeys(refusals, "raised")}
    assert ran.stdout.count("Retry 1/3 after: reset") == len(expected)


LATE = """\
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

given = threading.Event()


def fails_at_first(path, more=()):
    given.wait(60)  # a failure imports what notes it, which holds the package for a moment
    with open(path, "a") as file:
        file.write("x")
    if len(open(path).read()) < 2:
        raise ConnectionError("reset")
    return "value"


def tell(name, future):
    import autotb  # not before the first two have failed

    try:
        print(name, autotb.unwrap(future, name, max_retries=3, wait=0))
    except ConnectionError:
        print(name, "raised")


logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
with ThreadPoolExecutor(1) as pool:
    futures = {
        "fixed": pool.submit(fails_at_first, sys.argv[1] + "/a"),
        "list": pool.submit(fails_at_first, sys.argv[1] + "/b", [1]),
    }
    given.set()
    for future in futures.values():
        future.exception()
    print([vars(future).get("_autotb_given", ()) for future in futures.values()])
    for name, future in futures.items():
        tell(name, future)
    tell("later", pool.submit(fails_at_first, sys.argv[1] + "/c", [1]))
"""


def test_what_is_submitted_before_autotb_is_imported_costs_no_look_at_it(tmp_path):
    """Most programs never import autotb, and retry nothing with it; what may have changed unseen is not retried."""
    ran = programs.run(tmp_path, LATE, str(tmp_path))

    assert [line for line in ran.stdout.splitlines() if re.match(r"\[[(N]|fixed|list|later", line)] == [
        "[(), None]",
        "fixed value",
        "list raised",
        "later value",
    ], ran.stdout + ran.stderr
    assert re.findall(r"^\[(\w+)\] cannot be retried: (.*?);", ran.stdout, re.M) == [
        ("list", "its argument more, of type list, may have changed since it was given: autotb cannot compare it")
    ]


PARSL = """\
import logging
import sys

import parsl
from parsl import Config, File, bash_app, join_app, python_app
from parsl.dataflow.dependency_resolvers import DEEP_DEPENDENCY_RESOLVER
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl.providers import LocalProvider

import autotb

FOLDER = sys.argv[2]
numbers = iter(range(1000))


def marks():
    return f"{FOLDER}/{next(numbers)}"


@python_app
def fetch(n, path=None, times=2):
    if path is not None:
        with open(path, "a") as file:
            file.write("x")
        if len(open(path).read()) < times:
            raise ConnectionError("reset by peer")
    return n


@python_app(cache=True)
def fetch_cached(n, path):
    with open(path, "a") as file:
        file.write("x")
    if len(open(path).read()) < 2:
        raise ConnectionError("reset by peer")
    return n


@python_app
def total(*parts):
    return sum(parts)


@python_app
def scaled(a, factor=0):
    return a * factor


@python_app
def total_inputs(inputs=()):
    return sum(inputs)


@python_app
def total_nested(box):
    return sum(box["list"]) + box["tuple"][0][0]


@python_app
def make():
    return [1, 2]


@python_app
def appends(items, path):
    items.append(100)
    with open(path, "a") as file:
        file.write("x")
    if len(open(path).read()) < 2:
        raise ConnectionError("reset by peer")
    return sum(items)


@join_app
def joined(n, path):
    return [fetch(n), fetch(n + 1, path)]


@bash_app
def shell(path, stdout=None):
    return f"echo said; echo x >> {path}; test $(wc -l < {path}) -ge 2"


@python_app
def write(path, outputs=()):
    with open(path, "a") as file:
        file.write("x")
    if len(open(path).read()) < 2:
        raise ConnectionError("reset by peer")
    with open(outputs[0], "w") as file:
        file.write("content")


@python_app
def read(inputs=()):
    return open(inputs[0]).read()


@python_app
def same(x):
    return x


def tell(name, future, *paths):
    kinds = (ConnectionError, parsl.app.errors.BashExitFailure)
    try:
        value = autotb.unwrap(future, name, max_retries=3, wait=0, retry_on=kinds)
        print(name, "value", value, [len(open(path).read()) for path in paths])
    except Exception as error:
        print(name, "raised", type(error).__name__)


def main():
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.getLogger("parsl").setLevel(logging.CRITICAL)
    executor = ThreadPoolExecutor(max_threads=2)
    if sys.argv[1] == "processes":
        executor = HighThroughputExecutor(
            max_workers_per_node=1, address="127.0.0.1", cpu_affinity="none", provider=LocalProvider(init_blocks=1, max_blocks=1)
        )
    more = {} if sys.argv[1] == "threads" else {"dependency_resolver": DEEP_DEPENDENCY_RESOLVER}
    with parsl.load(Config(executors=[executor], initialize_logging=False, run_dir=FOLDER + "/runinfo", **more)):
        a, b, c = marks(), marks(), marks()
        tell("positional", total(fetch(1, a, 1), fetch(2, b), fetch(3, c, 3)), a, b, c)
        a = marks()
        tell("keyword", scaled(5, factor=fetch(2, a)), a)
        a, b = marks(), marks()
        tell("inputs", total_inputs(inputs=[fetch(1, a, 1), fetch(2, b), fetch(3)]), a, b)
        if more:
            a, b = marks(), marks()
            tell("nested", total_nested({"list": [fetch(1), fetch(2, a)], "tuple": ([fetch(3, b)],)}), a, b)
        a = marks()
        root = fetch(5, a)
        tell("diamond", total(total(root, 1), total(root, 2)), a)
        a = marks()
        tell("chain", same(same(same(fetch(7, a)))), a)
        a = marks()
        tell("join", same(joined(1, a)), a)
        a = marks()
        tell("cached", total(fetch_cached(2, a), 1), a)
        a = marks()
        first = fetch_cached(3, a)
        first.exception()
        tell("cached_twice", total(first, fetch_cached(3, a)), a)
        tell("bash", same(shell(marks(), stdout=parsl.AUTO_LOGNAME)))
        tell("bash_output", same(shell(marks(), stdout=marks())))
        tell("file", read(inputs=[write(marks(), outputs=[File(marks())]).outputs[0]]))
        tell("file_itself", write(marks(), outputs=[File(marks())]).outputs[0])
        tell("changed_argument", appends([1, 2], marks()))
        tell("changed_result", appends(make(), marks()))
        a = marks()
        tell("item", same(same({"a": fetch(7, a)})["a"] if more else fetch(7, a)), a)


if __name__ == "__main__":
    main()
"""


def _told(ran):
    return dict(line.split(" ", 1) for line in ran.stdout.splitlines() if re.match(r"[a-z_]+ (value|raised) ", line))


@pytest.mark.behaviour("S1-37")
@pytest.mark.on_main("processes")
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_parsl_runs_what_failed_upstream_anew(tmp_path, kind):
    ran = programs.run(tmp_path, PARSL, kind, str(tmp_path), timeout=200)
    told = _told(ran)

    assert told.pop("file_itself", "").startswith("value "), ran.stdout + ran.stderr
    assert told == {
        "positional": "value 6 [1, 2, 3]",  # what succeeded ran once
        "keyword": "value 10 [2]",
        "inputs": "value 6 [1, 2]",
        **({} if kind == "threads" else {"nested": "value 6 [2, 2]"}),
        "diamond": "value 13 [2]",
        "chain": "value 7 [2]",
        "join": "value [1, 2] [2]",
        "cached": "value 3 [2]",
        "cached_twice": "value 6 [2]",  # one call that both share
        "bash": "value 0 []",
        "bash_output": "raised DependencyError",
        "file": "value content []",
        "changed_argument": "raised ConnectionError" if kind == "threads" else "value 103 []",
        "changed_result": "raised ConnectionError" if kind == "threads" else "value 103 []",
        "item": "value 7 [2]",
    }
    refused = dict(re.findall(r"^\[(\w+)\] cannot be retried: (.*?)(?:; its one result is asked for)?$", ran.stdout, re.M))
    assert "the output would be appended to " in refused.pop("bash_output")
    if kind == "threads":
        assert re.fullmatch(
            r"appends \(task \d+\): its argument 1, of type list, has changed since it was given", refused.pop("changed_argument")
        )
        assert "its argument 1, of type list, has changed" in refused.pop("changed_result")
    assert not refused


def test_parsl_that_autotb_has_not_seen_submitting(tmp_path):
    """Parsl's own record lacks the arguments that failed."""
    told = _told(programs.run(tmp_path, PARSL, "threads", str(tmp_path), timeout=200, autotb="0"))

    assert {told[name] for name in ("positional", "keyword", "inputs", "diamond", "chain", "cached")} == {
        "raised DependencyError"
    }
    assert {told[name] for name in ("changed_argument", "changed_result")} == {"raised ConnectionError"}


DASK = """\
import logging
import sys

from distributed import Client, LocalCluster

import autotb

FOLDER = sys.argv[2]
numbers = iter(range(1000))


def marks():
    return f"{FOLDER}/{next(numbers)}"


def fetch(n, path=None):
    if path is not None:
        with open(path, "a") as file:
            file.write("x")
        if len(open(path).read()) < 2:
            raise ConnectionError("reset by peer")
    return n


def total(*parts):
    return sum(parts)


def make():
    return [1, 2]


def appends(items, path):
    items.append(100)
    return fetch(sum(items), path)


def tell(name, future, *paths):
    try:
        print(name, "value", autotb.unwrap(future, name, max_retries=3, wait=0), [len(open(path).read()) for path in paths])
    except Exception as error:
        print(name, "raised", type(error).__name__)


def main():
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    shared = sys.argv[1] == "threads"
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=not shared, dashboard_address=None) as cluster, Client(cluster) as client:
        a = marks()
        held = [client.submit(fetch, 1), client.submit(fetch, 2, a), client.submit(fetch, 3)]
        tell("held", client.submit(total, *held), a)
        a = marks()
        tell("not_held", client.submit(total, client.submit(fetch, 11), client.submit(fetch, 12, a), client.submit(fetch, 13)), a)
        a = marks()
        root = client.submit(fetch, 5, a)
        tell("diamond", client.submit(total, client.submit(total, root, 1), client.submit(total, root, 2)), a)
        tell("changed_argument", client.submit(appends, [1, 2], marks()))
        made = client.submit(make)
        tell("changed_result", client.submit(appends, made, marks()))


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_dask_runs_what_failed_upstream_anew(tmp_path, kind):
    ran = programs.run(tmp_path, DASK, kind, str(tmp_path), timeout=200)

    assert _told(ran) == {
        "held": "value 6 [2]",
        "not_held": "value 36 [2]",
        "diamond": "value 13 [2]",
        "changed_argument": "raised ConnectionError" if kind == "threads" else "value 103 []",
        "changed_result": "raised ConnectionError",
    }, ran.stdout + ran.stderr
    assert re.search(
        r"^\[changed_result\] cannot be retried: it works on the result of make-\w+, a list, which ", ran.stdout, re.M
    )
    if kind == "threads":
        assert "[changed_argument] cannot be retried: its worker shares the memory of this program" in ran.stdout
