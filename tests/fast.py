"""``python -m tests.fast``: the tests that need no heavy engine, within two minutes on two cores; what follows goes to pytest."""

from __future__ import annotations

import subprocess
import sys

FILES = (
    "tests/test_architecture.py",
    "tests/test_behaviours.py",
    "tests/test_boot.py",
    "tests/test_callsite.py",
    "tests/test_carrier.py",
    "tests/test_intake.py",
    "tests/test_look.py",
    "tests/test_redaction.py",
    "tests/test_shipped.py",
    "tests/test_summary.py",
    "tests/engines/test_asyncio.py",
    "tests/engines/test_threads_and_processes.py",
    "tests/flow/test_map.py",
    "tests/futures/test_collect.py",
    "tests/hooks/test_hooks.py",
    "tests/trace/test_text.py",
)


def main() -> int:
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadscope", *FILES, *sys.argv[1:]]
    return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main())
