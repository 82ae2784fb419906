"""``python -m autotb``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns its exit status."""
    try:
        from autotb.cli import run_command
    except Exception as error:
        return _broken(error)
    return run_command(sys.argv[1:])


def _broken(error: Exception) -> int:
    """The command line itself is not whole."""
    from autotb.cli import checkup

    return checkup.tell([*checkup.installation(), f"the command line cannot be loaded ({type(error).__name__}: {error})"])


if __name__ == "__main__":
    sys.exit(main())
