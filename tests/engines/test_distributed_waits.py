"""A wait for Dask's futures that times out says what is known of their tasks; cancelled ones are named, attempts counted."""

from __future__ import annotations

import re

import pytest

from autotb.engines import distributed_waits
from tests import programs
from tests.engines import kit
from tests.programs import sections

HELD = """
import threading

begun, go = threading.Semaphore(0), threading.Event()


def hold(number, *_):
    begun.release()
    go.wait(60)
    return number


def flaky(number, *earlier):
    if earlier and not tried:
        tried.append(number)
        raise ConnectionError("reset")
    return 1 / number


def after(number):
    return number


tried = []
"""
PROGRAM = """
import sys

from distributed import Client, LocalCluster, Queue, Variable, as_completed, wait

from held import after, begun, flaky, go, hold

OPTIONS = dict(processes=False, threads_per_worker=1, dashboard_address=None)


class Ending(Client):
    def close(self, *args, **kwargs):
        go.set()
        return super().close(*args, **kwargs)


def result(client):
    with Ending(n_workers=1, **OPTIONS) as own:
        future = own.submit(hold, 1)
        begun.acquire()
        future.result(timeout=0.5)


def needed(client):
    first = client.submit(hold, 2)
    begun.acquire()
    last = client.submit(hold, 3, first)
    wait(last, timeout=0.5)


def many(client):
    futures = client.map(hold, range(10, 16))
    for future in as_completed(futures, timeout=0.5):
        future.result()


def cancelled(client):
    future = client.submit(hold, 4)
    future.cancel()
    future.result()


def no_workers(client):
    with LocalCluster(n_workers=0, **OPTIONS) as cluster:
        Client(cluster).submit(hold, 5).result(timeout=0.5)


def variable(client):
    Variable("model", client).get(timeout="0.1s")


def queue(client):
    todo = Queue("todo", client, maxsize=1)
    todo.put(1)
    todo.put(2, timeout=0.1)


def again_alike(client):
    client.submit(after, client.submit(flaky, 0, retries=2), retries=4).result()


def again_otherwise(client):
    client.submit(flaky, 0, "earlier", retries=1).result()


if __name__ == "__main__":
    client = Client(n_workers=1, **OPTIONS)
    for case in (again_alike, again_otherwise, variable, queue, needed, many, cancelled, no_workers, result):
        sys.stderr.write(f"=== {case.__name__}\\n")
        sys.stderr.flush()
        try:
            case(client)
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
    client.close()
"""
HOLDS = r"at \S+held.py:\d+ in hold, on worker \S+"


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waits")
    (folder / "held.py").write_text(HELD)
    return sections(programs.run(folder, PROGRAM, timeout=200, AUTOTB_STYLE="rich").stderr)


def line(text, state):
    (found,) = [line for line in text.split("\n") if line.startswith(f"{state}: ")]
    return found


@kit.on_main
def test_the_task_that_runs_is_told_with_its_line(stories):
    found = line(stories["result"], "running")

    task = rf"running: task hold-\w+, {HOLDS}(, for over \S+ s)?"
    assert re.fullmatch(rf"{task}, submitted at \S+main.py:\d+ in result", found), found


@kit.on_main
def test_a_task_that_waits_for_another_is_told_with_it(stories):
    found = line(stories["needed"], "not started")

    assert re.fullmatch(rf"not started: task hold-\w+, it needs task hold-\w+, {HOLDS}, submitted at \S+ in needed", found), found


@kit.on_main
def test_of_many_tasks_the_first_are_told(stories):
    assert len(re.findall(r"^not started: task hold-\w+, (?:given to worker|no worker is free)", stories["many"], re.M)) == 3
    assert "\nand 3 more: 3 not started\n" in stories["many"]


@kit.on_main
def test_a_cancelled_task_is_named(stories):
    found = line(stories["cancelled"], "cancelled")

    assert re.search(r": task hold-\w+, submitted at \S+main.py:\d+ in cancelled$", found), found


@kit.on_main
def test_a_cluster_without_workers_is_told(stories):
    assert "the cluster has no workers" in line(stories["no_workers"], "not started")


@kit.on_main
def test_a_variable_and_a_queue_are_named(stories):
    assert "\nwaited 0.1 s for the variable 'model', which nobody has set\nTimeoutError\n" in stories["variable"]
    assert "\nwaited 0.1 s for the queue 'todo', which was full\nTimeoutError\n" in stories["queue"]
    assert "Exception while handling op" not in stories["variable"] + stories["queue"]


@kit.on_main
def test_attempts_are_counted_of_the_task_that_failed(stories):
    alike = " ".join(stories["again_alike"].replace("│", "").split())
    assert re.search(r"task flaky-\w+, attempt 3 of 3, all failed alike", alike), alike
    otherwise = " ".join(stories["again_otherwise"].replace("│", "").split())
    assert "attempt 2 of 2, others failed of ConnectionError('reset')" in otherwise


def test_other_errors_are_let_be():
    assert distributed_waits.opened(ValueError("x"), {}) is None
    assert distributed_waits.lines(TimeoutError("x"), {}) == ()
