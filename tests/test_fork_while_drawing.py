"""A fork while a thread draws its first error: the child has whole modules, and draws errors of its own."""

from __future__ import annotations

import os
import sys

import pytest

from tests import programs

PROGRAM = """
import os, sys, threading, time

def work():
    1 / 0

def child():
    import dataclasses, inspect, json, pickle, typing

    @dataclasses.dataclass
    class A:
        x: int

    pickle.loads(pickle.dumps(json.loads("[1]")))
    inspect.signature(work)
    typing.get_type_hints(A)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

def fork():
    pid = os.fork()
    if pid:
        return pid
    try:
        child()
    except BaseException as error:
        os.write(1, f"BAD {error!r}\\n".encode())
        os._exit(3)
    os._exit(0)

thread = threading.Thread(target=work)
thread.start()
children = []
while thread.is_alive() and len(children) < 12:
    children.append(fork())
    time.sleep(0.012)
limit = time.monotonic() + 60
while children and time.monotonic() < limit:
    children = [pid for pid in children if os.waitpid(pid, os.WNOHANG) == (0, 0)]
    time.sleep(0.02)
for pid in children:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    print("HANG")
thread.join()
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("siblings", [(), ("colorsys.py", "bisect.py")], ids=["alone", "beside files of the user's"])
def test_a_child_forked_in_the_midst_is_whole(tmp_path, siblings):
    for name in siblings:
        (tmp_path / name).write_text("raise SystemExit('the user has not asked for this')\n")
    # From 3.13 on Python's own printer imports when it prints, and such a child hangs without us.
    for autotb in ("1", "0") if sys.version_info < (3, 13) else ("1",):
        ran = programs.run(tmp_path, PROGRAM, autotb=autotb, AUTOTB_STYLE="rich")
        assert ran.stdout == "done\n", (autotb, ran.stdout, ran.stderr[-2000:])
