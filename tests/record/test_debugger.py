"""A debugger's session after a failure: it stands in the worker's line, and moves through the worker's frames, on any engine."""

from __future__ import annotations

import re

import pytest

from tests import programs
from tests.engines import kit
from tests.record import dap

TASKS = """
class Model:
    def __init__(self, views):
        self.views = views

    def score(self, clicks):
        return ratio(clicks, self.views)


def ratio(clicks, views):
    share = clicks / views
    return share


def train(batch):
    return Model(batch["views"]).score(batch["clicks"])
"""
PROGRAM = """
import pdb
import sys

import tasks

BATCH = {"clicks": 3, "views": 0}


def pool():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1) as pool:
        pool.submit(tasks.train, BATCH).result()


def dask():
    from dask.distributed import Client, LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(tasks.train, BATCH).result()


def parsl():
    import parsl
    from parsl.executors import HighThroughputExecutor

    workers = HighThroughputExecutor(max_workers_per_node=1, address="127.0.0.1", cpu_affinity="none")
    with parsl.load(parsl.Config(executors=[workers], strategy="none")):
        parsl.python_app(tasks.train)(BATCH).result()


def ray():
    import ray

    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
    ray.get(ray.remote(tasks.train).remote(BATCH))


if __name__ == "__main__":
    try:
        globals()[sys.argv[1]]()
    except ZeroDivisionError as error:
        pdb.post_mortem(error.__traceback__)
"""
SESSION = (
    "where",
    "args",
    "p views",
    "p __autotb_hop__",
    "up",
    "ll",
    "up",
    "args",
    "p batch",
    "down",
    "list",
    "source ratio",
    "q",
)


@pytest.mark.on_main("parsl")
@pytest.mark.parametrize("engine", ["pool", "dask", "parsl", pytest.param("ray", marks=kit.on_main)])
def test_it_stands_in_the_workers_line(tmp_path, engine):
    (tmp_path / "tasks.py").write_text(TASKS)

    def said(autotb):
        ran = programs.run(
            tmp_path, PROGRAM, engine, stdin="\n".join(SESSION) + "\n", autotb=autotb, PYTHONPATH=str(tmp_path), PDBPP="0"
        )
        return ran.stdout.partition("(Pdb) ")[2].split("(Pdb) ")

    where, args, views, where_it_ran, up, listed, _, others, batch, _, around, *_ = said("1")
    frames = re.findall(r"^(?:  |> )\S*?(?:tasks\.py)\((\d+)\)(\w+)\(\)$", where, re.M)
    assert frames == [("16", "train"), ("7", "score"), ("11", "ratio")], where
    assert "-> share = clicks / views" in where
    assert (args, others) == ("clicks = 3\nviews = 0\n", "batch = {'clicks': 3, 'views': 0}\n")
    assert where_it_ran.startswith("<in a ") and "these values are texts" in where_it_ran
    assert views.strip() == "0"
    assert "tasks.py(7)score()\n-> return ratio(clicks, self.views)" in up
    assert "def score(self, clicks):" in listed
    assert batch.strip() == "{'clicks': 3, 'views': 0}"
    assert re.search(r"7  ->\s+return ratio\(clicks, self.views\)", around), around

    assert not any("views = 0" in answer for answer in said("0"))


EDITED = """
import os
import sys
from concurrent.futures import ProcessPoolExecutor, wait

import tasks

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        future = pool.submit(tasks.train, {"clicks": 3, "views": 0})
        wait([future])
        os.remove(tasks.__file__)
        future.result()
"""


@kit.on_main
def test_an_editor_shows_the_workers_frames_variables_and_the_source_that_was_elsewhere(tmp_path):
    pytest.importorskip("debugpy")
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "main.py").write_text(EDITED)

    with dap.Session(tmp_path, str(tmp_path / "main.py")) as session:
        stack = session.stack()
        places = [(frame["name"], frame["source"]["path"].rpartition("/")[2], frame["line"]) for frame in stack]
        variables = session.variables(stack[0])
        special = session.below(variables["special variables"]["variablesReference"])
        asked = session.ask("evaluate", expression="batch", frameId=stack[2]["id"], context="watch")
        source = session.source(stack[0])

    assert places[:3] == [("ratio", "tasks.py", 11), ("score", "tasks.py", 7), ("train", "tasks.py", 16)]
    assert ("<module>", "main.py", 13) in places
    assert [variables[name]["value"] for name in ("clicks", "views")] == ["3", "0"]
    assert "these values are texts" in special["__autotb_hop__"]["value"]
    assert asked["result"] == "{'clicks': 3, 'views': 0}"
    assert source.split("\n")[10] == "    share = clicks / views"
