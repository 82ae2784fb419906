"""The verdict on a process that was killed: counters of the kernel, as its documentation gives their files."""

from __future__ import annotations

import sys

import pytest

from autotb.postmortem import oom


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A control group of version 2 that says what it is told to."""
    monkeypatch.setattr(oom, "ROOT", str(tmp_path))

    def say(kills: int, limit: str = "max") -> None:
        (tmp_path / "memory.events").write_text(f"low 0\nhigh 0\nmax 3\noom 1\noom_kill {kills}\noom_group_kill 0\n")
        (tmp_path / "memory.max").write_text(f"{limit}\n")

    return say


def test_a_count_that_rose_is_out_of_memory(kernel):
    kernel(2)
    before = oom.oom_kills()
    kernel(3)
    assert before == 2
    assert oom.verdict(before) == "probably out of memory: the kernel's count of such kills rose by 1 since the worker began"


def test_a_count_that_stands_is_somebody_else(kernel):
    kernel(2)
    assert oom.verdict(2) == "the kernel counts no out-of-memory kill"


def test_the_largest_worker_is_told_where_it_was_near_the_limit(kernel, monkeypatch):
    kernel(1, "2147483648")
    monkeypatch.setattr(oom, "largest_child", lambda: 2_000_000_000)
    assert oom.verdict(0).endswith("; the largest child process had 1.9 GiB, of a limit of 2.0 GiB")


def test_where_the_kernel_does_not_tell_there_is_no_verdict(tmp_path, monkeypatch):
    monkeypatch.setattr(oom, "ROOT", str(tmp_path))
    assert oom.oom_kills() is None
    assert oom.verdict(None) == ""


def test_windows_knows_no_such_counters(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert oom.largest_child() == 0
    assert oom.verdict(None) == ""
