"""Functions that the tests of flows call, and an executor that runs each call where it is submitted."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future


def invert(x, scale=1):
    return scale / x


def double(x):
    return 2 * x


def add(x, y):
    return x + y


def total(values):
    return sum(values)


def locks(x):
    return threading.Lock() if x == 2 else x


def interrupted(x):
    raise KeyboardInterrupt


class Here(Executor):
    """Keeps what it was given to call, and what was sent back."""

    def __init__(self):
        self.calls, self.sent = [], []

    def submit(self, function, *args):
        self.calls.append(args)
        future = Future()
        try:
            self.sent.append(function(*args))
            future.set_result(self.sent[-1])
        except BaseException as error:
            future.set_exception(error)
        return future
