"""A package that goes away or is half written: at start-up, while a program runs, before it has failed and after.

For every module of autotb that a program comes to need, removed and emptied: the program does what it does without autotb, and
what it shows is autotb's or Python's own, with one line more at most.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import sys
from pathlib import Path

import pytest

from tests import programs

ROOT = Path(__file__).resolve().parent.parent

#: One interpreter, and a child of it for each damage: start-up of our package, the damage, imports of engines, tasks, errors.
PROGRAM = """
import io, json, os, shutil, signal, sys
COPY, PRISTINE, START, SITES = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
sys.path[1:1] = [COPY]
sys.path += SITES
sys.dont_write_bytecode = True

def start():
    exec(START)

def engines():
    import threading
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    from multiprocessing import get_context
    return threading, ProcessPoolExecutor, ThreadPoolExecutor, get_context("fork")

def work(x):
    return 1 / x

def caught(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return repr(error)

def tasks(given):
    threading, ProcessPoolExecutor, ThreadPoolExecutor, fork = engines()
    thread = threading.Thread(target=print, args=("a thread",))
    thread.start()
    thread.join()
    for pool in (ThreadPoolExecutor(1), ProcessPoolExecutor(1, mp_context=fork)):
        with pool:
            print([caught(pool.submit(work, x).result) for x in given], list(pool.map(work, [1])))
    with fork.Pool(1) as pool:
        print([caught(pool.apply, work, (x,)) for x in given])
        pool.close()
        pool.join()

def fails():
    import asyncio
    tasks([2, 0])
    threading, _, ThreadPoolExecutor, _ = engines()
    thread = threading.Thread(target=work, args=(0,), name="other")
    thread.start()
    thread.join()
    print(caught(asyncio.run, asyncio.to_thread(work, 0)))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work, 0).result()

def child(moment, damage, out):
    signal.alarm(60)  # one that hangs is told
    for number, name in ((1, "stdout"), (2, "stderr")):
        descriptor = os.open(os.path.join(out, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb"), write_through=True)
    if moment == "bare":
        fails()
    if moment != "start":
        start()
    if moment == "after tasks":
        tasks([2])
    if moment == "after an error":
        tasks([2, 0])
    damage()
    if moment == "start":
        start()
    if moment == "needed":
        import atexit
        atexit.register(lambda: print(json.dumps([name for name in sys.modules if name.partition(".")[0] == "autotb"])))
    fails()

def removed(names):
    for name in names:
        os.unlink(os.path.join(COPY, name))

def emptied(names):
    for name in names:
        open(os.path.join(COPY, name), "w").close()

def gone(names):
    shutil.rmtree(os.path.join(COPY, "autotb"))

DAMAGES = {"removed": removed, "emptied": emptied, "gone": gone}
for line in sys.stdin:
    moment, how, names, out = json.loads(line)
    pid = os.fork()
    if pid == 0:
        child(moment, lambda: DAMAGES[how](names), out)  # its end is the interpreter's, its error the hook's
        sys.exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if how == "gone":
        shutil.copytree(PRISTINE, COPY, dirs_exist_ok=True)
    for name in names:
        shutil.copy2(os.path.join(PRISTINE, name), os.path.join(COPY, name))
    texts = [open(os.path.join(out, name)).read() for name in ("stdout", "stderr")]
    print(json.dumps([status, *texts]), flush=True)
"""


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Runs children with their damages; returns what each did."""
    folder = tmp_path_factory.mktemp("damaged")
    for name in ("copy", "pristine"):
        shutil.copytree(ROOT / "autotb", folder / name / "autotb", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "out").mkdir()
    (folder / "main.py").write_text(PROGRAM, encoding="utf-8")
    start = (ROOT / "autotb.pth").read_text(encoding="utf-8")
    arguments = [str(folder / "copy"), str(folder / "pristine"), start, *site.getsitepackages()]

    def children(*jobs: tuple[str, str, list[str]]) -> list[tuple[int, str, str]]:
        lines = "".join(json.dumps([*job, str(folder / "out")]) + "\n" for job in jobs)
        ran = programs.start(
            [sys.executable, "-S", "main.py", *arguments], folder, stdin=lines, timeout=560, AUTOTB_STYLE="rich", PYTHONPATH=""
        )
        found = [tuple(json.loads(line)) for line in ran.stdout.splitlines()]
        assert len(found) == len(jobs), ran.stderr
        return found

    return children


def everything() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "autotb").rglob("*.py"))


def needed(damaged) -> list[str]:
    """The files of autotb that the program loads, in the order in which it does."""
    [(_, told, _)] = damaged(("needed", "removed", []))
    modules = json.loads(told.splitlines()[-1])
    files = [name.replace(".", os.sep) for name in modules]
    return [found for name in files for found in (f"{name}.py", f"{name}{os.sep}__init__.py") if (ROOT / found).exists()]


MOMENTS = ["start", "before tasks", "after tasks", "after an error"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.on_main()
def test_no_file_that_is_missing_or_empty_changes_what_a_program_does(damaged):
    files = needed(damaged)
    assert len(files) > 30, files
    rest = sorted(set(everything()) - set(files))
    jobs = [("bare", "removed", []), ("before tasks", "removed", [])]
    jobs += [(moment, how, rest) for moment in MOMENTS[:3] for how in ("removed", "emptied")]
    jobs += [(moment, "gone", []) for moment in MOMENTS]
    # What start-up has loaded is not looked for again; the others are first needed at one of the other moments.
    at_start = ("__init__.py", "boot.py", "import_hook.py", "_triggers.py")
    for number, file in enumerate(files):
        if file.count(os.sep) == 1 and file.endswith(at_start):
            jobs += [(moment, how, [file]) for moment in MOMENTS[:2] for how in ("removed", "emptied")]
        else:
            one, other = ("removed", "emptied") if number % 2 else ("emptied", "removed")
            jobs += [("before tasks", one, [file]), ("after tasks", other, [file])]
    bare, whole, *rest_of_them = damaged(*jobs)

    assert whole[:2] == bare[:2]
    assert "autotb:" not in whole[2]
    wrong = [f"{job}: {why}\n{ran[2]}" for job, ran in zip(jobs[2:], rest_of_them) for why in [_wrong(bare, ran, job)] if why]
    assert not wrong, f"{len(wrong)} of {len(jobs)}\n" + "\n".join(wrong)


def _wrong(bare, ran, job) -> str:
    status, stdout, stderr = ran
    before = 4 if job[0] in ("after tasks", "after an error") else 0  # what the tasks of before have printed
    if status != bare[0]:
        return f"status {status}"
    if stdout.splitlines()[before:] != bare[1].splitlines():
        return f"stdout {stdout!r} for {bare[1]!r}"
    lines = [line for line in stderr.splitlines() if line.startswith("autotb:")]
    if len(lines) > 1:
        return "more than one line"
    if "Error in sys.excepthook" in stderr or "Exception ignored" in stderr or "During handling" in stderr:
        return "an error of ours"
    if stderr.count("ZeroDivisionError: division by zero\n") != 2:
        return "two errors are shown, once each"
    last = [line for line in stderr.splitlines() if not line.startswith("autotb:")][-1]
    return "" if last == "ZeroDivisionError: division by zero" else "the last line"
