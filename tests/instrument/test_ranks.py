"""A process is a rank once it has met others, and no child of its is; which errors say only that another was lost."""

from __future__ import annotations

import os

import pytest

from autotb.instrument import ranks


@pytest.fixture(autouse=True)
def no_rank(monkeypatch):
    monkeypatch.setattr(ranks, "_rank", None)


def test_a_rank_is_one_of_several_in_its_own_process_alone(monkeypatch):
    ranks.joined("torch", 0, 1)
    assert ranks.here() == ""

    ranks.joined("torch", 3, 8)
    assert ranks.here() == "rank 3 of 8"

    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert ranks.here() == ""


@pytest.mark.parametrize(
    ("error", "is_lost"),
    [
        (RuntimeError("[pair.cc:553] Connection closed by peer [127.0.0.1]:20682"), True),
        (ConnectionResetError(104, "Connection reset by peer"), True),
        (
            RuntimeError("[unbound_buffer.cc:78] Timed out waiting 4000ms for recv operation to complete"),
            False,
        ),  # it may be at work
        (ValueError("connection closed by peer"), False),  # the program's own
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_an_error_that_says_that_another_rank_is_gone(error, is_lost):
    assert not ranks.has_lost_another(error)
    ranks.joined("torch", 0, 2)

    assert ranks.has_lost_another(error) is is_lost
