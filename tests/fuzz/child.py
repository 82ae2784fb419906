"""A child that is compared with another: with autotb or without, it forks for each case, and shows its exceptions as a program would.

Flows in: lines ``SEED NUMBER STYLE FOLDER FILE``.  Flows out: what went to stderr, in FILE, and a line with the status that the fork
ended with.  Imports nothing of autotb's itself.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from tests.fuzz import exceptions, hostile
from tests.fuzz.chance import Chance

SHOWN = 8  # exceptions of one case that are handed to sys.excepthook; one more ends the program
LIMIT = 40  # seconds


def cases() -> Any:
    """Forks for each line, and ends with what the forked one is to do."""
    for line in sys.stdin:
        seed, number, style, folder, file = line.split()
        pid = os.fork()
        if not pid:
            signal.alarm(LIMIT)
            out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(out, 2)
            if style != "auto":
                os.environ["AUTOTB_STYLE"] = style
            return int(seed), int(number), folder
        sys.stdout.write(f"{os.waitpid(pid, 0)[1]}\n")
        sys.stdout.flush()
    return None


def made(seed: int, number: int, at: int, folder: str) -> BaseException:
    chance = Chance(seed, number * 100 + at, folder)
    chance.devices = False
    exc = exceptions.exception(chance)
    hostile.called.clear()
    return exc


def show(seed: int, number: int, folder: str) -> BaseException:
    """All but the last go to the hook; that one is to be raised."""
    for at in range(SHOWN):
        exc = made(seed, number, at, folder)
        os.write(2, f"\n== {at}\n".encode())
        try:
            sys.excepthook(type(exc), exc, BaseException.__dict__["__traceback__"].__get__(exc))
        except BaseException as error:
            hostile.note(f"the hook raised {object.__repr__(type(error))}")
        sys.stderr.flush()
        os.write(2, f"\n== calls {sorted(hostile.called.items())}\n".encode())
        exceptions.tidy()
    os.write(2, f"\n== {SHOWN}\n".encode())
    return made(seed, number, SHOWN, folder)


if __name__ == "__main__":
    for ahead in range(300):  # the classes are made once, for all forks
        made(0, ahead, 0, "")
        exceptions.tidy()
    todo = cases()
    if todo is not None:
        if todo[1] % 3 == 0:

            class Dies:
                def __del__(self) -> None:
                    raise made(todo[0], todo[1], 50, todo[2])

            Dies()
        raise show(*todo)
