"""OpenTelemetry's event of a worker's error; what it records of one is looked at in test_traceback_tools.py."""

from __future__ import annotations

import concurrent.futures

import pytest

trace = pytest.importorskip("opentelemetry.sdk.trace")


def ratio(clicks, views):
    return clicks / views


def recorded(run, **more):
    span = trace.TracerProvider().get_tracer("test").start_span("step")
    try:
        run()
    except ZeroDivisionError as error:
        span.record_exception(error, **more)
    (event,) = span.events
    return dict(event.attributes)


def test_the_programs_own_attributes_go_before():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        found = recorded(lambda: pool.submit(ratio, 1, 0).result(), attributes={"autotb.call": "mine", "x": 1})

    assert (found["autotb.call"], found["x"]) == ("mine", 1)
    assert found["autotb.worker"] == "in a process-pool worker"
    assert found["exception.message"] == "division by zero"
    assert "_base.py" not in found["exception.stacktrace"]


def test_another_error():
    assert not any(name.startswith("autotb") for name in recorded(lambda: ratio(1, 0)))
