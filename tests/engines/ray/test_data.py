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

import ray


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


def main():
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    for case in (in_map, in_filter, in_flat_map, in_column, in_class):  # its actor keeps the one CPU for a while
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
    assert f"{case} True" in ours.stdout


def test_what_ray_adds_is_how_often_it_tried():
    error = RuntimeError("UDF failed.\nFailed to apply UDF transform after 3/3 attempts (total backoff 2.0s).\nTo change …")
    error.__cause__ = cause = ValueError("x")
    opened = data.opened(error)

    assert opened.roots == (cause,)
    assert opened.broken == ("Failed to apply UDF transform after 3/3 attempts (total backoff 2.0s).",)
    assert data.opened(RuntimeError("alone")) is None
