"""Hamilton: a real driver."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import sys
import types

from hamilton import driver

import cases


def module(task):
    def score(item: int) -> float:
        return task(item)

    def total(score: float) -> float:
        return score + 1

    made = types.ModuleType("features")
    for function in (score, total):
        function.__module__ = "features"
        setattr(made, function.__name__, function)
    sys.modules["features"] = made
    return made


def execute(task):
    return driver.Builder().with_modules(module(task)).build().execute(["total"], inputs={"item": 0})


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "hamilton": Engine(requires=("sf-hamilton>=1.80",), heavy=True, costly=True, oldest=("sf-hamilton==1.80.0",)),
}


@kit.on_main
class TestDriver(kit.Standard):
    MAIN = MAIN
    WAYS = {}
    MORE = {"execute:score": ["execute", "score", "score", "divide"]}
    OWN = ("/hamilton/",)

    def test_the_node_and_its_inputs_stay(self, program):
        text = program.story("execute:score")

        assert "score [features.score()] encountered an error" in text
        assert "{'item': 0}" in text
        assert text.count("Traceback (most recent call last)") == 1

    def test_exit_status_and_the_users_own_output(self, tmp_path):
        ours = kit.Program(MAIN).run(tmp_path, "!execute:says")

        assert ours.status == 1
        assert ours.last == kit.ZERO
        assert "the user's own line 0" in ours.stdout
