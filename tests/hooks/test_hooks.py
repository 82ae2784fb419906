"""What the hooks leave alone: the functions of `traceback`, and how a program shuts down."""

from __future__ import annotations

import sys

import pytest

WORKER_ERROR = """
from concurrent.futures import ProcessPoolExecutor

def work(x):
    return 1 / x
"""


def test_traceback_functions_are_pythons_with_the_switch_off(run):
    code = (
        WORKER_ERROR
        + """
import sys, traceback
from concurrent.futures import wait
if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        future = pool.submit(work, 0)
        wait([future])  # where result() raises depends on whether it has come
        try:
            future.result()
        except ZeroDivisionError:
            print(traceback.format_exc())
"""
    )
    off, bare = run(code, AUTOTB_TRACEBACK="0"), run(code, autotb="0")

    if sys.version_info >= (3, 11):  # on 3.10 one frame of ours stays in the traceback
        assert off.stdout == bare.stdout


@pytest.mark.parametrize("kind", ["ProcessPoolExecutor", "ThreadPoolExecutor"])
def test_an_error_that_the_program_catches_imports_nothing_that_draws(run, kind):
    program = f"""
import sys
from concurrent.futures import {kind}
def fail(x):
    return 1 / x
if __name__ == "__main__":
    with {kind}(1) as pool:
        for _ in range(3):
            try:
                pool.submit(fail, 0).result()
            except ZeroDivisionError as error:
                told = hasattr(error, "__autotb__")
    print(told, [name for name in sys.modules if name.startswith(("autotb.render", "autotb.trace", "rich"))])
"""
    assert run(program).stdout == "True []\n"
    assert run(program, AUTOTB="0").stdout == "False []\n"


def test_shutdown_and_threads_at_exit(run):
    ran = run(
        """
        import atexit, threading
        def late():
            thread = threading.Thread(target=lambda: 1 / 0)
            try:
                thread.start()
                thread.join()
            except RuntimeError:
                pass
        atexit.register(late)
        """
    )

    assert ran.status == 0
    assert "autotb:" not in ran.stderr
