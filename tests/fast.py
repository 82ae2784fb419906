"""``python -m tests.fast``: the tests that need no heavy engine, within two minutes on two cores; what follows goes to pytest."""

from __future__ import annotations

import subprocess
import sys

FILES = (
    "tests/record",
    "tests/trace/test_parse_traceback.py",
    "tests/test_architecture.py",
    "tests/test_behaviours.py",
    "tests/test_boot.py",
    "tests/engines/test_asyncio.py",
    "tests/engines/test_threads_and_processes.py",
    "tests/flow/test_map.py",
    "tests/futures/test_collect.py",
    "tests/hooks/test_hooks.py",
)


def main() -> int:
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadscope", *FILES, *sys.argv[1:]]
    return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main())
