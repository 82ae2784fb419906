"""A ``ray.get`` that times out or that a Ctrl-C ends says what it waited for, a cancelled task which it was; both where submitted."""

from __future__ import annotations

import re

import pytest

from autotb.engines.ray import waiting
from tests import programs
from tests.engines import kit
from tests.programs import Ran, sections

PROGRAM = """
import os
import signal
import sys
import threading
import time

import ray


@ray.remote
def nap(seconds):
    if seconds >= 60:
        open(f"begun {seconds}", "w").close()
    time.sleep(seconds)


def begun(seconds):
    while not os.path.exists(f"begun {seconds}"):
        time.sleep(0.05)


def timed_out():
    done = nap.remote(0)
    ray.get(done)
    running = nap.remote(60)
    begun(60)
    ray.get([done, running, nap.remote(seconds=5)], timeout=0.2)


def cancelled():
    reference = nap.remote(50)
    ray.cancel(reference)
    ray.get(reference)


def stopped(ask, **options):
    references = [nap.options(num_cpus=0).remote(61), nap.options(num_cpus=0).remote(0)]

    def stop():
        begun(61)
        ray.get(references[1])
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop).start()
    ask(references, **options)


def stopped_get():
    stopped(ray.get)


def stopped_wait():
    stopped(ray.wait, num_returns=2)


@ray.remote(num_cpus=0)
class Sleeper:
    def sleep(self, seconds):
        open(f"begun {seconds}", "w").close()
        time.sleep(seconds)

    def tick(self):
        pass


def killed(seconds=62):
    sleeper = Sleeper.remote()
    sleeping = sleeper.sleep.remote(seconds)
    ticking = sleeper.tick.remote()
    begun(seconds)
    ray.kill(sleeper)
    ray.get(sleeping if seconds == 62 else ticking)


def killed_before():
    killed(63)


@ray.remote(max_retries=2, retry_exceptions=True)
def divide(number):
    return 1 / number


def again():
    ray.get(divide.remote(0))


ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
for case in (again, killed, killed_before, timed_out, cancelled, stopped_get, stopped_wait):
    sys.stderr.write(f"=== {case.__name__}\\n")
    sys.stderr.flush()
    try:
        case()
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
"""


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    return sections(programs.run(tmp_path_factory.mktemp("waiting"), PROGRAM, timeout=200).stderr)


@kit.newer
@pytest.mark.on_main()
def test_a_time_out_says_what_was_waited_for(stories):
    text = stories["timed_out"]

    assert "\n2 of 3 results are not ready:\n" in text
    assert re.search(r"^running: nap\(60\), for \d+\.\d s, pid \d+, submitted at \S+main.py:\d+ in timed_out$", text, re.M), text
    assert re.search(r"^not done: nap\(seconds=5\), submitted at \S+main.py:\d+ in timed_out$", text, re.M), text
    assert "GetTimeoutError" in Ran(1, "", text, None).last


@kit.newer
@pytest.mark.on_main()
@pytest.mark.parametrize("case", ["stopped_get", "stopped_wait"])
def test_after_a_ctrl_c_it_is_told_what_ran(stories, case):
    ran = Ran(1, "", stories[case], None)

    assert ran.lines[-3] == "1 of 2 results is not ready:"
    assert re.match(r"running: nap\(61\), for \d+\.\d s, pid \d+, submitted at \S+main.py:\d+ in stopped$", ran.lines[-2])
    assert ran.last == "KeyboardInterrupt"
    assert ran.stderr.count("KeyboardInterrupt") == 1


@kit.newer
@pytest.mark.on_main()
def test_a_cancelled_task_is_named(stories):
    text = stories["cancelled"]

    assert re.search(r"^cancelled: nap\(50\), submitted at \S+main.py:\d+ in cancelled$", text, re.M), text
    assert "TaskCancelledError" in text


@kit.newer
@pytest.mark.on_main()
def test_attempts_are_counted(stories):
    assert "attempt 3 of 3, all failed alike" in " ".join(stories["again"].replace("│", "").split()), stories["again"]


@kit.newer
@pytest.mark.on_main()
@pytest.mark.parametrize("case", ["killed", "killed_before"])
def test_an_actor_that_was_killed_is_no_crash(stories, case):
    text = " ".join(stories[case].replace("│", "").split())
    seconds = 62 if case == "killed" else 63

    assert f"in killed Sleeper.sleep({seconds}) ended with its actor, because it was killed by `ray.kill`" in text, text
    said = r"askedforwasanotherofitstasks,submittedat\S+main\.py:\d+inkilled"  # a long path is folded
    assert bool(re.search(said, text.replace(" ", ""))) == (seconds == 63)
    assert "hint:" not in text
    assert "crashed" not in text


def test_other_errors_are_let_be():
    assert waiting.lines(ValueError("x"), {}, {}) == ()
    assert waiting.call(b"unknown", {}) == ""


FLOW = """
import os, signal, sys, threading, time
import autotb

def fit(fold, folder):
    open(os.path.join(folder, "begun"), "w").close()
    time.sleep(60)

def interrupt():
    while not os.path.exists("begun"):
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGINT)

if __name__ == "__main__":
    import ray
    ray.init(num_cpus=1, include_dashboard=False, logging_level="ERROR")
    threading.Thread(target=interrupt, daemon=True).start()
    flow = autotb.Flow("ray")
    flow.map(fit, range(3), folder=os.getcwd())
    flow.run()
"""


def test_who_cancels_tasks_because_of_a_ctrl_c_is_told_what_ran(shows):
    def check(ran):
        assert (
            len(re.findall(r"^running: fit\((fold=)?0, .*, pid \d+, submitted at \S+main\.py:\d+ in <module>$", ran.stderr, re.M))
            == 1
        )
        assert ran.lines[-1] == "KeyboardInterrupt"

    shows(FLOW, check)
