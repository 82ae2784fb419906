"""Which line made an operation of a collection that failed within a library, and which file its task read."""

from __future__ import annotations

import re
import sys

import pytest

from autotb.engines import dask_operations
from autotb.record import callsite
from tests import programs
from tests.engines import kit

PROGRAM = """\
import json
import os
import sys

import dask
import dask.array
import dask.bag
import dask.dataframe as frames
import numpy
import pandas


def share(group):
    return 1 // int(group["a"].iloc[0])


def read():
    for name in ("0.csv", "1.csv", "2.csv"):
        pandas.DataFrame({"a": [1, 2], "b": [3, 4]}).to_csv(name)
    other = frames.read_csv("0.csv")
    every = frames.read_csv("*.csv")
    os.remove("1.csv")
    return every.b.sum().compute()


def two():
    every = frames.read_csv("0.csv")
    also = frames.read_csv("2.csv")
    os.remove("2.csv")
    return frames.concat([every, also]).compute()


def astype():
    frame = frames.from_pandas(pandas.DataFrame({"a": ["1", "2", "x3", "4"]}), npartitions=2)
    numbers = frame.astype({"a": int})
    return (numbers.a + 1).sum().compute()


def group():
    frame = frames.from_pandas(pandas.DataFrame({"g": [1, 2], "a": [1, 0]}), npartitions=2)
    shares = frame.groupby("g").apply(share, meta=("x", int))
    return shares.compute()


def array():
    matrix = dask.array.ones((4, 4), chunks=2)
    inverse = matrix.map_blocks(numpy.linalg.inv, dtype=float)
    return (inverse + 1).mean().compute()


def lines():
    with open("numbers.txt", "w") as file:
        file.write("1\\nx\\n")
    return dask.bag.read_text("numbers.txt").map(int).sum().compute()


def loads():
    rows = dask.bag.from_sequence(['{"a": 1}', "{bad"], npartitions=2)
    found = rows.map(json.loads).pluck("a")
    return found.compute()


def parts():
    rows = dask.bag.from_sequence([{"a": 1}, {}], npartitions=2)
    found = rows.pluck("a")
    return found.frequencies().compute()


def rates(frame):
    frame = frame.copy()
    return frame.assign(a=[1 // value for value in frame["a"]])


def persists():
    frame = frames.from_pandas(pandas.DataFrame({"a": [1, 0]}), npartitions=2)
    rated = frame.map_partitions(rates, meta=frame)
    return rated.persist()


def lacks():
    frame = frames.from_pandas(pandas.DataFrame({"a": [1, 0], "b": [1, 2]}), npartitions=2)
    dropped = frame.map_partitions(pandas.DataFrame.drop, columns="b", meta=frame)
    return dropped.compute()


class Rates:
    def of(self, window):
        return {1: 0.5, 2: 0.7}[int(window[0])]


def rolls():
    frame = frames.from_pandas(pandas.DataFrame({"a": [1.0, 2.0, 3.0, 4.0]}), npartitions=2)
    rolled = frame.a.rolling(2).apply(Rates().of, raw=True)
    return rolled.compute()


def reduces():
    frame = frames.from_pandas(pandas.DataFrame({"a": [1, 2]}), npartitions=2)
    reduced = frame.a.reduction(lambda part: part.sum(), aggregate=lambda sums: sums["x"], meta=int)
    return reduced.compute()


def delayed():
    table = dask.delayed(pandas.read_csv)("gone.csv", sep=";")
    return table.compute()


if __name__ == "__main__":
    dask.config.set(scheduler=sys.argv[1], num_workers=2)
    more = (parts, persists, lacks, rolls, reduces) if sys.argv[1] == "threads" else ()  # each starts a pool of processes
    for case in (read, two, astype, group, array, lines, loads, delayed, *more):
        sys.stderr.write(f"=== {case.__name__}\\n")
        sys.stderr.flush()
        try:
            case()
        except Exception as error:
            print(case.__name__, type(error).__name__)
            sys.excepthook(type(error), error, error.__traceback__)
"""


@pytest.fixture(scope="module", params=["threads", "processes"])
def told(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("operations")
    ran = programs.run(folder, PROGRAM, request.param, AUTOTB_STYLE="plain", COLUMNS="300")
    bare = programs.run(tmp_path_factory.mktemp("bare"), PROGRAM, request.param, autotb="0")
    assert ran.stdout == bare.stdout
    return programs.sections(ran.stderr)


def line_of(text):
    return next(number for number, line in enumerate(PROGRAM.split("\n"), 1) if text in line)


@kit.newer
@pytest.mark.on_main()
@pytest.mark.parametrize(
    ("case", "key", "made"),
    [
        ("read", r"\('read-?csv-\w+', 1\)", 'every = frames.read_csv("*.csv")'),
        ("astype", r"\('\w+-\w+', 1\)", "numbers = frame.astype"),
        ("group", r"\('\w+-\w+', \d\)", "shares = frame.groupby"),
        ("delayed", r"read_csv-\S+", "table = dask.delayed"),
        ("loads", r"\('from_sequence-loads-\S+', 1\)", "found = rows.map(json.loads)"),
        ("persists", r"\('rates-\w+', 1\)", "rated = frame.map_partitions(rates"),
        ("lacks", r"\('drop-\w+', \d\)", "dropped = frame.map_partitions(pandas"),
        ("rolls", r"\('_overlap_chunk-\w+', \d\)", "rolled = frame.a.rolling"),
        ("reduces", r"\('\S+-\w+', \d\)", "reduced = frame.a.reduction"),
        ("array", r"\('mean_chunk-\w+', \d, \d\)", "inverse = matrix.map_blocks"),
    ],
)
def test_the_line_that_made_the_operation_and_the_one_that_asked(told, case, key, made):
    if case not in told:
        pytest.skip("threads tell it")
    place = re.search(
        rf"^  \[in a Dask worker\b.*, task {key}.*, made at \S*main.py:(\d+) in {case}, submitted at \S*main.py:(\d+) in {case}\]$",
        told[case],
        re.M,
    )

    assert place, told[case]
    assert int(place[1]) == line_of(made)
    assert int(place[2]) == int(place[1]) + (2 if case == "read" else 1)
    calls = {
        "read": "read_block_from_file(",
        "delayed": "read_csv(filepath_or_buffer='gone.csv', sep=';')]",
        "group": "share(group=",
        "loads": "loads(s='{bad')]",
        "persists": "rates(frame=DataFrame(shape=(1, 1)))]",
        "lacks": "DataFrame.drop(",
        "astype": "NDFrame.astype(dtype={'a': <class int>})]",
        "rolls": "of(window=ndarray(" if sys.version_info < (3, 11) else "Rates.of(window=ndarray(",
        "reduces": "<lambda>(sums=Series(",
    }
    assert f"\n  [{calls.get(case, '')}" in told[case]
    before, _, _ = told[case].partition("  [in a Dask worker")
    assert "frames in" not in before.rpartition("  File ")[2], "the worker's library stands before its header"


@kit.newer
@pytest.mark.on_main()
def test_of_a_bags_operations_at_several_lines_none_is_named(told):
    """What failed leaves no frame: each of them may have been it."""
    if "parts" not in told:
        pytest.skip("threads tell it")
    assert re.search(r", task \('from_sequence-pluck-\S+', 1\), submitted at ", told["parts"]), told["parts"]
    assert "<map object>" not in told["parts"]


@kit.newer
@pytest.mark.on_main()
def test_the_file_that_a_task_was_reading(told):
    assert re.search(r", task \('read-?csv-\w+', 1\), file /\S*/1\.csv, made at ", told["read"]), told["read"]
    assert re.search(r", task \S.*, file /\S*/numbers\.txt, submitted at ", told["lines"]), told["lines"]
    assert ", file " not in told["astype"]


@kit.newer
@pytest.mark.on_main()
def test_of_operations_of_one_kind_that_were_both_asked_for_none_is_named(told):
    assert ", file " in told["two"]
    assert "made at" not in told["two"], told["two"]


@pytest.fixture
def _fresh(monkeypatch):
    monkeypatch.setattr(dask_operations, "_made", {})
    monkeypatch.setattr(dask_operations, "_frames", {})


@pytest.mark.usefixtures("_fresh")
def test_an_array_that_was_made_at_two_lines_is_of_neither():
    code = test_an_array_that_was_made_at_two_lines_is_of_neither.__code__
    hop = {"operation": "inv-1"}
    dask_operations._made["inv-1"] = callsite.at(code, 0)
    dask_operations.note_made(hop)
    assert hop.pop("made")["name"] == code.co_name

    dask_operations._made["inv-1"] = None
    dask_operations.note_made(hop)
    assert "made" not in hop
