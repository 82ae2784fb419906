"""joblib: real workers on loky, threads and multiprocessing; scikit-learn on top of it."""

from __future__ import annotations

import re

import pytest

from tests import programs
from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
from joblib import Parallel, delayed

import cases


def loky(task):
    return Parallel(n_jobs=2)(delayed(task)(item) for item in [1, 0])


def threads(task):
    return Parallel(n_jobs=2, backend="threading")(delayed(task)(item) for item in [1, 0])


def processes(task):
    return Parallel(n_jobs=2, backend="multiprocessing")(delayed(task)(item=item) for item in [1, 0])


def generator(task):
    found = Parallel(n_jobs=2, return_as="generator")(delayed(task)(item) for item in [1, 0])
    return consume(found)


def unordered(task):
    found = Parallel(n_jobs=2, return_as="generator_unordered")(delayed(task)(item) for item in [1, 0])
    return consume(found)


def consume(found):
    return list(found)


def one(task):
    return Parallel(n_jobs=1)(delayed(task)(item) for item in [1, 0])


def nested(task):
    return Parallel(n_jobs=2)(delayed(inner)(task, item) for item in [1, 0])


def inner(task, item):
    return Parallel(n_jobs=2, backend="threading")(delayed(task)(item) for item in [1, item])


if __name__ == "__main__":
    cases.run(globals())
"""
WAYS = {
    "loky": "in a joblib worker, pid",
    "threads": "in a joblib worker thread",
    "processes": "in a joblib worker, pid",
    "one": "",
}
CASES = [f"{way}:{task}" for way in WAYS for task in kit.STORIES]
OTHERS = [
    "generator:score",
    "unordered:chained",
    "nested:score",
    "loky:returns_lock",
    "loky:interrupted",
    "loky:leaves",
    "loky:killed",
    "loky:ok",
    "threads:interrupted",
    "processes:returns_lock",
    "generator:ok",
]
HANGS = ("processes:two", "one:two", "one:locked", "threads:interrupted", "loky:interrupted")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    others = [case for case in OTHERS if not kit.OLDEST or case.partition(":")[0] in WAYS]
    return kit.Program(MAIN, hangs=HANGS).both(tmp_path_factory, CASES + others)


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_failure_is_one_short_story(program, case):
    way = case.partition(":")[0]
    if case in ("one:two", "one:locked", "one:library", "one:says"):
        kit.check_text(program.story(case), way, case.partition(":")[2], own=("/joblib/",))
    else:
        kit.check(program, case, where=WAYS[way], own=("/joblib/", "/loky/"))


@kit.newer
@pytest.mark.parametrize("way", ["loky", "threads", "processes"])
def test_the_call_and_the_place_of_submission(program, way):
    text = program.story(f"{way}:score")

    assert re.search(r"│ score\(item=0\) +│", text)
    assert kit.submitted(text) == [way]
    assert program.in_traceback(f"{way}:score") == " score divide"


@kit.newer
def test_a_generator_is_asked_where_it_is_consumed(program):
    kit.check(program, "generator:score", frames=["generator", "consume", "score", "divide"], own=("/joblib/",))
    assert kit.submitted(program.story("generator:score")) == ["generator"]
    kit.check(program, "unordered:chained", frames=["unordered", "consume", "chained"], own=("/joblib/",))


@kit.newer
def test_a_parallel_within_a_parallel_shows_both(program):
    kit.check(program, "nested:score", frames=["nested", "inner", "score", "divide"], own=("/joblib/",))
    assert kit.submitted(program.story("nested:score")) == ["nested", "inner"]


ON_DASK = """\
import distributed
import joblib


def score(item, scale):
    return scale / item


if __name__ == "__main__":
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None):
        with joblib.parallel_config(backend="dask"):
            print(joblib.Parallel()(joblib.delayed(score)(item, scale=2) for item in (1, 2)))
            joblib.Parallel()(joblib.delayed(score)(item, scale=2) for item in (1, 0))
"""


@kit.newer
def test_what_runs_on_dask_is_told_with_its_task(tmp_path):
    ran = programs.run(tmp_path, ON_DASK, AUTOTB_STYLE="plain", COLUMNS="300")
    bare = programs.run(tmp_path, ON_DASK, autotb="0")

    assert (ran.status, ran.stdout) == (bare.status, bare.stdout) == (1, "[2.0, 1.0]\n")
    assert re.search(
        r"^  \[in a Dask worker, .*task batch_of_score_1_calls-\w+, submitted at \S+main.py:13\b.*\]$", ran.stderr, re.M
    )
    assert "\n  [score(item=0, scale=2)]\n" in ran.stderr


@kit.newer
def test_a_result_that_cannot_be_sent_names_the_call(program):
    text = program.story("loky:returns_lock")

    assert "returns_lock(item=0)" in text
    assert text.rstrip().endswith("TypeError: cannot pickle '_thread.lock' object")


@kit.newer
def test_the_program_catches_the_same_exceptions(program):
    rescued = {"loky two", "loky locked", "processes two", "processes locked"}
    ours = {line.partition(" r")[0]: line for line in program.outcomes(program.ours)}
    bare = {line.partition(" r")[0]: line for line in program.outcomes(program.bare)}

    assert {name: line for name, line in bare.items() if ours[name] != line}.keys() <= rescued
    assert ours["loky two"] == "loky two raised NeedsTwo"
    assert ours["loky locked"] == "loky locked raised HoldsLock"
    assert ours["loky killed"] == "loky killed raised TerminatedWorkerError"
    assert ours["loky ok"] == "loky ok returned [1, 0]"


def test_the_exit_status_and_the_users_own_output(tmp_path):
    ours = kit.Program(MAIN).run(tmp_path / "ours", "!loky:says")
    bare = kit.Program(MAIN).run(tmp_path / "bare", "!loky:says", autotb="0")

    assert ours.status == bare.status == 1
    assert sorted(ours.stdout.splitlines()) == sorted(bare.stdout.splitlines())
    assert "the user's own line 0" in ours.stdout


GRID = """
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV

class Model(BaseEstimator):
    def __init__(self, depth=1):
        self.depth = depth

    def fit(self, X, y):
        self.check(y)
        return self

    def check(self, y):
        if self.depth > 1:
            raise ValueError("too deep")

    def score(self, X, y):
        return 1.0

def main():
    search = GridSearchCV(Model(), {"depth": [1, 2]}, cv=2, n_jobs=2, error_score="raise")
    search.fit(np.zeros((10, 2)), np.array([0, 1] * 5))

if __name__ == "__main__":
    main()
"""


@pytest.mark.on_main()
def test_a_search_of_scikit_learn_shows_the_estimators_own_frames(shows):
    def check(ran):
        assert [head.partition(" in ")[2] for head in ran.heads] == ["<module>", "main", "fit", "check"]
        assert ran.last == "ValueError: too deep"
        assert "in a joblib worker" in ran.stderr or kit.OLDEST
        assert "/joblib/" not in ran.stderr
        assert "in sklearn, last at" in ran.stderr
        assert len(ran.lines) <= 60

    shows(GRID, check)


LOKY = """
import sys
import cases
from loky import get_reusable_executor

def submit(task):
    return get_reusable_executor(max_workers=2).submit(task, 0).result()

def map_(task):
    return list(get_reusable_executor(max_workers=2).map(task, [1, 0]))

def after(task):
    return get_reusable_executor(max_workers=2).submit(task, 1).result()

if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "joblib": Engine(
        requires=("joblib>=1.2", "scikit-learn>=1.1"),
        oldest=("joblib==1.2.0", "loky==3.4.1", "scikit-learn<1.6", "numpy<2"),
        older={"1.3": ("joblib==1.3.2", "loky", "scikit-learn<1.6", "numpy<2")},
        main=MAIN,
        cases=("loky:ok", "loky:score", "threads:score", "processes:score"),
        waits="loky",
        unsendable="from joblib import Parallel, delayed\ndef main():\n    return Parallel(n_jobs=2)(delayed(id)(x) for x in [LOCK, LOCK])",
    ),
    "loky": Engine(
        requires=("loky>=3.4",),
        main=LOKY,
        cases=("submit:ok", "submit:score"),
        waits="submit",
        unsendable="from loky import get_reusable_executor\ndef main():\n    return get_reusable_executor(2).submit(id, LOCK).result()",
    ),
}


@pytest.fixture(scope="module")
def loky(tmp_path_factory):
    cases = [f"{way}:{task}" for way in ("submit", "map_") for task in kit.STORIES]
    return kit.Program(LOKY).both(tmp_path_factory, [*cases, "submit:killed", "after:ok"])


@pytest.mark.parametrize("way", ["submit", "map_"])
@pytest.mark.parametrize("task", kit.STORIES)
def test_loky_by_itself(loky, way, task):
    kit.check(loky, f"{way}:{task}", where="in a loky worker, pid", own=("/loky/",))
    if task == "score":
        assert kit.OLDEST or kit.submitted(loky.story(f"{way}:score")) == [way]
        assert "score(item=0)" in loky.story(f"{way}:score") or "score(" in loky.story(f"{way}:score")


def test_loky_goes_on_after_an_exception_that_cannot_travel(loky):
    outcomes = loky.outcomes(loky.ours)

    assert "submit two raised NeedsTwo" in outcomes
    assert "submit killed raised TerminatedWorkerError" in outcomes
    assert "after ok returned 1" in outcomes
