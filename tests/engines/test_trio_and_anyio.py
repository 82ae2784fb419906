"""trio and AnyIO: real nurseries, task groups and threads."""

from __future__ import annotations

from tests import programs
from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import anyio
import trio

import cases


def nursery(task):
    async def child(item):
        task(item)

    async def main():
        async with trio.open_nursery() as tasks:
            tasks.start_soon(child, 1)
            tasks.start_soon(child, 0)

    trio.run(main)


def thread(task):
    async def main():
        return await trio.to_thread.run_sync(task, 0)

    return trio.run(main)


def anyio_group(task):
    async def child(item):
        task(item)

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child, 1)
            tasks.start_soon(child, 0)

    anyio.run(main)


def anyio_trio(task):
    async def child(item):
        task(item)

    async def main():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child, 0)

    anyio.run(main, backend="trio")


def anyio_thread(task):
    async def main():
        return await anyio.to_thread.run_sync(task, 0)

    return anyio.run(main)


def anyio_process(task):
    async def main():
        from anyio import to_process

        return await to_process.run_sync(task, 0)

    return anyio.run(main)


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "trio": Engine(requires=("trio>=0.25",), oldest=("trio==0.25.0", "anyio==4.3.0")),
    "anyio": Engine(requires=("anyio>=4.3",), main=MAIN, cases=("anyio_process:ok", "anyio_process:score")),
}


class TestProcess(kit.Standard):
    """``to_process``: the worker pickles the bare exception, which cannot be made fit there."""

    MAIN = MAIN
    WAYS = {"anyio_process": "in an AnyIO worker process, pid"}
    TASKS = ("score", "chained", "library")
    NOT_SUBMITTED = ("anyio_process",)
    OWN = ("/anyio/",)

    def test_exit_status_and_the_users_own_output(self, tmp_path):
        """What a worker prints goes nowhere, with AnyIO alone too."""
        ours = kit.Program(MAIN).run(tmp_path, "!anyio_process:says")

        assert (ours.status, ours.last) == (1, kit.ZERO)
        assert "user's own" not in ours.stdout


REFUSING = """
class Frozen(Exception):
    def __setattr__(self, name, value):
        raise AttributeError("immutable")


class Checked(Exception):
    def __reduce__(self):
        return Checked, self.args, self.__dict__ or None

    def __setstate__(self, state):
        raise LookupError(f"unknown fields {set(state)}")


def fails(kind):
    raise kind("price is negative")
"""
ASKING = """
import anyio
from anyio import to_process

from refusing import Checked, Frozen, fails


async def main():
    for kind in (Frozen, Checked, ValueError):
        try:
            await to_process.run_sync(fails, kind)
        except Exception as error:
            print(type(error).__name__, error, len(error.__dict__))


if __name__ == "__main__":
    anyio.run(main)
"""


def test_an_exception_that_takes_no_record_arrives_as_without_us(tmp_path):
    (tmp_path / "refusing.py").write_text(REFUSING)
    ours, bare = (programs.run(tmp_path, ASKING, autotb=each) for each in "10")

    assert ours.stdout.splitlines()[:2] == bare.stdout.splitlines()[:2]
    assert ours.stdout.startswith("Frozen price is negative 0\nChecked price is negative 0\n")
    assert ours.stdout != bare.stdout  # which has no record on any


class TestGroups(kit.Standard):
    MAIN = MAIN
    WAYS = {}
    MORE = {
        "thread:score": ["thread", "score", "divide"],
        "anyio_thread:score": ["anyio_thread", "score", "divide"],
    }
    OTHERS = ("nursery:score", "anyio_group:score", "anyio_trio:score")
    OWN = ("/trio/", "/anyio/", "/outcome/")

    @classmethod
    def cases(cls):
        return ["nursery:score", "anyio_group:score", "anyio_trio:score"]

    def test_every_kind_of_failure_is_one_short_story(self, program, case):
        way = case.partition(":")[0]
        text = program.story(case)

        assert kit.names(text) == [way, "child", "score", "divide"]
        assert "caused by ZeroDivisionError: division by zero, at " in text.rstrip().split("\n")[-1]
        assert not any(own in text for own in self.OWN)

    def test_exit_status_and_the_users_own_output(self, tmp_path):
        ours = kit.Program(MAIN).run(tmp_path, "!thread:says")

        assert ours.status == 1
        assert ours.last == kit.ZERO
        assert "the user's own line 0" in ours.stdout
