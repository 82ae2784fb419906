"""``python -m autotb``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns its exit status."""
    from autotb.cli import run_command

    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
