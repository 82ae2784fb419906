"""pipefunc: real maps on its process pool."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
from pipefunc import PipeFunc, Pipeline

import cases


def pipeline(task):
    def y(x):
        return task(x)

    def total(y):
        return list(y)

    return Pipeline([PipeFunc(y, output_name="y", mapspec="x[i] -> y[i]"), PipeFunc(total, output_name="total")])


def mapped(task):
    return pipeline(task).map({"x": [1, 0]}, parallel=True)["total"].output


def sequential(task):
    return pipeline(task).map({"x": [1, 0]}, parallel=False)["total"].output


def called(task):
    return Pipeline([PipeFunc(task, output_name="y")])(item=0)


def asynchronous(task):
    import asyncio

    async def main():
        runner = pipeline(task).map_async({"x": [1, 0]})
        return (await runner.task)["total"].output

    return asyncio.run(main())


def continued(task):
    return pipeline(task).map({"x": [1, 0]}, parallel=True, error_handling="continue")["y"].output


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "pipefunc": Engine(
        requires=("pipefunc>=0.86",),
        heavy=True,
        oldest=("pipefunc==0.86.0", "rich"),
        main=MAIN,
        cases=("mapped:ok", "mapped:score"),
    ),
}


@kit.on_main
class TestPipeline(kit.Standard):
    MAIN = MAIN
    WAYS = {"mapped": "in a process-pool worker, pid"}
    BETWEEN = {"mapped": ["y"]}
    TASKS = ("score", "says", "chained", "two", "locked")
    MORE = {
        "asynchronous:score": ["asynchronous", "y", "score", "divide"],
        "sequential:score": ["sequential", "y", "score", "divide"],
        "called:score": ["called", "score", "divide"],
    }
    OTHERS = ("continued:score", "mapped:ok")
    OWN = ("/pipefunc/",)
    NO_CALL = ("mapped",)
    NOTE = "Error occurred while executing function"

    def test_the_note_and_the_banner_are_there_once(self, program):
        text = program.story("mapped:score")

        assert text.count("Error occurred while executing function `y(x=0)`.") == 1
        assert "y(x=0)" in text
        between = program.ours.stdout.partition("mapped score raised")[0]
        assert between.count("Error snapshot attached!") == 1

    @kit.newer
    def test_errors_as_values_are_left_to_pipefunc(self, program):
        assert "continued score returned [1.0 ErrorSnapshot('y', ZeroDivisionError: division by zero)]" in program.ours.stdout
