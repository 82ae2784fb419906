"""Dask: real schedulers of this machine, and a real cluster with workers in processes and in threads."""

from __future__ import annotations

import re

import pytest

from tests import programs
from tests.engines import kit
from tests.engines.declared import Engine
from tests.programs import sections

LOCAL = """\
import sys
import dask
import dask.bag
from dask import delayed

import cases


def threads(task):
    return dask.compute(*[delayed(task)(item) for item in [1, 0]], scheduler="threads")


def processes(task):
    return dask.compute(*[delayed(task)(item) for item in [1, 0]], scheduler="processes", num_workers=2)


def synchronous(task):
    return delayed(task)(0).compute(scheduler="synchronous")


def bag(task):
    return dask.bag.from_sequence([1, 0], npartitions=2).map(task).compute(scheduler="processes", num_workers=2)


def array(task):
    import dask.array

    return dask.array.ones((4,), chunks=2).map_blocks(lambda block: block if task is None else task(0), dtype=float).compute()


def frame(task):
    import dask.dataframe
    import pandas

    found = dask.dataframe.from_pandas(pandas.DataFrame({"a": [1, 0]}), npartitions=2)
    return found["a"].map(task, meta=("a", float)).compute(scheduler="threads")


if __name__ == "__main__":
    cases.run(globals())
"""
WAYS = {
    "threads": "in a Dask worker thread",
    "processes": "in a Dask worker, pid",
    "synchronous": "in Dask's synchronous scheduler",
}
LOCAL_CASES = [f"{way}:{task}" for way in WAYS for task in kit.STORIES]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    others = [
        "bag:score",
        "array:score",
        "frame:score",
        "processes:returns_lock",
        "processes:killed",
        "processes:ok",
        "threads:ok",
    ]
    return kit.Program(LOCAL).both(tmp_path_factory, LOCAL_CASES + others)


@pytest.mark.parametrize("case", LOCAL_CASES)
def test_compute_on_this_machine(local, case):
    way, _, task = case.partition(":")
    kit.check_text(local.story(case), way, task, where=WAYS[way], own=("/dask/", "/tblib/"))
    if task == "score":
        kit.check(local, case, where=WAYS[way])
        assert kit.submitted(local.story(case)) == [way]
        assert re.search(r"│ score\(item=0\) +│", local.story(case))
        assert re.search(r"[, ]task score-[-\w]+[, ]", local.story(case))


@pytest.mark.parametrize("way", ["bag", "frame"])
def test_bags_and_dataframes(local, way):
    kit.check(local, f"{way}:score", own=("/dask/",), where="in a Dask worker")
    assert kit.submitted(local.story(f"{way}:score")) == [way]
    assert re.search(r"[, ]task \('[-\w]*(score|map)[-\w]*', 1\),", local.story(f"{way}:score"))


def test_arrays(local):
    assert kit.names(local.story("array:score")) == ["array", "<lambda>", "score", "divide"]


def test_the_program_catches_the_same_exceptions(local):
    bare = local.outcomes(local.bare)
    changed = set(bare) - set(local.outcomes(local.ours))
    assert {line.partition(" raised")[0] for line in changed} <= {"processes locked", "processes two"}
    assert len(bare) == len(local.outcomes(local.ours))
    assert "processes locked raised HoldsLock" in local.outcomes(local.ours)


CLUSTER = """\
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import dask
import dask.bag
from dask import delayed
from distributed import Client, LocalCluster, as_completed, get_client, wait

import cases

client = None


def submit(task):
    return client.submit(task, 0, pure=False).result()


def gather(task):
    return client.gather(client.map(task, [1, 0], pure=False))


def completed(task):
    for future in as_completed(client.map(task, [1, 0], pure=False)):
        future.result()


def dependent(task):
    first = client.submit(task, 0, pure=False)
    return client.submit(abs, first).result()


def compute(task):
    return delayed(task, pure=False)(0).compute()


def asked(task):
    future = client.submit(task, 0, pure=False)
    raise future.exception()


def nested(task):
    return client.submit(inner, task, pure=False).result()


def pooled(task):
    return client.submit(in_a_pool, task, pure=False).result()


def in_a_pool(task):
    multiprocessing.current_process()._config["daemon"] = False  # else it may have none of its own
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(task, 0).result()


def inner(task):
    return get_client().submit(task, 0, pure=False).result()


class Counter:
    def call(self, task):
        return task(0)


def actor(task):
    counter = client.submit(Counter, actor=True).result()
    return counter.call(task).result()


def bag(task):
    return dask.bag.from_sequence([1, 0], npartitions=2).map(task).compute()


def awaited(task):
    import asyncio

    async def main():
        async with Client(client.scheduler.address, asynchronous=True) as mine:
            return await mine.submit(task, 0, pure=False)

    return asyncio.run(main())


def never(task):
    wait(client.submit(task, 0, pure=False))


def main():
    global client
    kind = sys.argv.pop(1)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=kind == "processes", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            cases.run(globals())


if __name__ == "__main__":
    main()
"""

ENGINES = {
    "dask": Engine(
        requires=("dask[array,dataframe,distributed]>=2023.5",),
        oldest=("dask[array,dataframe]==2023.5.0", "distributed==2023.5.0", "pandas<2.1", "numpy<1.26"),
        also=("../postmortem/test_engines.py", "-k", "dask"),
        main=LOCAL,
        cases=("threads:ok", "threads:score", "processes:score"),
        waits="processes",
        unsendable="import dask\ndef main():\n    return dask.delayed(id)(LOCK).compute(scheduler='processes', num_workers=2)",
    ),
    "distributed": Engine(
        costly=True,
        main=CLUSTER,
        cases=("submit:ok", "submit:score", "gather:score", "actor:score"),
        first=("processes",),
        unsendable="from distributed import Client, LocalCluster\ndef main():\n"
        "    with LocalCluster(n_workers=1, dashboard_address=None) as cluster, Client(cluster) as client:\n"
        "        return client.submit(id, LOCK).result()",
    ),
}
CASES = [f"{way}:{task}" for way in ("submit", "gather", "compute") for task in kit.STORIES]
MORE = {
    "completed:score": ["completed", "score", "divide"],
    "dependent:score": ["dependent", "score", "divide"],
    "asked:score": ["asked", "score", "divide"],
    "nested:score": ["nested", "inner", "score", "divide"],
    "actor:score": ["actor", "call", "score", "divide"],
    "actor:two": ["actor", "call", "two"],
    "bag:score": ["bag", "score", "divide"],
    "pooled:score": ["pooled", "in_a_pool", "score", "divide"],
}


@pytest.fixture(scope="module", params=["processes", "threads"])
def cluster(request, tmp_path_factory):
    others = ["awaited:score", "submit:returns_lock", "submit:ok", "gather:ok"]
    return kit.Program(CLUSTER).both(tmp_path_factory, [request.param, *CASES, *MORE, *others])


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_failure_is_one_short_story(cluster, case):
    kit.check(cluster, case, where="in a Dask worker", own=("/distributed/", "/dask/", "/tornado/", "Compute Failed"))


@pytest.mark.parametrize("case", MORE)
def test_every_way_to_ask(cluster, case):
    kit.check_text(
        cluster.story(case), *case.split(":"), frames=MORE[case], where="in a Dask ", own=("/distributed/", "Compute Failed")
    )


def test_the_call_and_the_place_of_submission(cluster):
    text = cluster.story("submit:score")

    assert kit.submitted(text) == ["submit"]
    assert re.search(r"│ score\(item=0\) +│", text)
    assert kit.submitted(cluster.story("nested:score")) == ["nested", "inner"]
    assert cluster.in_traceback("submit:score") == cluster.in_traceback("pooled:score") == " score divide"
    assert kit.names(cluster.story("awaited:score"))[-2:] == ["score", "divide"]


def test_the_cluster_catches_the_same_exceptions(cluster):
    ours, bare = cluster.outcomes(cluster.ours), cluster.outcomes(cluster.bare)

    assert [line for line in ours if "lock" not in line] == [line for line in bare if "lock" not in line]
    assert "submit locked raised HoldsLock" in ours


def test_what_could_not_be_sent_is_one_line(tmp_path):
    def check(ran):
        text = programs.sections(ran.stderr)["submit_returns_lock"]
        assert text.rstrip().endswith(
            "TypeError: Could not serialize object of type lock: TypeError: cannot pickle '_thread.lock' object"
        )
        assert "Failed to" not in text

    program = kit.Program(CLUSTER)
    check(program.run(tmp_path / "ours", "processes", "submit:returns_lock"))
    with pytest.raises(AssertionError):
        check(program.run(tmp_path / "bare", "processes", "submit:returns_lock", autotb="0"))


@pytest.mark.parametrize("kind", ["processes", "threads"])
def test_a_future_that_is_never_retrieved_is_reported_once(tmp_path, kind):
    ran = kit.Program(CLUSTER).run(tmp_path, kind, "never:score")

    assert ran.stderr.count("ZeroDivisionError") == 1
    assert "autotb: the exception of a failed future was never retrieved" in ran.stderr
    assert "Compute Failed" not in ran.stderr
    assert ran.status == 0


@kit.newer
def test_a_worker_that_dies_again_and_again(tmp_path):
    ran = kit.Program(CLUSTER).run(tmp_path, "processes", "submit:killed")

    assert "submit killed raised KilledWorker" in ran.stdout
    assert kit.names(programs.sections(ran.stderr)["submit_killed"])[0] == "submit"


CTRL_C = """
import os, signal, sys, threading, time
from distributed import Client, LocalCluster

def slow(x):
    time.sleep(600)

def main():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        futures = client.map(slow, [1, 2])
        while not any(client.processing().values()):
            time.sleep(0.05)
        threading.Timer(0.5, lambda: os.killpg(0, signal.SIGINT)).start()
        client.gather(futures)

if __name__ == "__main__":
    main()
"""


@kit.newer
def test_a_ctrl_c_is_short_and_keeps_the_status(run):
    ran = run(CTRL_C)

    assert "KeyboardInterrupt" in ran.lines  # Dask may tell of its own cancelled tasks after it
    assert ran.status == run(CTRL_C, autotb="0").status
    assert "autotb" not in ran.stderr.replace("AUTOTB_FRAMES", "")
    assert len(ran.lines) < 80


COLLECTIONS = """\
import sys

import dask.array
import dask.dataframe
import pandas
from distributed import Client, LocalCluster


def ratio(part):
    return 1 // int(part["a"].iloc[1])


def read():
    for number in range(2):
        with open(f"{number}.csv", "w") as file:
            file.write("a,b\\n1,2\\n3,%s\\n" % ("bad" if number else 4))
    lazy = dask.dataframe.read_csv("*.csv", dtype={"a": int, "b": int})
    return lazy.b.mean().compute()


def parts():
    frame = dask.dataframe.from_pandas(pandas.DataFrame({"a": [1, 2, 3, 0]}), npartitions=2)
    lazy = frame.map_partitions(ratio, meta=("a", int))
    return lazy.compute()


def meta():
    frame = dask.dataframe.from_pandas(pandas.DataFrame({"a": [1, 2, 3, 0]}), npartitions=2)
    return frame.map_partitions(lambda part: part["b"])


def dtype():
    return dask.array.ones((4, 4), chunks=2).map_blocks(lambda block: block.nope)


if __name__ == "__main__":
    client = Client(LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None))
    for case in (read, parts, meta, dtype):
        sys.stderr.write(f"=== {case.__name__}\\n")
        sys.stderr.flush()
        try:
            case()
        except Exception as error:
            print(case.__name__, type(error).__name__)
            sys.excepthook(type(error), error, error.__traceback__)
    client.close()
"""


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    folder = tmp_path_factory.mktemp
    return programs.run(folder("ours"), COLLECTIONS), programs.run(folder("bare"), COLLECTIONS, autotb="0")


def story(collections, case):
    return programs.Ran(1, "", sections(collections[0].stderr)[case], None)


@kit.newer
@pytest.mark.on_main()
def test_a_library_that_fails_in_a_worker_has_its_record(collections):
    ran = story(collections, "read")

    assert re.search(r"│ in a Dask worker, pid \d+, task \('read-?csv-\w+', 1\)", ran.stderr), ran.stderr
    assert re.search(r"file /\S+/1\.csv", ran.stderr) and re.search(r"made at \S+main.py:17 in read", ran.stderr), ran.stderr
    assert "_read_csv(block=b'a,b" in ran.stderr
    assert ran.stderr.index("in a Dask worker") < ran.stderr.index("frames in pandas, last at")
    assert ran.last == "ValueError: invalid literal for int() with base 10: 'bad'"


@kit.newer
@pytest.mark.on_main()
def test_a_partition_is_told_by_its_key_and_the_line_that_made_the_operation(collections):
    ran = story(collections, "parts")

    assert re.search(r"│ in a Dask worker, pid \d+, task \('ratio-\w+', 1\)", ran.stderr), ran.stderr
    assert re.search(r"made at \S+main.py:23 in parts", ran.stderr), ran.stderr
    assert re.search(r"submitted at \S+main.py:24 in parts", ran.stderr), ran.stderr
    assert "ratio(part=DataFrame(shape=(2, 1)))" in ran.stderr
    assert ran.last == "ZeroDivisionError: integer division or modulo by zero"


@kit.newer
@pytest.mark.on_main()
@pytest.mark.parametrize(
    ("case", "error", "keyword"), [("meta", "KeyError: 'b'", "meta="), ("dtype", "AttributeError: ", "dtype=")]
)
def test_an_error_in_a_trial_run_is_told_once(collections, case, error, keyword):
    ran, bare = story(collections, case), sections(collections[1].stderr)[case]

    assert [head.rpartition(" ")[2] for head in ran.heads if "main.py" in head][-2:] == [case, "<lambda>"], ran.stderr
    assert re.search(rf"^\w* ?.*inference failed in `.*Dask calls it with made-up data .*{keyword} tells Dask", ran.stderr, re.M)
    assert "\nraised as ValueError\n" in ran.stderr
    assert error in ran.last
    assert "Original error is below" not in ran.stderr
    assert "frame in contextlib" not in ran.stderr
    assert case != "meta" or len(ran.lines) < bare.count("\n")
    assert f"{case} ValueError" in collections[0].stdout
    assert f"{case} ValueError" in collections[1].stdout


@pytest.mark.parametrize("made", ["1", "0"])
def test_a_thread_that_asks_for_a_task_has_its_own_frames_and_the_tasks(run, made):
    told = run(IN_A_THREAD, AUTOTB_STYLE="plain", AUTOTB_TRACEBACK=made, COLUMNS="300").stderr

    assert re.findall(r"^  File .*, in (\w+)$", told, re.M) == ["ask", "score"]
    assert re.search(r"^  \[in thread asker, started at \S*main.py:\d+ in <module>\]$", told, re.M)
    assert re.search(r"^  \[in a Dask worker, .*submitted at \S*main.py:\d+ in ask\]\n  \[score\(item=1\)\]$", told, re.M)
    assert re.search(r"^  \[[59] engine frames hidden, AUTOTB_FRAMES=all\]$", told, re.M)


IN_A_THREAD = """
import threading

from dask.distributed import Client


def ask():
    client.gather(client.submit(score, 1))


def score(item):
    raise ValueError(f"item {item} is odd")


if __name__ == "__main__":
    with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=50) as client:
        asker = threading.Thread(target=ask, name="asker")
        asker.start()
        asker.join()
"""
