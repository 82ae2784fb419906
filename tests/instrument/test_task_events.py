"""What is noted around each task never changes what the task does."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import traceback

import pytest

from autotb.instrument import task_events
from autotb.postmortem import status_file


@pytest.fixture
def quiet(monkeypatch):
    """This process leaves no status file of its own."""
    monkeypatch.setattr(task_events, "_here", (None, None, str))


class Wrong:
    def __getattr__(self, name):
        raise RuntimeError(name)


def run_alone(tmp_path, program):
    """A program whose status files lie in its own folder."""
    script = tmp_path / "main.py"
    script.write_text(textwrap.dedent(program))
    return subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "AUTOTB": "1"},
    )


@pytest.mark.parametrize("call", [lambda x: (lambda: x, (x,)), lambda x: None, lambda x: 1 / 0, lambda x: 5, lambda: None])
@pytest.mark.parametrize("is_well", [lambda result: True, lambda result: 1 / 0, lambda result: Wrong()])
def test_a_task_runs_once_and_its_result_arrives(quiet, call, is_well):
    calls = []

    def task(x):
        calls.append(x)
        return x + 1

    assert task_events.around(task, call, is_well)(3) == 4
    assert calls == [3]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, StopIteration])
def test_what_a_task_raises_is_raised(quiet, kind):
    error = kind("x")

    def task():
        raise error

    with pytest.raises(kind) as caught:
        task_events.around(task, lambda: (task, ()))()
    assert caught.value is error


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a frame that raises again stays in the traceback")
def test_an_engine_that_prints_what_a_task_raised_prints_no_frame_of_ours(quiet):
    """Ray does, of each try that fails and is to be followed by another."""
    try:
        task_events.around(lambda: 1 / 0, lambda: (None, ()))()
    except ZeroDivisionError:
        text = traceback.format_exc()

    assert text.count("  File ") == 2
    assert "task_events.py" not in text.replace(__file__, "")


def test_tasks_of_several_threads_are_all_named_and_the_file_goes_with_the_process(tmp_path):
    program = """
        import os, threading
        from autotb.instrument import task_events
        from autotb.postmortem import status_reader

        def work(x):
            if x < 3:
                thread = threading.Thread(target=run, args=(x + 1,))
                thread.start()
                thread.join()
            else:
                left = status_reader.of(os.getpid())
                print(left.text, [(task.call, task.job) for task in left.tasks], left.culprit, flush=True)

        run = task_events.around(work, lambda x: (work, (x,), None, x + 10))
        run(1)
        left = status_reader.of(os.getpid())
        print(left.text, left.running, [task.job for task in left.tasks], flush=True)
        if not os.fork():
            raise SystemExit  # a child leaves the file alone
        os.wait()
        print(status_reader.of(os.getpid()) is not None, os.listdir(os.environ["XDG_RUNTIME_DIR"] + "/autotb") != [])
    """
    ran = run_alone(tmp_path, program)
    several = "one of work(1), work(2), work(3) [('work(1)', 11), ('work(2)', 12), ('work(3)', 13)] None"
    assert ran.stdout.splitlines() == [several, "work(1) False [11]", "True True"], ran.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "main.py"]  # the folder has gone with the last file


def test_of_the_tasks_of_several_threads_the_one_that_ended_the_process_is_known(tmp_path):
    program = """
        import os, sys, threading
        from autotb.instrument import task_events
        from autotb.postmortem import status_reader

        def work(x):
            begun.wait()
            end.wait() if x == 1 else sys.exit(4)

        begun, end = threading.Barrier(2), threading.Event()
        run = task_events.around(work, lambda x: (work, (x,), None, x), ends=("dask", "in a Dask worker"))
        other = threading.Thread(target=run, args=(1,))
        other.start()
        try:
            run(2)
        except SystemExit:
            end.set()
        other.join()  # it has ended since then, which is of no interest any more
        left = status_reader.of(os.getpid())
        print(left.running, left.text, left.culprit.job, left.raised()["type"], sorted(task.job for task in left.tasks), flush=True)
        task_events.around(len, lambda x: (len, (x,), None, 3))([])
        print(status_reader.of(os.getpid()).culprit.job)
    """
    ran = run_alone(tmp_path, program)

    assert ran.stdout.splitlines() == ["True work(2) 2 SystemExit [1, 2]", "2"], ran.stderr


def test_more_tasks_than_there_is_room_for_are_told_as_far_as_it_goes():
    tasks = [(f"work({x}, {'x' * 300!r})", "", x, x, x) for x in range(1, 9)]
    lines = status_file.lines(tasks).split("\n")

    assert [line.split("\t")[2] for line in lines] == ["5", "6", "7", "8"]  # those that began last
    assert len("\n".join(lines)) < status_file.TEXT_BYTES


def test_a_process_that_a_ctrl_c_ends_leaves_word_of_the_tasks_of_its_threads(tmp_path):
    program = """
        import os, threading, time
        from autotb.instrument import task_events
        from autotb.postmortem import status_reader

        def work(x):
            begun.wait()
            begun.wait()
            end.wait()

        begun, end = threading.Barrier(3), threading.Event()
        run = task_events.around(work, lambda x: (work, (x,), None, x))
        threads = [threading.Thread(target=run, args=(x,)) for x in (1, 2)]
        for thread in threads:
            thread.start()
        begun.wait()  # both began at once: one file names them
        print(sorted(task.call for task in status_reader.of(os.getpid()).tasks))
        begun.wait()
        while task_events._tasks()[0][1].startswith("at") is False:
            time.sleep(0.01)
        print(sorted(task_events.interrupted()))
        end.set()
        for thread in threads:
            thread.join()
        left = status_reader.of(os.getpid())
        print(left.running, left.text.startswith("one of work("), sorted(task[2] for task in left.tasks))
        print(all(" in work, for " in task[1] for task in left.tasks))
    """
    ran = run_alone(tmp_path, program)

    assert ran.stdout.splitlines() == [
        "['work(1)', 'work(2)']",
        "['work(1)', 'work(2)']",
        "True True [1, 2]",
        "True",
    ], ran.stderr
    # Who started it takes the file away.
    assert [file.name for file in (tmp_path / "autotb").iterdir()] != []
