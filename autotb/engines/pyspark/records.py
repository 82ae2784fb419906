"""The records of Spark's Python workers: a file each, in a folder of the driver's, for a driver on the same machine.

A worker's error passes the JVM as text, through its logs as well: nothing is added to that.  A worker that fails leaves in its
driver's folder what it knows, under a hash of the very text that it sends.  Where there is no such folder, on another machine,
the text is all.

Flows in: an error in a worker; the text of one in the driver.  Flows out: a record, and of what partition, stage and attempt it
is.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from autotb.assumption import Attributes
from autotb.engines.pyspark import driver
from autotb.instrument import attempts, engine_frames
from autotb.record import build, capture, static

if TYPE_CHECKING:
    from types import FrameType

    from autotb.instrument.types import Function
    from autotb.record.schema import Tree

COSTS = "the arguments, the variables, the process and the partition of a failed Spark task"
CONTEXT = Attributes(
    "pyspark.taskcontext", "TaskContext", "partitionId", "stageId", "attemptNumber", "taskAttemptId", costs=COSTS
)
_MOST = 200  # files
_LARGEST = 1_000_000  # bytes of one

_AGAIN = 5.0  # seconds in which one failure is told twice: ``toPandas`` makes two exceptions of it

_last: tuple[str, float, int, Tree] | None = None  # the text, when, the stage, the record


# In the driver


def found(text: str, most: int) -> Tree | None:
    """The record of the error of this text; ``most`` is how often Spark tries a task.

    Tasks of one stage fail of the same with the same words, and Spark does not say of which it tells: then it is one of them.
    """
    global _last
    if not driver.folder():
        return None
    stage, tree = _found(text, most)
    told = _last if _last is not None and _last[0] == text and time.monotonic() - _last[1] < _AGAIN else None
    if told is not None and (tree is None or stage == told[2] >= 0):  # the same failure: another job's left a record of its own
        return copy.deepcopy(told[3])
    _last = (text, time.monotonic(), stage, copy.deepcopy(tree)) if tree is not None else None
    return tree


def _found(text: str, most: int) -> tuple[int, Tree | None]:
    """The record of the latest stage that failed so, and that stage's number."""
    read = [_read(os.path.join(driver.folder(), name)) for name in os.listdir(driver.folder()) if name.startswith(_key(text))]
    tasks = [each for each in read if each is not None and capture.is_tree(each.get("tree"))]
    if not tasks:
        return -1, None
    stage = max(each["stage"] for each in tasks)
    tasks = sorted((each for each in tasks if each["stage"] == stage), key=lambda each: (-each["attempt"], each["partition"]))
    task, partitions = tasks[0], {each["partition"] for each in tasks}
    tree: Tree = task["tree"]
    if task["partition"] >= 0:
        tree["hops"][0]["label"] = label(task["partition"], stage, task["attempt"], most, len(partitions))
    return stage, tree


def label(partition: int, stage: int, attempt: int, most: int, alike: int = 1) -> str:
    """Which task it is, for its header; ``most`` is how often Spark tries one, ``alike`` how many failed so."""
    told = f"partition {partition:,}" + (f" (of {alike:,} that failed so)" if alike > 1 else "")
    told += f", stage {stage:,}" if stage >= 0 else ""
    return told + (f", {attempts.said(attempt + 1, most, [])}" if attempt else "")


def _read(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(_LARGEST))
        os.remove(path)
        return value if isinstance(value, dict) else None
    except (OSError, ValueError):
        return None


# In a worker


class _Heard:
    """The stream on which a worker answers the JVM, and what was written to it."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.parts = stream, list[bytes]()

    def write(self, data: Any) -> Any:
        self.parts.append(bytes(data))
        return self.stream.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def text(self) -> str:
        """The traceback, after its length."""
        whole = b"".join(self.parts)
        return whole[whole.find(b"Traceback ") :].decode("utf-8", "replace") if b"Traceback " in whole else ""


def keeping(original: Function) -> Function:
    """Runs in a worker, with the exception alive, and sends its text."""

    @functools.wraps(original)
    def handle_worker_exception(e: BaseException, outfile: Any, *more: object, **named: object) -> Any:
        path = os.environ.get(driver.FOLDER)
        if path is None:
            return original(e, outfile, *more, **named)
        heard = _Heard(outfile)
        result = original(e, heard, *more, **named)
        try:
            _keep(path, e, heard.text())
        except Exception:
            pass  # then the text is all
        return result

    return handle_worker_exception


def keeping_sent(original: Function) -> Function:
    """The same before Spark 4, whose workers send the text themselves, while they handle the error."""

    @functools.wraps(original)
    def write_with_length(obj: Any, stream: Any) -> Any:
        result = original(obj, stream)
        error = sys.exc_info()[1]
        if error is not None:
            try:
                path = os.environ.get(driver.FOLDER)
                if path is not None and _is_workers(sys._getframe(2)):
                    _keep(path, error, obj.decode("utf-8", "replace"))
            except Exception:
                pass  # then the text is all
        return result

    return write_with_length


def _is_workers(caller: FrameType) -> bool:
    return caller.f_code.co_name == "main" and static.name_of(caller) in ("pyspark.worker", "__main__")


def _keep(path: str, exc: BaseException, text: str) -> None:
    tb = static.traceback_of(exc)
    if not text or len(os.listdir(path)) >= _MOST:
        return
    partition, stage, attempt, _ = task()
    tree = build.record(exc, tb, build.hop("pyspark", "in a PySpark worker", call=engine_frames.frame_call(tb)))
    if not isinstance(tree, dict):
        return  # one of a flood
    told = json.dumps({"partition": partition, "stage": stage, "attempt": attempt, "tree": tree})
    name = f"{_key(text)}-{os.getpid()}-{partition}-{stage}-{attempt}"
    with open(os.path.join(path, "." + name), "w", encoding="utf-8") as file:
        file.write(told)
    os.replace(os.path.join(path, "." + name), os.path.join(path, name))


def task() -> tuple[int, int, int, int]:
    """The partition, the stage, the attempt and the number (Spark's TID) of the task that runs; -1 where there is none."""
    module = sys.modules.get("pyspark.taskcontext")
    context = module.TaskContext.get() if module is not None else None
    known = CONTEXT.read(context) if context is not None else None
    if known is None:
        return -1, -1, 0, -1
    partition, stage, attempt, number = (int(each()) for each in known)
    return partition, stage, attempt, number


def _key(text: str) -> str:
    return hashlib.sha1(text.strip().encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:20]
