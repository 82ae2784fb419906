"""CPython's own tests, a fast part of them: no outcome changes, nothing stays behind.  ``python -m tests.cpython`` runs many more."""

from __future__ import annotations

import pytest

from tests import cpython, peers

PARTS = {
    "test_traceback": [],
    "test_doctest": [],
    "test_cmd_line_script": [],
    "test_exceptions": [],
    "test_code_module": [],
    "test_concurrent_futures": ["*ForkExecutorDeadlock*", "*ForkserverExecutorDeadlock*"],
    "test_concurrent_futures.test_deadlock": ["*ForkExecutorDeadlock*", "*exit_during_result*"],  # where it is a package
}
LIMIT = 120  # seconds of a module, one way: a pool of CPython's own hangs now and then, without us too, and that is no difference of ours


@pytest.mark.parametrize("module", list(PARTS))
def test_cpythons_own_tests_are_as_without_us(module):
    if not cpython.there(module) or (module == "test_concurrent_futures" and cpython.there(f"{module}.test_deadlock")):
        pytest.skip(f"this Python does not ship test.{module}")

    count, differ, _ = peers.compare(cpython.suite(module, PARTS[module], LIMIT))

    assert count > 5
    assert differ == []
