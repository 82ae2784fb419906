"""What a Spark worker on this machine knows comes beside its text: arguments, process, partition, stage, attempt.

With the line that made the lazy operation; under Spark Connect as well.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from autotb.engines.pyspark import driver, records
from tests import programs
from tests.engines import kit
from tests.programs import Ran, sections

PROGRAM = """
import os
import sys
import traceback
import warnings

warnings.simplefilter("ignore", FutureWarning)
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf, udf

builder = SparkSession.builder.config("spark.sql.shuffle.partitions", "1")
if os.environ.get("CONNECT"):
    spark = builder.remote("local[2]").getOrCreate()
else:
    builder = builder.master("local[2, 2]").config("spark.ui.showConsoleProgress", "false")
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()


def rate(clicks, views):
    if not views:
        raise ValueError(f"no views for {clicks}")
    return clicks / views


def frame():
    return spark.createDataFrame([(n % 3, float(n), float(5 - n)) for n in range(8)], ["k", "clicks", "views"])


def scalar():
    score = pandas_udf(lambda clicks, views: pd.Series(map(rate, clicks, views)), "double")
    made = frame().select(score("clicks", "views"))
    made.collect()


def printed():
    try:
        scalar()
    except Exception:
        traceback.print_exc()


def grouped():
    def per_group(pdf):
        return pdf.assign(clicks=[rate(*pair) for pair in zip(pdf.clicks, pdf.views)])

    made = frame().groupby("k").applyInPandas(per_group, "k long, clicks double, views double")
    made.collect()


def in_sql():
    spark.udf.register("rated", rate, "double")
    frame().createOrReplaceTempView("t")
    spark.sql("select rated(clicks, views) from t").collect()


def mistyped():
    named = pandas_udf(lambda clicks: clicks.map("no. {}".format), "int")
    frame().select(named("clicks")).collect()


for case in sys.argv[1:]:
    sys.stderr.write(f"=== {case}\\n")
    sys.stderr.flush()
    try:
        globals()[case]()
    except Exception as error:
        print(case, type(error).__name__, "no views for 5.0" in str(error), len(str(error).splitlines()), flush=True)
        sys.excepthook(type(error), error, error.__traceback__)
spark.stop()
"""
ENVIRONMENT: dict[str, Any] = {"timeout": 300, "SPARK_LOCAL_IP": "127.0.0.1", "AUTOTB_STYLE": "plain"}
WORKER = r"\[in a PySpark worker, pid \d+, partition {}, stage \d+{}, made at .*main\.py:{} in {}\]\n  \[{}\]\n"
pytestmark = [kit.on_main, kit.newer, programs.needs("java")]


def line(code: str) -> int:
    return 1 + next(number for number, each in enumerate(PROGRAM.lstrip("\n").split("\n"), 1) if code in each)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return programs.run(
        tmp_path_factory.mktemp("classic"), PROGRAM, "scalar", "printed", "grouped", "in_sql", "mistyped", **ENVIRONMENT
    )


def story(ran: Ran, case: str) -> str:
    return sections(ran.stderr)[case].partition("Traceback (most recent call last):\n  File")[2]


def check(text: str, partition: object, attempt: str, made: str, case: str, call: str) -> None:
    assert re.search(WORKER.format(partition, attempt, line(made), case, call), text), text
    assert text.rstrip().endswith("ValueError: no views for 5.0")
    assert "in rate" in text
    assert text.count("in a PySpark worker") == 1


ATTEMPT = ", attempt 2 of 2"
PARTS = [
    ("scalar", 1, 'score("clicks", "views")', r"<lambda>\(clicks=Series\(shape=\(4,\)\), views=Series\(shape=\(4,\)\)\)"),
    ("grouped", 0, "applyInPandas(", r"per_group\(pdf=DataFrame\(shape=\(2, 3\)\)\)"),
    ("in_sql", 1, "spark.udf.register", r"rate\(clicks=5\.0, views=0\.0\)"),
]


@pytest.mark.parametrize(("case", "partition", "made", "call"), PARTS)
def test_the_task_its_arguments_and_the_line_that_made_the_operation(ran, case, partition, made, call):
    check(story(ran, case), partition, ATTEMPT, made, case, call)


def test_a_result_that_spark_cannot_convert_is_told_with_its_task(ran):
    text = sections(ran.stderr)["mistyped"]

    assert re.search(
        r"\[in a PySpark worker, pid \d+, partition \d(, | \(of 2 that failed so\), )stage \d+, attempt 2 of 2\]", text
    ), text
    assert "PySparkValueError: " in text and "Failed to parse string: 'no. " in text


def test_another_job_that_fails_of_the_same_has_its_own_stage_and_the_workers_columns(ran):
    first, again = sections(ran.stderr)["scalar"], sections(ran.stderr)["printed"]
    stages = [re.findall(r", stage (\d+), attempt 2 of 2", text) for text in (first, again)]
    code = next(each.strip() for each in PROGRAM.split("\n") if "score = pandas_udf" in each)
    part = "pd.Series(map(rate, clicks, views))"

    assert [len(each) for each in stages] == [1, 1] and stages[0] != stages[1]
    assert f"    {code}\n    {' ' * code.index(part)}{'^' * len(part)}\n" in again


def test_the_exceptions_are_those_of_a_run_without_autotb(ran, tmp_path):
    bare = programs.run(tmp_path, PROGRAM, "scalar", autotb="0", **ENVIRONMENT)

    assert ran.stdout.splitlines()[:1] == bare.stdout.splitlines()
    assert ran.status == bare.status
    assert "partition 1, stage" not in bare.stderr
    assert story(ran, "scalar").count("\n") < bare.stderr.count("\n")


def test_spark_connect_tells_the_same(tmp_path):
    connected = programs.run(tmp_path, PROGRAM, "grouped", CONNECT="1", **ENVIRONMENT)

    check(story(connected, "grouped"), 0, "", "applyInPandas(", "grouped", r"per_group\(pdf=DataFrame\(shape=\(2, 3\)\)\)")
    assert "raised as pyspark.errors.exceptions.connect.PythonException" in connected.stderr


# The files


TEXT = "Traceback (most recent call last):\nValueError: no"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "_folder", str(tmp_path))
    monkeypatch.setattr(records, "_last", None)
    return tmp_path


def leave(folder, partition: int, stage: int = 3, attempt: int = 0) -> None:
    tree = {"v": 1, "type": "ValueError", "message": "no", "hops": [{"frames": [], "call": f"f(x={partition})"}]}
    told = {"partition": partition, "stage": stage, "attempt": attempt, "tree": tree}
    (folder / f"{records._key(TEXT)}-{partition}-{stage}-{attempt}").write_text(json.dumps(told))


def label(most: int = 4) -> str:
    return records.found(TEXT, most)["hops"][0]["label"]


def test_of_tasks_that_failed_with_the_same_words_it_is_said_how_many(folder):
    leave(folder, 1, stage=2)
    leave(folder, 4)
    leave(folder, 2)

    assert label() == "partition 2 (of 2 that failed so), stage 3"
    assert list(folder.iterdir()) == []


def test_the_last_attempt_is_told(folder):
    for attempt in range(4):
        leave(folder, 1, attempt=attempt)

    assert label() == "partition 1, stage 3, attempt 4 of 4"


def test_a_failure_that_is_told_twice_has_its_record_twice_but_not_for_ever(folder, monkeypatch):
    leave(folder, 1)

    assert label() == label()
    monkeypatch.setattr(time, "monotonic", lambda: 1e9)
    assert records.found(TEXT, 1) is None


def test_another_job_that_fails_with_the_same_words_at_once_has_its_own_record(folder):
    leave(folder, 1)
    assert label() == "partition 1, stage 3"
    leave(folder, 0)  # of the same job, late
    assert label() == "partition 1, stage 3"

    leave(folder, 0, stage=5)
    assert [label(), label()] == ["partition 0, stage 5"] * 2


def test_a_damaged_file_is_none(folder):
    (folder / f"{records._key(TEXT)}-1").write_text("{")
    (folder / f"{records._key(TEXT)}-2").write_text("[]")

    assert records.found(TEXT, 1) is None
