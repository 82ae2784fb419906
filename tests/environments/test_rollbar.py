"""Rollbar's item of a worker's error; what it is sent of one is looked at in test_traceback_tools.py."""

from __future__ import annotations

import builtins
import concurrent.futures
import sys

import pytest

rollbar = pytest.importorskip("rollbar")


def ratio(clicks, views):
    return clicks / views


def caused(clicks):
    try:
        ratio(clicks, 0)
    except ZeroDivisionError as error:
        raise ValueError("no ratio") from error


def many():
    try:
        ratio(1, 0)
    except ZeroDivisionError as error:
        raise builtins.ExceptionGroup("one", [error]) from None


@pytest.fixture
def report(monkeypatch):
    monkeypatch.setattr(rollbar, "SETTINGS", {**rollbar.SETTINGS})
    monkeypatch.setattr(rollbar, "_initialized", False)
    kept = []
    monkeypatch.setattr(rollbar, "send_payload", lambda payload, *_: kept.append(payload["data"]))
    rollbar.init("token", handler="blocking")

    def reported(function, *given, **more):
        with concurrent.futures.ProcessPoolExecutor(1) as pool:
            try:
                pool.submit(function, *given).result()
            except Exception as error:
                rollbar.report_exc_info((type(error), error, error.__traceback__), **more)
        return kept.pop()

    return reported


def test_the_programs_own_data_and_fingerprint_go_before(report):
    extra, payload = {"mine": 1}, {"fingerprint": "mine"}
    data = report(ratio, 1, 0, extra_data=extra, payload_data=payload)

    assert data["custom"]["mine"] == 1
    assert data["custom"]["autotb"]["call"] == "ratio(clicks=1, views=0)"
    assert data["custom"]["autotb"]["frames"].endswith("engine frames hidden, AUTOTB_FRAMES=all")
    assert data["fingerprint"] == "mine"
    assert (extra, payload) == ({"mine": 1}, {"fingerprint": "mine"})


def test_the_workers_cause_in_place_of_the_engines_text(report):
    error, cause = report(caused, 1)["body"]["trace_chain"]

    assert error["exception"] == {"class": "ValueError", "message": "no ratio"}
    assert cause["exception"] == {"class": "ZeroDivisionError", "message": "division by zero"}
    assert [frame["method"] for frame in cause["frames"]] == ["caused", "ratio"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="ExceptionGroup came with Python 3.11")
def test_members_of_a_group_are_custom_data(report):
    """Rollbar shows none, and the engine's text, which has them, is left out."""
    data = report(many)

    assert len(data["body"]["trace_chain"]) == 1 if "trace_chain" in data["body"] else "trace" in data["body"]
    assert "return clicks / views" in data["custom"]["autotb"]["members"]


def test_another_error(report):
    with pytest.raises(IndexError):
        report(int, "1")
    try:
        ratio(1, 0)
    except ZeroDivisionError as error:
        rollbar.report_exc_info((type(error), error, error.__traceback__))
