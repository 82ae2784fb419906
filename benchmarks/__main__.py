"""``python -m benchmarks``: every budget in one table; exit status 1 if one is broken.

``--engines [NAME …]`` measures the engines that are installed instead, one row each.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
import tempfile

from benchmarks import arriving, engines, failing, flow, hotpath, startup


def main() -> int:
    """Print the table that the README quotes."""
    if "--engines" in sys.argv:
        return _engines(sys.argv[sys.argv.index("--engines") + 1 :])
    rows = [*startup.rows(), *hotpath.rows(), *failing.rows(), *arriving.rows(), *flow.rows()]
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    sys.stdout.write(
        f"{today}, CPython {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores\n"
    )
    sys.stdout.write("\n".join(map(str, rows)) + "\n")
    return int(any(not row.ok for row in rows))


def _engines(names: list[str]) -> int:
    broken = 0
    with tempfile.TemporaryDirectory(prefix="autotb-benchmarks-", ignore_cleanup_errors=True) as folder:
        for row in engines.rows(names, folder):
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
            broken += not row.ok
    if not names:
        for row in hotpath.engine_rows():
            sys.stdout.write(f"{row}\n")
            broken += not row.ok
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
