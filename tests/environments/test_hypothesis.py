"""A failing test of Hypothesis', which says what lines only failing test cases ran."""

from __future__ import annotations

import sys

import pytest

from tests import programs

TESTS = """
from concurrent.futures import ProcessPoolExecutor

import anyio
import anyio.to_process
from hypothesis import given, settings, strategies as st


def half(n):
    if n > 1000:
        raise ValueError(f"too large: {n}")
    return n / 2


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(st.integers(0, 100_000))
def test_half(n):
    assert pool.submit(half, n).result() <= n


def test_anyio():
    async def main():
        return await anyio.to_process.run_sync(half, 1001)

    anyio.run(main)


def setup_module():
    global pool
    pool = ProcessPoolExecutor(1)


def teardown_module():
    pool.shutdown()


if __name__ == "__main__":
    setup_module()
    test_half()
"""
UNDER_PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"]


@pytest.mark.on_main()
@pytest.mark.parametrize("command", [UNDER_PYTEST, []], ids=["pytest", "script"])
def test_no_line_of_ours_explains_a_failure(tmp_path, command):
    (tmp_path / "test_it.py").write_text(TESTS)
    ours, bare = (
        programs.start([sys.executable, *command, "test_it.py"], tmp_path, autotb=autotb, AUTOTB_STYLE="plain") for autotb in "10"
    )
    told, theirs = ours.stdout + ours.stderr, bare.stdout + bare.stderr

    assert ours.status == bare.status == 1
    for text in (told, theirs):
        assert "n=1001," in text and "ValueError: too large: 1001" in text
        assert "always and only run by failing test cases" not in text, text
    if command:  # AnyIO comes with a plugin for pytest, as Hypothesis does
        assert "in an AnyIO worker process, pid" in told
