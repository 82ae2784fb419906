"""PySpark: a real local Spark, RDDs and UDFs."""

from __future__ import annotations

import pytest

from tests import programs
from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf
from pyspark.sql.types import DoubleType

import cases

# A thread of the JVM would draw its bar of progress over stderr at any time.
builder = SparkSession.builder.master("local[2]").config("spark.ui.showConsoleProgress", "false")
spark = builder.config("spark.ui.enabled", "false").getOrCreate()


def rdd(task):
    return spark.sparkContext.parallelize([1, 0], 2).map(task).collect()


def foreach(task):
    def each(items):
        for item in items:
            task(item)

    spark.sparkContext.parallelize([1, 0], 2).foreachPartition(each)


def function(task):
    scored = udf(task, DoubleType())
    return spark.createDataFrame([(1,), (0,)], ["x"]).select(scored("x")).collect()


if __name__ == "__main__":
    cases.run(globals())
    spark.stop()
"""

ENGINES = {
    "pyspark": Engine(
        requires=("pyspark[connect]>=3.5",),
        heavy=True,
        costly=True,
        oldest=("pyspark==3.5.1", "setuptools<80"),
        needs="java",
        environment={"SPARK_LOCAL_IP": "127.0.0.1"},
        main=MAIN,
        cases=("rdd:ok", "rdd:score"),
    ),
}


@kit.on_main
@programs.needs("java")
class TestSpark(kit.Standard):
    MAIN = MAIN
    WAYS = dict.fromkeys(["rdd", "function"], "in a PySpark worker")
    TASKS = ("score", "two")
    MORE = {"foreach:score": ["foreach", "each", "score", "divide"], "rdd:chained": ["chained", "divide", "rdd", "chained"]}
    OTHERS = ("rdd:killed", "rdd:ok", "function:ok")
    OWN = ("\tat org.apache", "/py4j/", "PythonException:")
    CATCHES = {}
    NOT_SUBMITTED = ("rdd", "function")
    NO_CALL = ("rdd", "function")
    ENVIRONMENT = {"SPARK_LOCAL_IP": "127.0.0.1"}
    LINES_OF_OTHERS = r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d [A-Z]+ "  # the JVM's log: that a task of it was interrupted

    def test_the_jvms_stack_is_counted_and_left_out(self, program):
        text = program.story("rdd:killed")

        assert "\tat " not in text
        assert "lines of the JVM's stack hidden" in text
        assert kit.names(text) == ["rdd"]

    def test_exit_status_and_the_users_own_output(self, tmp_path):
        """A thread of the JVM passes on what workers print, and the JVM is ended with the program: a line may come too late, and
        the JVM's own last words after the story, with autotb as without.  A line that never comes is lost by us."""
        for attempt in range(4):
            ours = kit.Program(MAIN).run(tmp_path / str(attempt), "!rdd:says", **self.ENVIRONMENT)
            assert ours.status == 1, ours.stderr
            assert kit.ZERO in ours.stderr.splitlines(), ours.stderr
            if "the user's own line 0" in ours.stdout + ours.stderr:
                break
        else:
            pytest.fail(f"the worker's own line was lost four times\n{ours.stdout}\n{ours.stderr}")
