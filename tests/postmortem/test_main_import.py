"""A program without ``if __name__ == "__main__":`` whose workers import it: one of them tells why they die, and the hint, once."""

from __future__ import annotations

import os
import re
import sys

import pytest

from autotb.postmortem import main_import
from tests import programs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers leave no word there")

HINT = 'hint: a spawned worker imports the main script: put what starts the work under `if __name__ == "__main__":`'
PROGRAMS = {
    "executor": """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        def square(x):
            return x * x

        with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = [pool.submit(square, x) for x in range(4)]
            print([future.result() for future in futures])
        """,
    "sets the method": """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        multiprocessing.set_start_method("spawn")
        with ProcessPoolExecutor(2) as pool:
            print(list(pool.map(abs, range(4))))
        """,
    "forkserver": """
        import multiprocessing
        context = multiprocessing.get_context("forkserver")
        for process in [context.Process(target=print, args=(x,)) for x in range(4)]:
            process.start()
        """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_one_of_the_workers_that_fail_alike_tells_it_and_the_others_are_a_line_each(tmp_path, name):
    ours = programs.run(tmp_path, PROGRAMS[name], XDG_RUNTIME_DIR=str(tmp_path))
    bare = programs.run(tmp_path, PROGRAMS[name], autotb="0")

    lines = [line for line in ours.lines if re.search(r"Process-\d+, pid \d+, failed as pid \d+ did: RuntimeError: ", line)]
    workers = [line for line in ours.lines if re.match("RuntimeError: ", line)]
    assert len(workers) == 1, ours.stderr
    assert lines or name != "forkserver", ours.stderr  # a pool that misses the first may end the others before they say theirs
    assert all(re.search(r", at \S+main\.py:\d+ in <\w+>$", line) for line in lines)
    assert ours.stderr.count(HINT) == ours.stderr.count("hint: ") == 1
    assert ours.status == bare.status
    assert len(ours.lines) <= len(bare.lines)
    assert not (tmp_path / "autotb").exists(), "nothing is left"


def test_a_pool_whose_workers_cannot_import_the_program_ends(run):
    """Alone it starts workers for ever."""
    ran = run(
        """
        import multiprocessing

        with multiprocessing.get_context("spawn").Pool(2) as pool:
            print(pool.map(abs, range(4)))
        """
    )

    assert ran.status == 1
    assert ran.stderr.count(HINT) == ran.stderr.count("hint: ") == 1
    assert "could not import the main script, of RuntimeError: An attempt" in ran.stderr
    # After it the tracker of semaphores may complain of those that the workers have made.
    assert re.search(r"^autotb.WorkerDied: worker process \d+ died: exit status 1$", ran.stderr, re.M)


def test_errors_of_other_kinds_or_places_are_told_each(run):
    """As they are where the program is not imported by its workers at once."""
    ran = run(
        """
        import multiprocessing, os

        if __name__ != "__main__":
            number = int(multiprocessing.current_process().name.rpartition("-")[2])
            if number == 1:
                {}["one"]
            raise ValueError(f"at {number}")

        context = multiprocessing.get_context("spawn")
        for _ in range(3):
            process = context.Process(target=print)
            process.start()
            process.join()
        """
    )

    assert re.findall(r"^(\w+Error: .*)$", ran.stderr, re.M) == ["KeyError: 'one'", "ValueError: at 2", "ValueError: at 3"]
    assert "failed as" not in ran.stderr


def test_who_holds_the_lock_for_ever_is_not_waited_for(tmp_path, monkeypatch):
    """It may have been stopped."""
    import fcntl

    monkeypatch.setattr(main_import, "_PAUSE", 0)
    holder, other = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    fcntl.flock(holder, fcntl.LOCK_EX)
    main_import._lock(other)
    for descriptor in (holder, other):
        os.close(descriptor)


def test_what_those_before_left_is_buried_once_it_has_been_read(run, tmp_path):
    ran = run(
        """
        import multiprocessing, os

        if __name__ != "__main__":
            from autotb.postmortem import main_import
            main_import._READ = 0
            raise ValueError("no licence")

        context = multiprocessing.get_context("spawn")
        for _ in range(3):
            process = context.Process(target=print)
            process.start()
            process.join()
        print(len(os.listdir(os.path.join(os.environ["XDG_RUNTIME_DIR"], "autotb"))))
        """,
        XDG_RUNTIME_DIR=str(tmp_path),
    )

    assert ran.stdout == "1\n"
    assert len(re.findall(r"failed as pid \d+ did: ValueError: no licence", ran.stderr)) == 2
