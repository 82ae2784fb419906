"""Ray Data: what a function of a data set raises is told with its row or batch, where it ran, and the line that made the operation."""

from __future__ import annotations

import re

import pytest

from autotb.engines.ray import data
from tests import programs
from tests.engines import kit
from tests.programs import Ran, sections

PROGRAM = """
import sys

import pyarrow
import ray
from ray.data.aggregate import AggregateFn
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasink, Datasource, ReadTask


def inverse(value):
    return 1 / (int(value) - 7)


def clean(row):
    return {"id": inverse(row["id"])}


class Model:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, batch):
        return {"id": [inverse(value) for value in batch["id"]]}


def rows(made):
    return made.take_all()


def in_map(ds):
    made = ds.map(clean)
    rows(made)


def keep(row):
    return inverse(row["id"]) > 0


def in_filter(ds):
    made = ds.filter(keep)
    rows(made)


def split(row):
    return [{"id": inverse(row["id"])}]


def in_flat_map(ds):
    made = ds.flat_map(split)
    rows(made)


def in_class(ds):
    made = ds.map_batches(Model, fn_constructor_args=(2,), concurrency=1)
    rows(made)


def in_column(ds):
    made = ds.add_column("other", lambda df: df["nope"])
    rows(made)


class Pages(Datasource):
    def estimate_inmemory_data_size(self):
        return None

    def get_read_tasks(self, parallelism, *more, **named):
        metadata = BlockMetadata(num_rows=1, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(lambda: [fetch(page=7)], metadata)]


def fetch(page):
    return pyarrow.table({"id": [inverse(page)]})


def in_source(ds):
    made = ray.data.read_datasource(Pages())
    rows(made)


class Http(Datasink):
    def write(self, blocks, ctx):
        for block in blocks:
            inverse(7)


def in_sink(ds):
    ds.write_datasink(Http())


def add(total, row):
    return total + inverse(row["id"])


def in_aggregate(ds):
    total = AggregateFn(init=lambda key: 0.0, accumulate_row=add, merge=lambda a, b: a + b, name="total")
    made = ds.groupby("id", num_partitions=1).aggregate(total)
    rows(made)


def spread(group):
    return {"id": [inverse(7)]}


def in_groups(ds):
    made = ds.groupby("id", num_partitions=1).map_groups(spread)
    rows(made)


class Loaded:
    def __init__(self, path):
        self.weights = inverse(path)

    def __call__(self, batch):
        return batch


def in_constructor(ds):
    made = ds.map_batches(Loaded, fn_constructor_args=(7,), concurrency=1)
    rows(made)


CASES = (in_map, in_filter, in_flat_map, in_column, in_source, in_sink, in_aggregate, in_groups, in_constructor, in_class)


def main():
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    for case in CASES:  # the last one's actor keeps the one CPU for a while
        sys.stderr.write(f"=== {case.__name__}\\n")
        sys.stderr.flush()
        try:
            case(ray.data.range(20, override_num_blocks=1))
        except Exception as error:
            print(case.__name__, isinstance(error, ray.exceptions.UserCodeException))
            sys.excepthook(type(error), error, error.__traceback__)


main()
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return programs.run(tmp_path_factory.mktemp("data"), PROGRAM, timeout=300)


#: case: the frames, the operation, the call, the last line
EXPECTED = {
    "in_map": (
        ["main", "in_map", "rows", "clean", "inverse"],
        "ReadRange->Map(clean)",
        "clean(row={'id': 7})",
        "ZeroDivisionError: division by zero",
    ),
    "in_filter": (
        ["main", "in_filter", "rows", "keep", "inverse"],
        "ReadRange->Filter(keep)",
        "keep(row={'id': 7})",
        "ZeroDivisionError: division by zero",
    ),
    "in_flat_map": (
        ["main", "in_flat_map", "rows", "split", "inverse"],
        "ReadRange->FlatMap(split)",
        "split(row={'id': 7})",
        "ZeroDivisionError: division by zero",
    ),
    "in_class": (
        ["main", "in_class", "rows", "__call__", "inverse"],
        "MapBatches(Model)",
        "__call__(",
        "ZeroDivisionError: division by zero",
    ),
    "in_column": (
        ["main", "in_column", "rows", "<lambda>", "get_loc"],
        "ReadRange->MapBatches(add_column)",
        "<lambda>(df=DataFrame(shape=(20, 1)))",
        "KeyError: 'nope'",
    ),
}

#: The same of errors that Ray Data takes for its own, and says so.
OWN = {
    "in_source": (["main", "in_source", "rows", "<lambda>", "fetch", "inverse"], "ReadPages", "<lambda>()"),
    "in_sink": (["main", "in_sink", "write", "inverse"], "ReadRange->Write", "Http.write("),
    "in_aggregate": (["main", "in_aggregate", "rows", "add", "inverse"], "HashAggregateMap(", "add(total=0.0, row="),
    "in_groups": (["main", "in_groups", "rows", "spread", "inverse"], "HashShuffleReduce(", "spread(group=DataFrame("),
    "in_constructor": (
        ["main", "in_constructor", "rows", "__init__", "inverse"],
        "MapWorker(ReadRange->MapBatches(Loaded)).__init__",
        "Loaded.__init__(path=7)",
    ),
}


@pytest.mark.on_main()
@kit.newer
@pytest.mark.parametrize("case", EXPECTED)
def test_the_users_error_is_the_headline(ours, case):
    frames, operation, call, last = EXPECTED[case]
    text = sections(ours.stderr)[case]
    shown = [head.partition(" in ")[2] for head in Ran(1, "", text, None).heads]

    assert [name for name in shown if name not in ("<module>", "PyObjectHashTable.get_item")][-len(frames) :] == frames, text
    assert re.search(r"│ in a Ray (worker|actor), pid \d+, \S*" + re.escape(operation), text), text
    assert re.search(rf"made at \S+main\.py:\d+ in {case}", text), text
    assert call in text, text
    assert "\nraised as ray.exceptions.UserCodeException\n" in text
    assert "after 1/1 attempts" in text
    assert "UDF failed to process" not in text
    assert "_map_task" not in text
    assert Ran(1, "", text, None).last.startswith(last), text
    assert "Traceback (most recent call last):\n" not in text
    assert f"{case} True" in ours.stdout


@pytest.mark.on_main()
@kit.newer
@pytest.mark.parametrize("case", OWN)
def test_an_error_that_is_none_of_a_mapped_function_is_told_once(ours, case):
    frames, operation, call = OWN[case]
    text = sections(ours.stderr)[case]
    ran = Ran(1, "", text, None)

    assert [head.partition(" in ")[2] for head in ran.heads if " in <module>" not in head] == frames, text
    assert re.search(r"│ in a Ray (worker|actor), pid \d+, \S*" + re.escape(operation), text), text
    assert bool(re.search(rf"made at \S+main\.py:\d+ in {case}", text)) == (case != "in_sink"), text  # the line that asks made it
    assert call in text, text
    assert "ZeroDivisionError: division by zero" in ran.lines
    assert "Traceback (most recent call last):\n" not in text  # of a log's copy
    assert "never retrieved" not in text
    assert f"{case} False" in ours.stdout


def test_what_ray_adds_is_how_often_it_tried():
    error = RuntimeError("UDF failed.\nFailed to apply UDF transform after 3/3 attempts (total backoff 2.0s).\nTo change …")
    error.__cause__ = cause = ValueError("x")
    opened = data.opened(error)

    assert opened.roots == (cause,)
    assert opened.broken == ("Failed to apply UDF transform after 3/3 attempts (total backoff 2.0s).",)
    assert data.opened(RuntimeError("alone")) is None
