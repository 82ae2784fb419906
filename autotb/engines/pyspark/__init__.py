"""PySpark: functions of an RDD or UDF, run by Python workers under the JVM's executors.

A worker's error passes the JVM as text. The driver gets a ``PythonException`` (or py4j's ``Py4JJavaError``) whose message is
that text; from 4.0 on PySpark makes traceback frames of it, with file and line only. They are told as the worker's, the message
as the error that it quotes. What a worker on this machine knows besides comes by a file (``records``). A local
master logs every failed task twice more, Java stack and all, on the driver's terminal: those two loggers are switched off there,
where no task is tried again.
Source: https://spark.apache.org/docs/latest/api/python/development/debugging.html
"""

from __future__ import annotations

import functools
import re
import sys
from typing import TYPE_CHECKING, Any

from autotb import engine_facts
from autotb.assumption import Attributes, Lost
from autotb.engines.pyspark import deaths, driver, records
from autotb.instrument import engine_frames, lazy
from autotb.instrument.patch import Patch, noise_is_kept
from autotb.record import annotate, build, capture, ownership, static
from autotb.record.cpython_text import FRAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from autotb.instrument.types import Function
    from autotb.instrument.workers import Ask
    from autotb.record.schema import Frame, Tree

_OF_RDDS = ("map", "flatMap", "filter", "mapPartitions", "mapPartitionsWithIndex", "foreach", "foreachPartition", "mapValues")
_OF_GROUPS = tuple(
    f"{kind}.{name}" for kind in ("PandasGroupedOpsMixin", "PandasCogroupedOps") for name in ("applyInPandas", "applyInArrow")
)
_OF_CONNECTED_GROUPS = tuple(
    f"{kind}.{name}" for kind in ("GroupedData", "PandasCogroupedOps") for name in ("applyInPandas", "applyInArrow")
)
_CORE, _CONNECT, _WORKER = ("pyspark.core", "pyspark"), "pyspark.sql.connect", "pyspark.util"
_OPERATIONS = {
    **{f"{core}.rdd": tuple(f"RDD.{name}" for name in _OF_RDDS) for core in _CORE},
    "pyspark.sql.pandas.map_ops": ("PandasMapOpsMixin.mapInPandas", "PandasMapOpsMixin.mapInArrow"),
    "pyspark.sql.pandas.group_ops": _OF_GROUPS,
    f"{_CONNECT}.group": _OF_CONNECTED_GROUPS,
    f"{_CONNECT}.dataframe": ("DataFrame.mapInPandas", "DataFrame.mapInArrow"),
    "pyspark.sql.udf": ("UDFRegistration.register",),
    f"{_CONNECT}.udf": ("UDFRegistration.register",),
}
_CALLED = ("pyspark.sql.udf", f"{_CONNECT}.udf")
MODULES = (
    "pyspark.errors.exceptions.captured",
    "pyspark.errors.exceptions.connect",
    "pyspark.java_gateway",
    "pyspark.core.context",
    "pyspark.core.rdd",
    "pyspark.context",
    "pyspark.rdd",
    "pyspark.util",
    "pyspark.worker",
    "pyspark.worker_util",
    "pyspark.sql.pandas.map_ops",
    "pyspark.sql.pandas.group_ops",
    "pyspark.sql.udf",
    "pyspark.sql.connect.dataframe",
    "pyspark.sql.connect.group",
    "pyspark.sql.connect.udf",
)
NAME = "PySpark"
DISTRIBUTION = "pyspark"
CAPTURED = "RDD functions, UDFs, pandas UDFs, mapInPandas, applyInPandas, Spark Connect; the JVM's stack is left out"
TESTED = "3.5 to 4.3"

_PYTHON = re.compile(r"Traceback \(most recent call last\):\n.*?(?=\n\s*\tat |\n SQLSTATE|\Z)", re.S)
_JOINTS = re.compile(r"\n\n(The above exception was the direct cause|During handling of the above exception, another)[^\n]*:\n\n")
_QUOTING = ("PythonException", "Py4JJavaError")
_LOGGERS = ("org.apache.spark.executor.Executor", "org.apache.spark.scheduler.TaskSetManager")


def _open(exc: BaseException) -> engine_facts.Opened | None:
    kind = type(exc)
    if static.module(kind).partition(".")[0] not in ("pyspark", "py4j"):
        return None
    text = str(exc)
    found = _PYTHON.search(text) if kind.__name__ in _QUOTING else None
    if found is not None:
        return engine_frames.opened_text(exc, found[0])
    told, _, stack = text.partition("\n\tat ")
    if not stack:
        return None
    hidden = f" ({stack.count(chr(10)) + 1} lines of the JVM's stack hidden; str() of the exception has them)"
    return engine_facts.Opened(headline=engine_frames.named(f"{kind.__module__}.{kind.__qualname__}", told.strip() + hidden))


engine_facts.register(own=("pyspark", "py4j", "cloudpickle"), openers=(_open,))


def _wrap_convert(original: Function) -> Function:
    """Makes the exception that the program gets; its traceback, where it has one, is the worker's."""

    @functools.wraps(original)
    def convert_exception(*args: object, **kwargs: object) -> Any:
        converted = original(*args, **kwargs)
        try:
            error = sys.exc_info()[1]
            unknown = static.name(type(converted)) == "UnknownException"  # which is not raised: Py4J's own is
            if unknown and error is not None and static.module(type(error)) == "py4j.protocol":
                _note(error)
                annotate.raised(error)
            else:
                _note(converted)
        except Exception:
            pass  # its text is read
        return converted

    return convert_exception


def _note(converted: Any) -> None:
    """The worker's record; without one, the frames that PySpark has made of the text."""
    tb = getattr(converted, "__traceback__", None)
    text = str(converted)
    found = _PYTHON.search(text)
    if found is None:
        deaths.note(converted, text, _most_attempts())
        return
    frames = _brought(converted, tb) if tb is not None and engine_frames.has_user_frame(tb) else []
    tree = records.found(found[0], _most_attempts()) or (_of_text(found[0], frames) if frames else None)
    if tree is None:
        return
    tree["hops"][0] |= {"engine": "pyspark", "where": "in a PySpark worker"}
    if frames:
        tree["hops"][0] |= {"twice": True, "brought": frames}
    lazy.note_made(tree["hops"][0])
    annotate.arrive(converted, tree)
    annotate.renew(converted)  # whose frames have the worker's variables and columns, as PySpark's own have not


def _brought(converted: BaseException, tb: TracebackType) -> list[Frame]:
    record = build.record(converted, tb, {"engine": "pyspark", "where": "in a PySpark worker", "twice": True})
    return record["hops"][0]["frames"] if isinstance(record, dict) else []


def _of_text(text: str, frames: list[Frame]) -> Tree:
    """The worker's frames as a record, cut where the text's chained errors are."""
    first, *rest = _JOINTS.split(text)
    tree = _tree(first, frames)
    for sentence, block in zip(rest[::2], rest[1::2]):
        inner, tree = tree, _tree(block, frames)
        tree |= {"cause": inner} if sentence.startswith("The above") else {"context": inner}
    return tree


def _most_attempts() -> int:
    """How often Spark tries a task of the running context's."""
    module = next((sys.modules[name] for name in ("pyspark.core.context", "pyspark.context") if name in sys.modules), None)
    context = module.SparkContext._active_spark_context if module is not None else None
    try:
        if context is None:
            return 0
        if context.master.startswith("local"):
            return int((re.findall(r"\[.*, *(\d+)\]", context.master) or [1])[0])
        return int(context._conf.get("spark.task.maxFailures", "4"))
    except Exception:
        return 0  # it is not said of how many


def _tree(block: str, frames: list[Frame]) -> Tree:
    """One error of the text, with those of the frames that its block names."""
    known = {(frame["path"], frame["line"], frame["name"]): frame for frame in frames if "path" in frame}
    keys = [(match["path"], int(match["line"]), match["name"]) for match in FRAME.finditer(block) if match["name"]]
    error = engine_frames.headline_of(block)
    kind = capture.type_name(type(error)) if error is not None else "Exception"
    message = str(error) if error is not None else block
    found = [known.get(key) or _plain(*key) for key in keys]
    return {"v": capture.VERSION, "type": kind, "message": message, "hops": [{"frames": found}]}


def _plain(path: str, line: int, name: str) -> Frame:
    return {"path": path, "line": line, "name": name, "kind": ownership.kind_of(path, "")}


CONTEXT = Attributes(
    "pyspark.core.context",
    "SparkContext",
    "master",
    "_jvm",
    also=("pyspark.context",),
    costs="the quiet of a local master's JVM, which logs each failed task again",
)


def _wrap_do_init(original: Function) -> Function:
    """Begins a context: on a local master the JVM's copies of a task's error go to this terminal."""

    @functools.wraps(original)
    def _do_init(self: Any, *args: object, **kwargs: object) -> Any:
        result = original(self, *args, **kwargs)
        try:
            master, jvm = CONTEXT.read(self) or ("", None)
            if master.startswith("local") and "," not in master and not noise_is_kept():
                _quiet(jvm)
        except Exception:
            pass  # a JVM with another logger: it logs as ever
        return result

    return _do_init


def _quiet(jvm: Any) -> None:
    log4j = jvm.org.apache.logging.log4j
    for name in _LOGGERS:
        log4j.core.config.Configurator.setLevel(name, log4j.Level.OFF)


#: Imported it by name.
_STARTS_A_JVM = ("pyspark.core.context", "pyspark.context")
PATCHES = (
    Patch(
        "pyspark.java_gateway",
        "launch_gateway",
        driver.telling,
        also=_STARTS_A_JVM,
        optional=True,
        costs=Lost.SETTINGS,
    ),
    Patch(_WORKER, "handle_worker_exception", records.keeping, optional=True, costs=records.COSTS),
    Patch("pyspark.serializers", "write_with_length", records.keeping_sent, optional=True, costs=records.COSTS),
    Patch("pyspark.worker_util", "read_command", deaths.noting, also=("pyspark.worker",), optional=True, costs=deaths.COSTS),
    Patch("pyspark.worker", "read_command", deaths.noting, optional=True, costs=deaths.COSTS),  # before Spark 4
    Patch("pyspark.worker", "report_times", deaths.ending, optional=True, costs=deaths.COSTS),
    Patch("pyspark.errors.exceptions.captured", "convert_exception", _wrap_convert, optional=True, costs=Lost.RECORD),
    Patch("pyspark.errors.exceptions.connect", "convert_exception", _wrap_convert, optional=True, costs=Lost.RECORD),
    *(
        Patch(module, name, lazy.operation, optional=True, costs=lazy.COSTS)
        for module, names in _OPERATIONS.items()
        for name in names
    ),
    *(Patch(module, "UserDefinedFunction.__call__", lazy.call_of("func"), optional=True, costs=lazy.COSTS) for module in _CALLED),
    Patch("pyspark.core.context", "SparkContext._do_init", _wrap_do_init, optional=True, costs=Lost.TWICE),
    Patch("pyspark.context", "SparkContext._do_init", _wrap_do_init, optional=True, costs=Lost.TWICE),
)
ASSUMPTIONS = (CONTEXT, records.CONTEXT)


def probe(given: dict[str, Any], timeout: float) -> Iterator[Ask]:  # noqa: ARG001  Spark has limits of its own
    """For ``doctor --engine``: a Python worker of each executor that a task comes to is asked."""
    from pyspark.sql import SparkSession

    from autotb.instrument.workers import Unusable, configured

    spark = configured(given, "spark", SparkSession, "Spark")
    if spark is not None and not hasattr(spark, "sparkContext"):
        raise Unusable(
            "--config: `spark` is a session of Spark Connect, which takes no task of ours: give one of the cluster's own"
        )
    session = spark or SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")

    def ask(expression: str) -> list[tuple[str, Any]]:
        context = session.sparkContext
        count = max(1, context.defaultParallelism)
        answers = context.parallelize([expression] * count, count).map(eval).collect()
        each = {(answer["host"], answer["pid"]): answer for answer in answers}
        return [(f"a Python worker on {host}", answer) for (host, _), answer in sorted(each.items())]

    try:
        yield ask
    finally:
        session.stop()


#: What ``python -m autotb demo --engine pyspark`` runs: a user's script.
DEMO = '''\
"""A local Spark maps an RDD of eight items; one of them is bad."""

from pyspark.sql import SparkSession

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    return spark.sparkContext.parallelize(ITEMS, 2).map(score).collect()


if __name__ == "__main__":
    main()
'''
