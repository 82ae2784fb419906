"""What is said in the program's log: where the log fails, the program goes on, and one line on stderr tells."""

from __future__ import annotations

import logging

import pytest

from autotb import runtime
from autotb.render import logs


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(logs, "_told", set())
    monkeypatch.setattr(runtime, "told", set())
    monkeypatch.setattr(runtime, "problems", [])


@pytest.fixture
def broken():
    """A logger one of whose filters raises what it is given."""
    log = logging.getLogger("tests.logs.broken")

    def raises(record):
        raise record.args[0]

    log.addFilter(raises)
    yield log
    log.removeFilter(raises)


def test_a_record_names_the_line_that_says_it(caplog):
    logs.say(logging.getLogger("tests.logs"), logging.WARNING, "%d failed", 3)

    (record,) = caplog.records
    assert (record.getMessage(), record.levelname, record.funcName) == (
        "3 failed",
        "WARNING",
        "test_a_record_names_the_line_that_says_it",
    )


def test_a_filter_that_raises_is_told(broken, capsys):
    logs.say(broken, logging.ERROR, "%s", ValueError("full"))

    assert capsys.readouterr().err.startswith("autotb: logging by tests.logs.broken failed (ValueError: full)")


def test_a_failure_is_told_once(broken, capsys):
    for number in range(3):
        logs.say(broken, logging.ERROR, "%s", ValueError(number))

    assert capsys.readouterr().err.count("\n") == 1


def test_not_every_failure_there_is_is_told(capsys):
    for number in range(2 * logs.MOST_TOLD):
        logs.failed(f"step {number}", ValueError(number))

    assert capsys.readouterr().err.count("\n") == logs.MOST_TOLD


def test_an_interruption_passes(broken):
    with pytest.raises(KeyboardInterrupt):
        logs.say(broken, logging.ERROR, "%s", KeyboardInterrupt())
