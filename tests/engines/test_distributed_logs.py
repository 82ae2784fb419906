"""Terminals are spared what is told there in another way; all others get every record of a cluster's log."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from autotb.engines import distributed_logs


@pytest.fixture
def heard(monkeypatch):
    """What a terminal and a file get of a record."""
    terminal, file = io.StringIO(), io.StringIO()
    handlers = [logging.StreamHandler(terminal), logging.StreamHandler(file)]
    logger = logging.getLogger("tests.cluster")
    monkeypatch.setattr(logger, "handlers", handlers)
    monkeypatch.setattr(logger, "propagate", False)

    def tell(message, *args, error=None):
        monkeypatch.setattr(sys, "stderr", terminal)
        record = logger.makeRecord(
            logger.name, logging.ERROR, "", 1, message, args, (type(error), error, None) if error else None
        )
        assert distributed_logs._spare_the_terminal(record)
        logger.handle(record)
        found = [bool(stream.getvalue()) for stream in (terminal, file)]
        for stream in (terminal, file):
            stream.truncate(0)
            stream.seek(0)
        return found

    return tell


UNSENT = TypeError("Could not serialize object of type Model")


@pytest.mark.parametrize(
    ("message", "args", "error"),
    [
        ("Compute Failed\nKey: x", (), None),
        ("Failed to serialize %s.", ("x",), UNSENT),
        ("Failed to Serialize", (), UNSENT),
        ("Failed to deserialize", (), UNSENT),
        (UNSENT, (), UNSENT),
        ("Exception while handling op %s", ("variable_get",), TimeoutError()),
    ],
)
def test_what_the_program_tells_is_not_on_the_terminal_too(heard, monkeypatch, message, args, error):
    assert heard(message, *args, error=error) == [True, True], "a program that started no workers"

    monkeypatch.setattr(distributed_logs, "is_told_here", lambda: True)
    assert heard(message, *args, error=error) == [False, True]


@pytest.mark.parametrize(
    ("message", "args", "error"),
    [
        ("Failed to Serialize", (), ValueError("x")),
        ("Exception while handling op %s", ("variable_get",), ValueError("x")),
        ("Exception while handling op %s", ("gather",), TimeoutError()),
        ("Run Failed", (), KeyError("x")),
    ],
)
def test_what_nobody_else_tells_is(heard, monkeypatch, message, args, error):
    monkeypatch.setattr(distributed_logs, "is_told_here", lambda: True)
    assert heard(message, *args, error=error) == [True, True]
