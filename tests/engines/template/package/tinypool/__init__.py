"""tinypool: one worker process that runs one function after another.  The engine of the template of an adapter, made to be read."""

from __future__ import annotations

import multiprocessing

from tinypool.worker import loop


class Pool:
    """``Pool().submit(function, *args).result()``; close it, or use it in a ``with`` statement."""

    def __init__(self):
        self._here, there = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=loop, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def submit(self, function, *args):
        self._here.send((function, args))
        return Task(self)

    def close(self):
        self._here.send(None)
        self._process.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Task:
    """One call; tasks are asked in the order in which they were submitted."""

    def __init__(self, pool):
        self._pool = pool

    def result(self):
        well, value = self._pool._here.recv()
        if well:
            return value
        raise value
