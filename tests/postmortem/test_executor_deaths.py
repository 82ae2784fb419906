"""Workers that die, in pools that fail all their tasks then: concurrent.futures and joblib's loky."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import programs

PROGRAMS = Path(__file__).parent / "programs"
PROGRAM = (PROGRAMS / "deaths.py").read_text()

KILLED = r"started and then crashed(, within \d+\.\d s)?: killed by signal 9 \(SIGKILL\)"


def flat(text: str) -> str:
    """The story without its borders and the breaks of its lines."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


@pytest.mark.behaviour("S1-44", "S1-52")
@pytest.mark.parametrize("engine", ["fork", "spawn", "forkserver", "loky", "joblib"])
def test_a_killed_worker_is_told_with_its_task_its_signal_and_a_hint(shows, engine):
    def check(ran):
        story = flat(ran.stderr)
        assert "work(x=3, how='kill')" in story
        assert re.search(KILLED, story)
        assert re.search(r"in a (process-pool|loky) worker, pid \d+", story)
        assert "submitted at" in story
        assert "hint: a worker process died without a Python exception" in story
        assert "process_executor.py:" not in story
        assert "concurrent/futures" not in story
        assert ran.status == 1

    shows(PROGRAM, check, engine, "kill", "3")


@pytest.mark.behaviour("S1-44")
@pytest.mark.parametrize("engine", ["fork", "spawn", "loky"])
def test_a_task_that_never_started_says_so_and_which_task_broke_the_pool(shows, engine):
    def check(ran):
        story = flat(ran.stderr)
        assert "never started: the pool broke before" in story
        assert "work(x=3, how='kill')" in story
        assert re.search(KILLED, story)

    shows(PROGRAM, check, engine, "kill", "11")


@pytest.mark.parametrize("engine", ["fork", "spawn", "forkserver", "loky", "joblib"])
def test_a_segmentation_fault_has_its_python_lines(shows, engine):
    def check(ran):
        story = flat(ran.stderr)
        heads = [head.partition(" in ")[2] for head in ran.heads]
        assert heads[-3:] == ["work", "crash", "string_at"]
        assert "❱ ctypes.string_at(address)" in story
        assert "killed by signal 11 (SIGSEGV), Fatal Python error: Segmentation fault" in story
        assert heads.count("main") == 1  # not those of the process that was forked

    shows(PROGRAM, check, engine, "segv", "3")


def test_an_exit_status_is_told(shows):
    def check(ran):
        assert "exit status 3" in flat(ran.stderr)
        assert "work(x=3, how='exit')" in flat(ran.stderr)

    shows(PROGRAM, check, "fork", "exit", "3")


def test_without_status_files_the_exit_is_still_told(run):
    ran = run(PROGRAM, "fork", "kill", "3", AUTOTB_POSTMORTEM="0")
    assert "killed by signal 9 (SIGKILL)" in flat(ran.stderr)
    assert "started and then" not in ran.stderr
    assert ran.last.startswith("concurrent.futures.process.BrokenProcessPool: ")


NEVER = (PROGRAMS / "never_started.py").read_text()


@pytest.mark.behaviour("S1-44")
@pytest.mark.parametrize("kind", ["fork", "spawn", "loky"])
@pytest.mark.parametrize("without", ["", "switched off", "no folder"])
def test_of_a_task_that_ran_is_never_said_that_it_did_not_start(run, tmp_path, kind, without):
    """Where no worker leaves word, only a task that was given to none is known not to have started."""
    settings = {
        "switched off": {"AUTOTB_POSTMORTEM": "0"},
        "no folder": {"TMPDIR": str(tmp_path / "none"), "XDG_RUNTIME_DIR": ""},
    }
    told = programs.sections(run(NEVER, kind, str(tmp_path), **settings.get(without, {})).stdout)

    if without:
        assert "not known whether it started: the pool broke" in told["0"]
        assert "not known whether it started: the pool broke" in told["1"]
        assert "not known whether it started: the pool broke" in told["2"]  # it may be with a worker already
        assert "never started" not in told["0"] + told["1"] + told["2"]
    else:
        assert re.search(r"started on worker \d+, which was ended with the pool", told["0"])
        assert "started and then crashed" in told["1"]
        assert "never started: the pool broke before" in told["2"]
    assert "never started: the pool broke before" in told["5"]


HELD = """
import os, signal
from concurrent.futures import ProcessPoolExecutor, wait

import autotb

def work(n):
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    held = []
    pool = ProcessPoolExecutor(1)
    futures = [pool.submit(work, n) for n in range(6)]
    futures[0].add_done_callback(lambda future: held.append(future.exception()))  # before the others have failed
    wait(futures)
    pool.shutdown()
    print(autotb.explain(held[0]))
    print("===")
    print(autotb.explain(futures[5].exception()))
"""


def test_who_holds_the_error_of_a_task_keeps_its_story_while_the_others_fail(run):
    """All of a pool get one exception, one after the other."""
    first, _, last = run(HELD).stdout.partition("===")

    assert "work(n=0)" in first and "started and then crashed" in first and "never started" not in first, first
    assert "never started: the pool broke before" in last


ON = (PROGRAMS / "went_on.py").read_text()


@pytest.mark.parametrize("kind", ["fork", "spawn", "loky"])
def test_a_task_that_ended_while_the_pool_broke_is_not_said_to_have_never_started(run, tmp_path, kind):
    """Other workers run on while one dies, and nobody reads their results any more."""
    told = programs.sections(run(ON, kind, str(tmp_path)).stdout)

    assert "started and then crashed" in told.pop("0")
    ran = {n for n in told if (tmp_path / n).exists()}
    assert {"2"} <= ran
    for n in ran:
        fate = r"\[(ended on (a worker|worker \d+), and its result did not arrive|started on worker \d+, which was ended)"
        assert re.search(fate, told[n]), told[n]
    assert all("[never started: the pool broke before]" in told[n] for n in told.keys() - ran)


LATE = (PROGRAMS / "late_result.py").read_text()


@pytest.mark.behaviour("S1-46")
def test_a_task_that_cannot_be_unpickled_names_the_reason(shows):
    def check(ran):
        story = flat(ran.stderr)
        assert re.search(
            "could not unpickle a task, and died of AttributeError: (Can't get|module '__main__' has no) attribute 'later'", story
        )

    shows(LATE, check)


FAILING_MODULE = (PROGRAMS / "failing_module.py").read_text()
MODEL = """\
import multiprocessing

if multiprocessing.parent_process() is not None:
    import gpu_driver


def predict(x):
    return x
"""


THERE = {
    "executor": r"in a process-pool worker, pid \d+, .* could not unpickle a task, and died of ModuleNotFoundError: .*",
    "loky": r"in a (loky )?worker.*",
    "pool": r"in a pool worker, which unpickled a task, pid \d+.*",
}


@pytest.mark.behaviour("S1-46")
@pytest.mark.parametrize("kind", THERE)
def test_a_task_whose_module_fails_on_import_in_the_worker(run, shows, tmp_path, kind):
    """The task's body has not begun; the line of the module that failed is told, and that it was the worker where it did."""
    (tmp_path / "model.py").write_text(MODEL)

    def check(ran):
        story = flat(ran.stderr)
        assert re.search(THERE[kind] + r" \S+/model\.py:4 in <module> .*4 ❱ import gpu_driver", story)
        assert "ModuleNotFoundError: No module named 'gpu_driver'" in story
        if kind == "executor":
            assert (
                "could not load a task: a module that it needs cannot be imported there; install it where the workers run"
                in story
            )
        assert ran.status == 1

    if kind == "pool":  # where the bare program waits for ever
        check(run(FAILING_MODULE, kind, timeout=60))
    else:
        shows(FAILING_MODULE, check, kind, timeout=60)


FILES = (PROGRAMS / "descriptor.py").read_text()


def test_a_crash_is_never_written_into_a_file_of_the_users(run, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    ran = run(FILES, str(folder))
    assert "BrokenProcessPool" in ran.stdout
    assert len(list(folder.iterdir())) == 300
    assert [path.name for path in folder.iterdir() if path.stat().st_size] == []


def test_status_files_are_removed(run, tmp_path):
    ran = run(PROGRAM, "fork", "kill", "3", XDG_RUNTIME_DIR=str(tmp_path))
    assert "started and then crashed" in flat(ran.stderr)
    assert list(tmp_path.glob("autotb*")) == []  # the folder has gone with the last of them


IDLE = (PROGRAMS / "idle.py").read_text()


@pytest.mark.parametrize("way", ["submit", "map"])
def test_a_pool_that_is_broken_tells_in_submit_too_who_broke_it(run, way):
    ran = run(IDLE, way)

    assert ran.last.startswith("concurrent.futures.process.BrokenProcessPool: A child process terminated abruptly")
    assert "died after a task, before another began: killed by signal 9 (SIGKILL)" in flat(ran.stderr)


INITIALIZER = """
import sys
from concurrent.futures import ProcessPoolExecutor
import multiprocessing as mp

def load_model(path, api_key):
    try:
        return open(path).read()
    except OSError as error:
        raise LookupError("no model\\nat all") from error

def predict(x):
    return x

if __name__ == "__main__":
    given = {"initializer": load_model, "initargs": ("/missing", "hunter2")}
    if sys.argv[1] == "joblib":
        from joblib import Parallel, delayed, parallel_config
        with parallel_config("loky", **given):
            Parallel(2)(delayed(predict)(x) for x in range(4))
    elif sys.argv[1] == "loky":
        from loky import ProcessPoolExecutor
        with ProcessPoolExecutor(2, **given) as pool:
            list(pool.map(predict, range(4)))
    else:
        with ProcessPoolExecutor(2, mp_context=mp.get_context(sys.argv[1]), **given) as pool:
            list(pool.map(predict, range(4)))
"""


@pytest.mark.parametrize("engine", ["fork", "spawn", "loky", "joblib"])
def test_what_an_initializer_raised_is_the_cause_of_the_broken_pool(shows, engine):
    def check(ran):
        story = flat(ran.stderr)
        assert "load_model(path='/missing', api_key=***)" in story
        assert re.search(r"in the initializer of a (process-pool|loky) worker, pid \d+", story)
        assert "its initializer raised LookupError" in story
        # The other worker may be so far by then that it might have had the task.
        assert "never started: the pool broke before" in story or "not known whether it started: the pool broke" in story
        assert ran.stderr.count("hint: ") == 0  # nothing is unknown
        assert [head.rpartition(" ")[2] for head in ran.heads if head.endswith("in load_model")] == ["load_model"] * 2
        assert ran.last.startswith("caused by FileNotFoundError: ")
        assert ran.status == 1

    shows(INITIALIZER, check, engine)


def test_other_workers_are_not_said_to_have_been_submitted_where_ones_own_task_was(run):
    ran = run(
        """
        import os
        from concurrent.futures import ProcessPoolExecutor

        def work(how):
            return os._exit(3) if how == "dies" else how

        if __name__ == "__main__":
            with ProcessPoolExecutor(1) as pool:
                first = pool.submit(work, "dies")
                second = pool.submit(work, "late")
                second.result()
        """
    )

    story = flat(ran.stderr)
    assert re.search(r"in a process pool, submitted at \S+main.py:11 in <module> never started", story)
    assert re.search(r"in a process-pool worker, pid \d+, \S+, submitted at \S+main.py:10 in <module> work\(how='dies'\)", story)


MAPPED = """
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor

def work(x):
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x

if __name__ == "__main__":
    if sys.argv[1] == "loky":
        from loky import ProcessPoolExecutor
    with ProcessPoolExecutor(1) as pool:
        list(pool.map(work, range(6), chunksize=int(sys.argv[2])))
"""


@pytest.mark.parametrize(("engine", "chunk"), [("process", "1"), ("loky", "1"), ("loky", "2")])
def test_a_worker_that_died_of_a_map_is_told_with_the_call(shows, engine, chunk):
    def check(ran):
        call = "work(x=3)" if chunk == "1" else "work, for one of 2 elements: [(2,), (3,)]"
        assert call in flat(ran.stderr) and re.search(KILLED, flat(ran.stderr))

    shows(MAPPED, check, engine, chunk)


PRINTED = """
import ctypes, traceback
from concurrent.futures import ProcessPoolExecutor

def crash(x):
    ctypes.string_at(x)

def work(x):
    crash(x)

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(work, 0).result()
        except Exception:
            traceback.print_exc()
"""


def test_a_traceback_that_the_program_prints_has_the_lines_of_a_crash(shows):
    def check(ran):
        assert re.search(r"\[at \S+main\.py:9 in work\]\n  \[at \S+main\.py:6 in crash\]\n", ran.stderr)
        assert "[work(x=0)]" in ran.stderr

    shows(PRINTED, check)
