"""Sentry's event of a worker's error, made by its real SDK and kept by a transport of the test's."""

from __future__ import annotations

import builtins
import concurrent.futures
import json
import sys

import pytest

sentry_sdk = pytest.importorskip("sentry_sdk")
from sentry_sdk.transport import Transport  # noqa: E402
from sentry_sdk.utils import event_from_exception  # noqa: E402

SECRET = "".join(("hun", "ter2"))


def ratio(clicks, views, password=None):
    return clicks / views


def other(clicks):
    raise ZeroDivisionError("division by zero")


def caused(clicks):
    try:
        ratio(clicks, 0)
    except ZeroDivisionError as error:
        raise ValueError("no ratio") from error


@pytest.fixture(scope="module")
def pool():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        yield pool


def failed(pool, function, *given):
    future = pool.submit(function, *given)
    concurrent.futures.wait([future])
    try:
        future.result()
    except Exception as error:
        return error


def sent(error, fingerprint=None, **options):
    kept = []

    class Kept(Transport):
        def capture_envelope(self, envelope):
            kept.append(envelope.get_event())

        def flush(self, *args, **more):
            pass

    client = sentry_sdk.Client("https://public@sentry.invalid/1", transport=Kept, default_integrations=False, **options)
    with sentry_sdk.new_scope() as scope:
        scope.set_client(client)
        scope.fingerprint = fingerprint
        scope.capture_exception(error)
    return kept[0]


def frames(value):
    return [(frame["function"], frame["in_app"]) for frame in value["stacktrace"]["frames"]]


def test_frames_in_order_and_the_engines_are_not_the_programs(pool):
    error = failed(pool, ratio, 1, 0)
    before = error.__traceback__, error.__cause__
    (value,) = sent(error)["exception"]["values"]

    told = [frame for frame in frames(value) if frame[0] != "<autotb>"]  # on 3.10
    assert told == [("failed", True), ("result", False), ("__get_result", False), ("ratio", True)]
    assert (error.__traceback__, error.__cause__) == before


def test_where_the_worker_ran_and_nothing_secret(pool):
    event = sent(failed(pool, ratio, 1, 0, SECRET))
    told = event["contexts"]["autotb"]

    assert told["worker"] == "in a process-pool worker"
    assert type(told["pid"]) is int
    assert told["submitted"].startswith(f"{__file__}:")
    assert told["call"] == "ratio(clicks=1, views=0, password=***)"
    worker = event["exception"]["values"][0]["stacktrace"]["frames"][-1]
    assert worker["vars"]["clicks"] == "1"
    assert SECRET not in json.dumps([told, worker], default=str)


def test_no_arguments_where_variables_are_not_to_be_sent(pool):
    assert "call" not in sent(failed(pool, ratio, 1, 0), include_local_variables=False)["contexts"]["autotb"]


def test_one_issue_for_one_function_and_the_programs_own_fingerprint_goes_before(pool):
    first, second, third = (sent(failed(pool, *call)) for call in ((ratio, 1, 0), (ratio, 2, 0), (other, 1)))

    assert first["fingerprint"] == second["fingerprint"] == ["ZeroDivisionError", __name__, "ratio"]
    assert third["fingerprint"] == ["ZeroDivisionError", __name__, "other"]
    assert sent(failed(pool, ratio, 1, 0), fingerprint=["mine"])["fingerprint"] == ["mine"]


def test_the_workers_cause_in_place_of_the_engines_text(pool):
    cause, value = sent(failed(pool, caused, 1))["exception"]["values"]

    assert (cause["type"], frames(cause)[-1]) == ("ZeroDivisionError", ("ratio", True))
    assert (value["type"], frames(value)[-1]) == ("ValueError", ("caused", True))


def test_an_error_of_the_programs_own_that_came_out_of_it(pool):
    try:
        raise RuntimeError("outer") from failed(pool, ratio, 1, 0)
    except RuntimeError as caught:
        event = sent(caught)

    assert event["contexts"]["autotb"]["call"] == "ratio(clicks=1, views=0)"
    assert event.get("fingerprint") is None
    assert [value["type"] for value in event["exception"]["values"]] == ["ZeroDivisionError", "RuntimeError"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
def test_members_of_the_programs_own_group_say_where_they_ran(pool):
    try:
        raise builtins.ExceptionGroup("own", [failed(pool, ratio, 1, 0, SECRET), ValueError("plain"), failed(pool, other, 1)])
    except builtins.ExceptionGroup as caught:
        event = sent(caught)

    told = event["contexts"]["autotb"]["members"]
    assert [(member["type"], member["call"]) for member in told] == [
        ("ZeroDivisionError", "ratio(clicks=1, views=0, password=***)"),
        ("ZeroDivisionError", "other(clicks=1)"),
    ]
    assert "_RemoteTraceback" not in [value["type"] for value in event["exception"]["values"]]


def test_other_errors_and_the_switch(pool, monkeypatch):
    try:
        ratio(1, 0)
    except ZeroDivisionError as caught:
        event = sent(caught)
        assert "autotb" not in event["contexts"]
        assert event.get("fingerprint") is None
    error = failed(pool, ratio, 1, 0)
    monkeypatch.setenv("AUTOTB_TRACEBACK", "0")
    assert [value["type"] for value in sent(error)["exception"]["values"]] == ["_RemoteTraceback", "ZeroDivisionError"]


def test_what_is_no_exception_is_as_ever():
    event, _ = event_from_exception((None, None, None))

    assert event["level"] == "error"
