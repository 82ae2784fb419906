"""What is noted around each task never changes what the task does."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import traceback

import pytest

from autotb.instrument import task_events


@pytest.fixture
def quiet(monkeypatch):
    """This process leaves no status file of its own."""
    monkeypatch.setattr(task_events, "_here", (None, None, str))


class Wrong:
    def __getattr__(self, name):
        raise RuntimeError(name)


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
                print(status_reader.of(os.getpid()).text, flush=True)

        run = task_events.around(work, lambda x: (work, (x,)))
        run(1)
        left = status_reader.of(os.getpid())
        print(left.text, left.running, flush=True)
        if not os.fork():
            raise SystemExit  # a child leaves the file alone
        os.wait()
        print(status_reader.of(os.getpid()) is not None, os.listdir(os.environ["XDG_RUNTIME_DIR"] + "/autotb") != [])
    """
    script = tmp_path / "main.py"
    script.write_text(textwrap.dedent(program))
    ran = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "AUTOTB": "1"},
    )
    assert ran.stdout.splitlines() == ["one of work(1), work(2), work(3)", "work(1) False", "True True"], ran.stderr
    assert list(tmp_path.iterdir()) == [script]  # the folder has gone with the last file
