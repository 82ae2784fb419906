"""What Dask cannot send: whose result or argument it is, and which part of it."""

from __future__ import annotations

import re

from tests.programs import sections

PROGRAM = """
import sys
import threading

from distributed import Client, LocalCluster


class Model:
    def __init__(self):
        self.cache = {"lock": threading.Lock()}


class Sealed:
    def __reduce__(self):
        raise RuntimeError("sealed")


def train(alpha, rounds=3):
    return Model()


def parts(n):
    return [n, Sealed()]


def score(model, data):
    return data


def lines(path):
    return (line for line in [path])


def main():
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        def shown(name, call):
            print("===", name, file=sys.stderr, flush=True)
            try:
                call()
            except Exception:
                sys.excepthook(*sys.exc_info())

        shown("result", lambda: client.submit(train, client.submit(abs, -2, key="alpha")).result())
        shown("gather", lambda: client.gather(client.map(lines, ["a.csv"], key="lines")))
        shown("part", lambda: client.submit(parts, 5).result())
        shown("run", lambda: client.run(lines, "b.csv"))
        shown("argument", lambda: client.submit(score, threading.Lock(), data=3))
        shown("scatter", lambda: client.scatter(Model()))


if __name__ == "__main__":
    main()
"""


def test_the_task_the_place_and_the_part_at_fault_are_told(shows):
    def check(ran):
        found = {name: re.sub(r"[│\s]+", " ", text) for name, text in sections(ran.stderr).items()}

        result = found["result"]
        assert re.search(r"in a Dask worker, pid \d+, task train-\w+, submitted at \S+main.py:\d+ in <lambda>", result)
        assert re.search(r"train\(alpha=(2|<alpha>)\)", result)
        last = "TypeError: Could not serialize object of type Model: TypeError: cannot pickle '_thread.lock' object"
        assert result.rstrip().endswith(last)
        assert "hint: result.cache['lock'] → _thread.lock cannot be pickled" in result
        assert "lines(path='a.csv')" in found["gather"] and "return list(...) of the generator" in found["gather"]
        assert "parts(n=5)" in found["part"] and "in __reduce__" in found["part"]
        assert "result[1] → Sealed cannot be pickled: its __reduce__ raised this error" in found["part"]
        last = "TypeError: Could not serialize object of type Sealed: RuntimeError: sealed"
        assert found["part"].rstrip().endswith(last)
        assert re.search(r"in a Dask worker, pid \d+, worker tcp://\S+", found["run"])
        assert "hint: result → generator" in found["run"]
        assert "hint: model → _thread.lock" in found["argument"]
        assert re.search(r"score\(model=<\w*\S*lock\S*.*, data=3\)", found["argument"])
        assert "hint: value.cache['lock'] → _thread.lock" in found["scatter"]
        assert not re.search(r" - (ERROR|CRITICAL) - ", ran.stderr), "Dask's own copies are left out"

    shows(PROGRAM, check)
