"""The worker process."""

from __future__ import annotations

import traceback


class RemoteText(Exception):
    """The traceback of another process, as text: the cause of an exception that came from there."""

    def __str__(self):
        return self.args[0]


class Failure:
    """What a task raised, on its way: the exception, and its traceback, which does not pickle, as text."""

    def __init__(self, error, text):
        self.error, self.text = error, text

    def __reduce__(self):
        return rebuild, (self.error, self.text)


def rebuild(error, text):
    error.__cause__ = RemoteText(text)
    return error


def loop(connection):
    while (call := connection.recv()) is not None:
        connection.send(run(*call))


def run(function, args):
    try:
        return True, function(*args)
    except Exception as error:
        return False, Failure(error, traceback.format_exc())
