"""Ray's workers that die: actors that run several methods at once, coroutines, and who asks a second time."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from autotb.engines.ray import deaths
from tests.postmortem.test_executor_deaths import flat

PROGRAM = """
import asyncio, ctypes, os, sys, time, traceback
import ray

def crash(how):
    if how == "exit":
        os._exit(3)
    elif how == "leave":
        sys.exit(4)
    ctypes.string_at(0)

class Server:
    def __init__(self, folder):
        self.folder = folder

    def load(self, name):
        open(os.path.join(self.folder, name), "w").close()
        time.sleep(60)

    def work(self, how):
        crash(how)

class Loop:
    async def work(self, how):
        await asyncio.sleep(0)
        crash(how)

def told(reference):
    try:
        ray.get(reference)
    except Exception:
        traceback.print_exc()
    print("=== told", file=sys.stderr, flush=True)

if __name__ == "__main__":
    how = sys.argv[1]
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    server = ray.remote(max_concurrency=3)(Server).remote(os.getcwd())
    loads = [server.load.remote(name) for name in ("first", "second")]
    while not (os.path.exists("first") and os.path.exists("second")):
        time.sleep(0.05)
    work = server.work.remote(how)
    for reference in [work, loads[0], work, ray.remote(Loop).remote().work.remote(how)]:
        told(reference)
"""


def stories(ran):
    return [flat(story) for story in ran.stderr.split("=== told\n")]


def test_who_asks_an_actor_of_several_threads_is_told_which_of_them_crashed_and_so_is_who_asks_again(shows):
    def check(ran):
        work, load, again, coroutine = stories(ran)[:4]
        for story in (work, again):
            assert re.search(
                r"in a Ray actor, pid \d+, submitted at \S+ in <module>\] \[Server\.work\('crash'\)\] \[started and then crashed",
                story,
            )
            assert re.search(r"\[beside it ran Server\.load\('\w+'\), Server\.load\('\w+'\)\]", story)
            assert re.search(r"\[at \S+ in work\] \[at \S+ in crash\]", story)
        assert "[Server.load('first')] [ran beside another task, of which its worker died as follows]" in load
        assert "[Server.work('crash')] [started and then crashed" in load
        assert re.search(r"\[work\('crash'\)\] \[died: Fatal Python error: Segmentation fault\] \[at \S+ in work\]", coroutine)

    shows(PROGRAM, check, "crash")


def test_of_several_none_is_accused_where_nothing_tells_which(shows):
    def check(ran):
        work, load, again, coroutine = stories(ran)[:4]
        assert "[Server.work('exit')] [started and then crashed: gone" in work
        assert "[Server.work('exit')] [started and then crashed: gone" in again
        assert "[Server.load('first')] [started and then crashed: gone" in load
        assert re.search(r"beside it ran [^]]*Server\.work\('exit'\)[^]]*: which of them ended the worker is not known", load)
        assert re.search(r"in a Ray actor, pid \d+, submitted at \S+ in <module>\] \[work\('exit'\)\] \[died\]", coroutine)

    shows(PROGRAM, check, "exit")


@pytest.mark.parametrize(
    ("message", "dies"),
    [
        ("The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR", True),
        ("The worker died unexpectedly while executing this task. Check python-core-worker-*.log files", True),
        ("The actor is dead because it was killed by `ray.kill`.", False),
        ("The actor 4971 is unavailable: The actor is temporarily unavailable: RpcError", False),
    ],
)
def test_of_a_worker_that_left_no_word_a_death_is_told_where_ray_says_that_it_died(monkeypatch, message, dies):
    error = RuntimeError(message)
    task = SimpleNamespace(binary=lambda: b"task", actor_id=lambda: SimpleNamespace(binary=lambda: b"\xff" * 16))
    monkeypatch.setattr(deaths, "_asked", lambda error, caller: task)
    monkeypatch.setattr(deaths, "_dead", lambda number, pid: [])
    deaths.tell(error, None, {}, {})

    found = [hop["died"] for hop in (deaths.attached(error) or {}).get("hops", ())]
    assert found == ([["died"]] if dies else [])
