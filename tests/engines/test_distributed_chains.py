"""Dask's futures that failed of another task's error: told with that task's place, with the chain, and once."""

from __future__ import annotations

import re

import pytest

from autotb.engines import distributed_chains
from tests.programs import sections

PROGRAM = """
import sys
import time

import dask
import dask.bag
from distributed import Client, LocalCluster, Queue, Variable, wait

import autotb
from autotb.engines import distributed_chains


def price_one(item):
    return item["price"] / item["n"]


def add_tax(price):
    return price * 1.2


def total(prices):
    return sum(prices)


class Custom(Exception):
    def __str__(self):
        return "custom"


def own(item):
    raise Custom(item)


def told(future):
    try:
        future.result()
    except Exception as error:
        print(autotb.explain(error), file=sys.stderr, flush=True)


def main():
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None, processes=sys.argv[1] == "processes") as cluster:
        with Client(cluster) as client:
            items = [{"price": 3, "n": number % 4, "of": number} for number in range(8)]
            print("=== chain", file=sys.stderr, flush=True)
            prices = client.map(price_one, items)
            told(client.submit(total, client.map(add_tax, prices)))
            print("=== dropped", file=sys.stderr, flush=True)
            distributed_chains.DELAY = 0  # it is looked at before the scheduler knows of the sum, as on a busy machine
            prices = client.map(price_one, [{**item, "case": "dropped"} for item in items])
            taxed = client.map(add_tax, prices)
            wait(taxed)
            sum_of_all = client.submit(total, taxed)
            del prices, taxed
            told(sum_of_all)
            del sum_of_all
            distributed_chains.DELAY = 0.2
            print("=== custom", file=sys.stderr, flush=True)
            first = client.submit(own, 1)
            told(client.submit(add_tax, first))
            del first
            time.sleep(0.5)
            print("=== persisted", file=sys.stderr, flush=True)
            rows = [{**item, "case": "persisted"} for item in items[:2]]
            bag = dask.bag.from_sequence(rows, npartitions=2).map(price_one)
            kept = bag.persist()
            wait(kept)
            told(client.compute(kept.sum()))
            del kept
            print("=== variable", file=sys.stderr, flush=True)
            first = client.submit(price_one, {**items[0], "case": "variable"})
            Variable("first").set(first)
            del first
            told(Variable("first").get(timeout=60))
            Queue("all").put(client.submit(own, 2))
            told(Queue("all").get(timeout=60))
            print("=== elsewhere", file=sys.stderr, flush=True)
            told(client.compute(dask.delayed(own)(3)))
            told(client.submit(own, 4))
            print("=== given", file=sys.stderr, flush=True)
            with Client(cluster, set_as_default=False) as giver:
                failed = giver.submit(price_one, {**items[0], "case": "given"})
                wait(failed)
                Variable("given", client=giver).set(failed)
                del failed
            told(Variable("given", client=client).get(timeout=60))
            print("=== skip", file=sys.stderr, flush=True)
            client.gather(client.map(price_one, [{**items[0], "skip": number} for number in range(200)]), errors="skip")


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_a_chain_is_named_and_its_root_has_its_own_place(run, kind):
    ran = run(PROGRAM, kind)
    found = sections(ran.stderr)
    line = {text.strip(): number for number, text in enumerate(PROGRAM.split("\n"), 1)}

    chain = found["chain"]
    assert f", submitted at {ran.folder}/main.py:{line['prices = client.map(price_one, items)']} in main]" in chain
    assert chain.rstrip().endswith("\nZeroDivisionError: division by zero\nskipped: total ← add_tax ← price_one ✗")
    for case in ("chain", "dropped", "custom"):
        assert found[case].count("Traceback (most recent call last)") == 1, found[case]
        assert "never retrieved" not in found[case], found[case]
    assert "skipped: add_tax ← own ✗" in found["custom"]

    for case, count in (("persisted", 1), ("variable", 2), ("elsewhere", 2), ("given", 1)):
        assert found[case].count("Traceback (most recent call last)") == count, found[case]
        assert "never retrieved" not in found[case], found[case]
    assert re.search(
        rf", made at \S+main.py:{line['bag = dask.bag.from_sequence(rows, npartitions=2).map(price_one)']} in", found["persisted"]
    )
    for put in ('Variable("first").set(first)', 'Queue("all").put(client.submit(own, 2))'):
        assert f", submitted at {ran.folder}/main.py:{line[put] - (put.startswith('V'))} in main]" in found["variable"]
    assert "made at" not in found["elsewhere"].partition("own(item=3)")[2]  # a function that was given to delayed as well


def test_many_failures_that_are_skipped_are_one_story_and_a_count(run):
    found = sections(run(PROGRAM, "threads").stderr)["skip"]

    assert found.count("Traceback (most recent call last)") == 1
    assert found.count("never retrieved") == 2
    assert "\nautotb: 199 more futures failed, never retrieved:\n  199 × ZeroDivisionError: division by zero, at " in found


BOOKS = """
import sys
import threading
import time

import dask
import dask.bag
from distributed import Client, LocalCluster, Queue, Variable, wait

from autotb.engines import distributed_chains, distributed_failures


def price(item):
    raise ValueError(f"no price for {item}")


def add_tax(price):
    return price * 1.2


def chained(client, price, name, count):
    for number in range(count):
        price = client.submit(add_tax, price, key=f"{name}{number}")
    return price


def say(text):
    print(f"=== {text}", file=sys.stderr, flush=True)


def books(*more):
    kept = distributed_failures._failed, distributed_chains._roots, distributed_chains._followers, *more
    print("kept:", *map(len, kept))


def job(name):
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None, processes=False) as cluster:
        with Client(cluster) as client:
            say(f"{name}_asked")
            asked = [client.submit(add_tax, client.submit(price, 1, key=f"{name} price"), key=f"{name} tax {n}") for n in range(3)]
            wait(asked)
            asked[0].exception()
            books()
            say(f"{name}_long")
            if name == "first":
                print(getattr(chained(client, client.submit(price, 2, key="root"), "step", 30).exception(), "__autotb__")["broken"])
            say(f"{name}_slow")
            root = client.submit(price, 4, key="slow root")
            wait(root)
            distributed_failures.callsite.remember = slowly
            late = client.submit(add_tax, root, key="slow tax")
            distributed_failures.callsite.remember = remember
            client.sync(settled)
            print("late:", *distributed_chains.alike(client.id, late.key))
            late.exception()
            books()
            del root, late
            say(f"{name}_closed")
            held = chained(client, client.submit(price, 3, key=f"{name} dropped"), name, 2)
            wait(held)
            while (client.id, held.key) not in distributed_failures._failed:
                time.sleep(0.01)
    say(f"{name}_after")
    books(distributed_chains._dropped)


remember = distributed_failures.callsite.remember


def slowly(*what):
    if threading.current_thread() is threading.main_thread():
        time.sleep(0.2)  # the failure is there before the submission returns
    remember(*what)


async def settled():
    pass


if __name__ == "__main__":
    job("first")
    job("second")
    say("end")
"""


def test_what_is_not_asked_is_told_as_the_client_closes_and_nothing_is_kept(run):
    ran = run(BOOKS)
    found = sections(ran.stderr)
    kept = [line for line in ran.stdout.splitlines() if line.startswith("kept: ")]

    assert found["first_closed"].startswith("autotb: the exception of a failed future was never retrieved"), found
    assert found["first_closed"].rstrip().endswith("ValueError: no price for 3\nskipped: first1 ← first0 ← first dropped ✗")
    for case in ("first_asked", "first_long", "first_slow", "first_after", "second_after"):
        assert "never retrieved" not in found[case], found
    assert kept == ["kept: 0 0 0", "kept: 0 0 0", "kept: 0 0 0 0"] * 2
    assert ran.stdout.count("late: slow root\n") == 2
    steps = " ← ".join(f"step{29 - number}" for number in range(distributed_chains.MOST))
    assert f"['skipped: {steps} ← … ← root ✗']" in ran.stdout


def test_chains_that_are_not_kept_are_counted():
    lines = []
    for number in range(distributed_chains.MOST_CHAINS + 1_002):
        lines = distributed_chains._with(lines, f"skipped: total{number} ← price ✗")
        if number == distributed_chains.MOST_CHAINS:
            assert lines[-1] == "skipped: 1 more task"

    assert lines[-2:] == ["skipped: total99 ← price ✗", "skipped: 1,002 more tasks"]
    assert len(lines) == distributed_chains.MOST_CHAINS + 1


class Task:
    def __init__(self, key, blamed=None, inputs=()):
        self.key, self.exception_blame, self.dependencies = key, blamed or self, set(inputs)


class State:
    def __init__(self, status):
        self.status = status


class Known:
    """A client, and futures, as far as they are looked at."""

    id = "client"
    status = "running"

    def __init__(self, tasks, **had):
        self.cluster = type("Cluster", (), {})()
        self.cluster.scheduler = type("Scheduler", (), {})()
        self.cluster.scheduler.tasks, self.futures, self.later = tasks, {key: State(status) for key, status in had.items()}, []
        self.loop = self

    def call_later(self, delay, *what):
        self.later.append(what)


def test_failures_wait_for_a_future_that_fails_of_the_same_task(monkeypatch):
    monkeypatch.setattr(distributed_chains, "SCHEDULER", type("Read", (), {"read": lambda self, it: (it.scheduler,)})())
    price, other = Task("price"), Task("other")
    tasks = {task.key: task for task in (price, Task("tax", price), Task("total", price), other, Task("more", other))}
    client, told = Known(tasks, total="error"), []
    for key in ("price", "tax", "other", "more", "gone"):
        distributed_chains.dropped(client, key, lambda of, key: told.append(key))

    assert len(client.later) == 1
    look, *given = client.later.pop()
    look(*given)
    assert sorted(told) == ["gone", "more", "other"]
    assert distributed_chains._dropped == {"client": {"price", "tax"}}
    client.status = "closing"
    distributed_chains.dropped(client, "total", lambda of, key: told.append(key))
    assert told[-1] == "total"
    distributed_chains.closed("client")
    assert not distributed_chains._dropped


def test_what_waits_for_a_dropped_failure(monkeypatch):
    monkeypatch.setattr(distributed_chains, "SCHEDULER", type("Read", (), {"read": lambda self, it: (it.scheduler,)})())
    price, other = Task("price"), Task("other")
    tax, more = Task("tax", price, [price]), Task("more", other, [other])
    tasks = {task.key: task for task in (price, tax, other, more, Task("total", price, [tax, more]), Task("alone"))}

    def waited_for(**had):
        return distributed_chains._waited_for(Known(tasks, **had), {"price", "more", "alone", "gone"})

    assert waited_for(total="error") == {"price", "more"}  # an input of the total too, though the total is not of its error
    assert waited_for(tax="error") == {"price"}
    assert waited_for() == waited_for(later="cancelled") == set()
    assert waited_for(later="pending") == {"price", "more", "alone", "gone"}  # the scheduler has yet to learn of it
    tasks.clear()
    assert waited_for(later="pending") == set()  # a scheduler that runs elsewhere


def test_who_fails_of_the_same_task():
    chains = distributed_chains
    error = ValueError()
    error.__autotb__ = {"v": 1, "type": "ValueError", "message": "", "hops": [{"frames": [], "label": "task price"}]}

    for key in ("price", "tax", "total"):
        assert chains.root_of(key, error) == "price"
        chains.follow("client", key, "price")
    assert chains.root_of(("part", 1), ValueError()) == ("part", 1)
    assert sorted(chains.alike("client", "price")) == ["tax", "total"]
    assert sorted(chains.alike("client", "tax")) == ["price", "total"]
    assert chains.alike("other", "tax") == []
    chains.follow("client", "tax", "tax")  # submitted again, it fails by itself
    assert chains.alike("client", "price") == ["total"]
    assert chains.alike("client", "tax") == []
    for key in ("tax", "total", "price"):
        chains.forget("client", key)
    assert chains.alike("client", "price") == []
    assert not chains._followers
    assert not chains._roots
