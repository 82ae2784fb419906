"""Hugging Face datasets: a real map on two processes."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import datasets

import cases

datasets.disable_caching()
(getattr(datasets, "disable_progress_bars", None) or datasets.disable_progress_bar)()


def rows(task):
    def apply(row):
        return {"y": task(row["x"])}

    return datasets.Dataset.from_dict({"x": [1, 2, 3, 0]}).map(apply, num_proc=2)["y"]


def one(task):
    def apply(row):
        return {"y": task(row["x"])}

    return datasets.Dataset.from_dict({"x": [1, 2, 3, 0]}).map(apply)["y"]


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "datasets": Engine(
        requires=("datasets>=2.14",),
        heavy=True,
        oldest=("datasets==2.14.7", "fsspec<2023.11", "pyarrow<15", "numpy<2", "huggingface-hub<0.24"),
    ),
}


@kit.on_main
class TestMap(kit.Standard):
    MAIN = MAIN
    WAYS = {"rows": "in a pool worker, pid"}
    BETWEEN = {"rows": ["apply"]}
    TASKS = ("score", "chained", "two", "locked")
    MORE = {"one:score": ["one", "apply", "score", "divide"]}
    OTHERS = ("rows:ok",)
    HANGS = ("rows:two",)
    OWN = ("/datasets/", "/multiprocess/")
    NO_CALL = ("rows",)
