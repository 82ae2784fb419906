"""Whose code made a call: known by the code object itself, which is not hashed, for that takes longer the longer it is."""

from __future__ import annotations

import sys

from autotb.record import callsite


def test_code_is_known_by_itself_and_lives_as_long_as_that():
    source = "import sys\nfound.append(sys._getframe())\n"
    frames = []
    for _ in range(2):  # equal, and not the same
        exec(compile(source, "program.py", "exec"), {"__name__": "__main__", "found": frames})
    one, other = (frame.f_code for frame in frames)
    assert one == other
    assert [callsite.whose(frame) for frame in frames] == [callsite.USER, callsite.USER]
    assert callsite._users[id(one)][0] is one
    assert callsite._users[id(other)][0] is other
    assert all(id(code) == key for key, (code, _) in callsite._users.items())


def test_what_is_known_is_bounded():
    for at in range(2_100):
        found = []
        exec(compile("import sys\nfound.append(sys._getframe())\n", f"program{at}.py", "exec"), {"found": found})
        callsite.whose(found[0])
    assert len(callsite._users) <= 2_001
    assert callsite.whose(sys._getframe()) == callsite.USER
