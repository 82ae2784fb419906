"""Failed Dask tasks that nobody asks for: told once, as soon as nobody can, in a real cluster of processes and of threads."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from autotb.engines import distributed_chains, distributed_failures
from tests.engines import kit

LOST = """
import logging, sys, time
from distributed import Client, LocalCluster, fire_and_forget, wait

def parse(x):
    return 1 / x

def store(x):
    raise KeyError(f"bucket-{x}")

def add(a, b):
    return a + b

def told(text):
    # what is told comes from the client's or the scheduler's loop
    deadline = time.monotonic() + 30
    while text not in seen.read() and time.monotonic() < deadline:
        time.sleep(0.05)

class Seen:
    def __init__(self, stream):
        self.stream, self.text = stream, ""
    def write(self, text):
        self.text += text
        return self.stream.write(text)
    def read(self):
        return self.text
    def __getattr__(self, name):
        return getattr(self.stream, name)

def main(case, kind):
    global seen
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=kind == "processes", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            seen = sys.stderr = Seen(sys.stderr)
            if case == "forgotten":
                fire_and_forget(client.submit(store, 7))
                told("bucket-7")
            elif case == "forgotten_chain":
                fire_and_forget(client.submit(add, client.submit(store, 7), 1))
                told("bucket-7")
            elif case == "second":
                first, second = client.submit(parse, 0), client.submit(store, 7)
                try:
                    first.result()
                except ZeroDivisionError:
                    pass
                wait(second)
                del second
                told("bucket-7")
            elif case == "later":
                try:
                    client.submit(store, 7).result()
                except KeyError:
                    pass
                future = client.submit(store, 7, pure=False)
                wait(future)
                del future
                told("bucket-7")
            elif case == "chain":
                first = client.submit(store, 7)
                try:
                    client.submit(add, first, 1).result()
                except KeyError:
                    pass
            elif case == "ends":
                futures = client.map(store, range(10))
                wait(futures)
                client.gather(futures)
            elif case == "logs":
                handler = logging.FileHandler("worker.log")
                if kind == "processes":
                    def listen():
                        import logging
                        logging.getLogger("distributed.worker").addHandler(logging.FileHandler("worker.log"))
                    client.run(listen)
                else:
                    logging.getLogger("distributed.worker").addHandler(handler)
                try:
                    client.submit(store, 7).result()
                except KeyError:
                    pass
                deadline = time.monotonic() + 30
                while "bucket-7" not in str(client.get_worker_logs()) and time.monotonic() < deadline:
                    time.sleep(0.05)
                print("Compute Failed" in str(client.get_worker_logs()), "Compute Failed" in open("worker.log").read())
            sys.stderr = seen.stream
            sys.stderr.write("=== served\\n")

if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@kit.newer
@pytest.mark.parametrize("kind", ["processes", "threads"])
@pytest.mark.parametrize("case", ["forgotten", "forgotten_chain", "second", "later"])
def test_an_error_that_nobody_can_ask_for_is_told_at_once(run, case, kind):
    before, _, after = run(LOST, case, kind).stderr.partition("=== served\n")

    assert before.count("autotb: the exception of a failed future was never retrieved, submitted at ") == 1
    assert before.count("KeyError: 'bucket-7'") == 1
    assert "Compute Failed" not in before + after
    assert "never retrieved" not in after


@kit.newer
def test_what_depends_on_a_task_brings_the_very_error_and_no_other(run):
    assert "never retrieved" not in run(LOST, "chain", "processes").stderr


@kit.newer
def test_a_program_that_ends_with_the_error_of_a_gather_counts_the_rest_in_one_line(run):
    ran = run(LOST, "ends", "processes", AUTOTB_STYLE="plain")

    assert "autotb: 9 more futures failed: 9 × KeyError, at " in ran.stderr
    assert "never retrieved" not in ran.stderr
    assert re.search(r"^KeyError: 'bucket-\d'$", ran.stderr, re.M)


@kit.newer
@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_the_terminal_alone_is_spared_the_workers_records(run, kind):
    ours = run(LOST, "logs", kind)
    bare = run(LOST, "logs", kind, autotb="0")

    assert ours.stdout == bare.stdout == "True True\n"
    assert "Compute Failed" not in ours.stderr
    assert "Compute Failed" in bare.stderr


def test_a_future_that_failed_of_an_error_that_was_told_by_then_tells_nothing_more(monkeypatch):
    """On a busy machine the client learns of it once the root's own future is gone."""
    ended = []
    for name in ("_failed", "_told"):
        monkeypatch.setattr(distributed_failures, name, {})
    monkeypatch.setattr(distributed_failures, "_watch", lambda error, site: error)
    monkeypatch.setattr(distributed_failures, "_end", lambda watch, error: ended.append(str(watch)))
    monkeypatch.setattr(distributed_failures.annotate, "note_submitted", lambda error, place: None)
    monkeypatch.setattr(distributed_failures.engine_frames, "place_of", lambda site: None)
    monkeypatch.setattr(distributed_chains, "root_of", lambda key, error: "other" if key == "other" else "store")
    client = SimpleNamespace(id="client", status="closing")  # what is dropped is told at once
    for key in ("store", "add", "other"):
        distributed_failures._failed_later(client, key, KeyError(key), "site")

    assert ended == ["'add'"]
    assert distributed_failures._failed == {}


NO_EXCEPTION = """
import threading
from distributed import Client, LocalCluster

class Stop(BaseException):
    def __init__(self, step):
        super().__init__(f"stopped at {step}")
        self.lock = threading.Lock()

def work(step):
    raise Stop(step)

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        try:
            client.submit(work, 3).result(timeout=60)
        except BaseException as error:
            print(type(error).__name__, error)
            raise
"""


def test_what_is_no_exception_and_cannot_be_pickled_is_raised_as_dask_raises_it(shows, run):
    """Rescued as itself it would pass the loop of the client by, and ``result()`` would wait for ever."""

    def check(ran):
        assert ran.stdout == "Exception Stop('stopped at 3')\n"
        assert "work(step=3)" in ran.stderr
        assert ran.lines[-2:] == ["raised as Exception", "Stop: stopped at 3"]

    shows(NO_EXCEPTION, check)
    assert run(NO_EXCEPTION, AUTOTB="0").stdout == "Exception Stop('stopped at 3')\n"
