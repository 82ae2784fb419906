"""Prefect: real flows on a server of their own."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import os
os.environ.setdefault("PREFECT_HOME", os.path.join(os.path.dirname(os.path.abspath(__file__)), "prefect"))
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "150")
from prefect import flow, task as prefect_task
from prefect.task_runners import ThreadPoolTaskRunner

import cases
import tasks


def threads(task):
    @prefect_task
    def job(item):
        return task(item)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def work():
        return job.submit(0).result()

    return work()


def mapped(task):
    @prefect_task
    def job(item):
        return task(item)

    @flow
    def work():
        return job.map([1, 0]).result()

    return work()


def direct(task):
    @prefect_task
    def job(item):
        return task(item)

    @flow
    def work():
        return job(0)

    return work()


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "prefect": Engine(
        requires=("prefect>=3.0", "fastapi<0.120"),  # Prefect's server does not start with newer ones
        heavy=True,
        costly=True,
        oldest=("prefect==3.0.11", "fastapi<0.115", "pydantic<2.10", "griffe<2"),
        environment={"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "150"},
        main=MAIN,
        cases=("threads:ok", "threads:score"),
        draws=True,
    ),
}


@kit.on_main
class TestFlows(kit.Standard):
    MAIN = MAIN
    WAYS = {"threads": "in a Prefect task, submitted at"}
    BETWEEN = {"threads": ["work", "job"]}
    TASKS = ("score", "two")
    MORE = {
        "mapped:score": ["mapped", "work", "job", "score", "divide"],
        "direct:two": ["direct", "work", "job", "two"],
    }
    OWN = ("/anyio/",)
    CATCHES = {}
    NO_CALL = ("threads",)
    NOT_SUBMITTED = ("threads",)

    def test_every_kind_of_failure_is_one_short_story(self, program, case):
        way, _, task = case.partition(":")
        story = "╭" + program.story(case).partition("╭")[2].partition("\n07:")[0]

        assert kit.names(story)[:5] == [way, "work", "job", *kit.STORIES[task].frames][:5]
        assert kit.STORIES[task].last in story
        assert story.count("Traceback (most recent call last)") == 1
        assert story.count("\n") < 90

    def test_other_ways_to_ask(self, program, more):
        assert kit.names("╭" + program.story(more).partition("╭")[2]) == self.MORE[more]

    def test_the_story_has_no_frame_of_prefects(self, program):
        story = program.story("threads:score").partition("╭")[2]

        assert "/prefect/" not in story
        assert kit.submitted(story) == ["work"]

    def test_exit_status_and_the_users_own_output(self, tmp_path):
        ours = kit.Program(MAIN).run(tmp_path, "!threads:says")

        assert ours.status == 1
        assert "the user's own line 0" in ours.stdout
