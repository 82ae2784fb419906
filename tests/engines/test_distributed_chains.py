"""Dask's futures that failed of another task's error: told with that task's place, with the chain, and once."""

from __future__ import annotations

import pytest

from autotb.engines import distributed_chains
from tests.programs import sections

PROGRAM = """
import sys
import time

from distributed import Client, LocalCluster, wait

import autotb


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
            prices = client.map(price_one, [{**item, "case": "dropped"} for item in items])
            taxed = client.map(add_tax, prices)
            wait(taxed)
            sum_of_all = client.submit(total, taxed)
            del prices, taxed
            told(sum_of_all)
            del sum_of_all
            print("=== custom", file=sys.stderr, flush=True)
            first = client.submit(own, 1)
            told(client.submit(add_tax, first))
            del first
            time.sleep(0.5)
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


def test_many_failures_that_are_skipped_are_one_story_and_a_count(run):
    found = sections(run(PROGRAM, "threads").stderr)["skip"]

    assert found.count("Traceback (most recent call last)") == 1
    assert found.count("never retrieved") == 2
    assert "\nautotb: 199 more futures failed, never retrieved:\n  199 × ZeroDivisionError: division by zero, at " in found


class Known:
    """A client, and futures, as far as they are looked at."""

    id = "client"


def test_who_fails_of_the_same_task():
    roots = distributed_chains
    error = ValueError()
    error.__autotb__ = {"v": 1, "type": "ValueError", "message": "", "hops": [{"frames": [], "label": "task price"}]}

    assert [roots.root_of(Known, key, error) for key in ("price", "tax", "total")] == ["price"] * 3
    assert roots.root_of(Known, ("part", 1), ValueError()) == ("part", 1)
    assert sorted(roots.alike("client", "price")) == ["tax", "total"]
    assert sorted(roots.alike("client", "tax")) == ["price", "total"]
    assert roots.alike("other", "tax") == []
    for key in ("tax", "total", "price"):
        roots.forget("client", key)
    assert roots.alike("client", "price") == []
    assert not roots._followers
