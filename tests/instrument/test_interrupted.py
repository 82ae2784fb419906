"""A Ctrl-C while the workers of a pool run: one story that says what each was doing, where and for how long; status as bare."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests import programs

PROGRAM = """
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


def slow(item):
    open(f"begun{item}", "w").close()
    end = time.monotonic() + 60
    while time.monotonic() < end and not os.path.exists("enough"):
        time.sleep(0.1)  # here


def processes(method):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        asked = [pool.submit(slow, item) for item in range(2)]
        open("asked", "w").close()
        for future in asked:
            future.result()


def fork():
    processes("fork")


def spawn():
    processes("spawn")


def mapped():
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(slow, range(2)))


def threads():
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(slow, item) for item in range(2)]
        open("asked", "w").close()
        for future in asked:
            future.result()


def pool():
    with multiprocessing.Pool(3) as pool:
        pool.map(slow, range(2))


def loky():
    import joblib

    joblib.Parallel(2)(joblib.delayed(slow)(item) for item in range(2))


def flow():
    import autotb

    with ProcessPoolExecutor(2) as pool:
        autotb.map(slow, range(2), executor=pool)


def caught():
    try:
        mapped()
    except KeyboardInterrupt:
        print("caught", flush=True)


def twice():
    from autotb.instrument import interrupted

    caught()
    interrupted._LEEWAY = 0.0  # the next one comes long after
    raise KeyboardInterrupt


def raised(item):
    raise KeyboardInterrupt


def own():
    with ProcessPoolExecutor(1) as pool:
        pool.submit(raised, 1).result()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
"""


def line(text: str) -> int:
    return next(number for number, each in enumerate(PROGRAM.splitlines(), 1) if each.endswith(text))


def interrupted(folder, way: str, code: str = PROGRAM, limit: float | None = None, **environment: str) -> programs.Ran:
    """Interrupt the whole group once both tasks run, as a terminal does; a thread's task goes on for half a second."""
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(code)
    with open(folder / "stdout", "w") as stdout, open(folder / "stderr", "w") as stderr:  # workers may outlive the program
        process = subprocess.Popen(
            [sys.executable, "main.py", way],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            env={**programs.environment(**environment), "AUTOTB_STYLE": "plain"},
        )
    try:
        latest = time.monotonic() + programs.LIMIT
        asks = code == PROGRAM and way in ("fork", "spawn", "threads")  # an error in the midst of asking has no place yet
        signs = ["begun0", "begun1", *(["asked"] if asks else [])]
        while not all((folder / sign).exists() for sign in signs):
            assert time.monotonic() < latest and process.poll() is None, "the tasks have not begun"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.5)
        (folder / "enough").touch()
        status = process.wait(programs.LIMIT if limit is None else limit)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(programs.LIMIT)
    return programs.Ran(status, (folder / "stdout").read_text(), (folder / "stderr").read_text(), folder)


def bare_of(folder, way):
    """Without autotb: once in twenty times a ``multiprocessing.Pool`` of Python 3.10 waits for ever as a Ctrl-C ends it."""
    for turn in range(5):
        try:
            return interrupted(folder / f"bare{turn}", way, limit=20, autotb="0")
        except subprocess.TimeoutExpired:
            assert way == "pool"
    raise AssertionError("it never ends")


@pytest.mark.parametrize("way", ["fork", "spawn", "mapped", "pool", "threads", "loky", "flow"])
def test_each_task_is_told_with_its_line(tmp_path, way):
    ours, bare = interrupted(tmp_path / "1", way, autotb="1"), bare_of(tmp_path, way)

    told = re.findall(r"^(interrupted|running): slow\(item=(\d)\), at \S*main.py:(\d+) in slow, (.*)$", ours.stderr, re.M)
    if way in ("flow", "pool", "loky"):  # a chunk is a call of its own; others end their workers at once
        told = re.findall(
            r"^(interrupted|running): slow\((?:item=)?(\d)\)(?:, at \S*main.py:(\d+) in slow)?, (.*)$", ours.stderr, re.M
        )
    assert sorted(item for _, item, _, _ in told) == ["0", "1"], ours.stderr
    if way not in ("pool", "loky"):
        assert {state for state, *_ in told} == {"running" if way == "threads" else "interrupted"}
    for _, _, number, more in told:
        assert not number or line("def slow(item):") < int(number) <= line("# here")
        assert re.search("thread ThreadPoolExecutor" if way == "threads" else r"(after|for) \d+\.\d s, pid \d+", more)
        place = re.search(r"submitted at \S*main.py:(\d+) in ", more)
        assert way in ("loky", "pool") or re.search(r"submit\(|map\(", PROGRAM.splitlines()[int(place[1]) - 1]), more
    assert ours.status == bare.status
    assert "interrupted: slow" not in bare.stderr
    assert ours.stderr.count("Traceback") == 1


def test_a_program_that_catches_it_is_told_nothing(tmp_path):
    ran = interrupted(tmp_path / "ours", "caught", autotb="1")

    assert (ran.status, ran.stdout) == (0, "caught\n")
    assert "interrupted: " not in ran.stderr


def test_a_second_one_is_not_told_with_what_the_first_took_down(tmp_path):
    ran = interrupted(tmp_path / "ours", "twice", autotb="1")

    assert ran.stdout == "caught\n"
    assert ran.last == "KeyboardInterrupt"
    assert "interrupted: " not in ran.stderr


def test_one_that_a_task_raises_itself_is_told_as_any_error(tmp_path):
    ran = programs.run(tmp_path, PROGRAM, "own", AUTOTB_STYLE="plain")

    assert "in raised" in ran.stderr
    assert "interrupted: " not in ran.stderr
