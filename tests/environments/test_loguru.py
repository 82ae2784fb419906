"""loguru's record of a worker's error; what it shows of one is looked at in test_traceback_tools.py."""

from __future__ import annotations

import concurrent.futures
import io

import pytest

loguru = pytest.importorskip("loguru")


def ratio(clicks, views):
    return clicks / views


@pytest.fixture
def log():
    stream = io.StringIO()
    loguru.logger.remove()
    number = loguru.logger.add(stream, colorize=False, backtrace=False, diagnose=False)
    yield stream
    loguru.logger.remove(number)


def test_the_cause_of_the_programs_own_error(log):
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        try:
            try:
                pool.submit(ratio, 1, 0).result()
            except ZeroDivisionError as error:
                worker = error
                raise RuntimeError("outer") from error
        except RuntimeError:
            loguru.logger.exception("failed")
    text = log.getvalue()

    assert "_RemoteTraceback" not in text
    assert "_base.py" not in text
    assert text.index("in ratio") < text.index("ZeroDivisionError") < text.index("RuntimeError: outer")
    assert type(worker.__cause__).__name__ == "_RemoteTraceback"
    assert not hasattr(worker, "__notes__")


def test_another_error_is_as_ever(log):
    try:
        ratio(1, 0)
    except ZeroDivisionError:
        loguru.logger.exception("failed")

    assert log.getvalue().endswith("ZeroDivisionError: division by zero\n")
