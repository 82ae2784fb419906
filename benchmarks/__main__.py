"""``python -m benchmarks``: every budget in one table; exit status 1 if one is broken.  ``--engines`` adds Ray and Parsl."""

from __future__ import annotations

import datetime
import os
import platform
import sys

from benchmarks import failing, hotpath, startup


def main() -> int:
    """Print the table that the README quotes."""
    rows = [*startup.rows(), *hotpath.rows(), *failing.rows()]
    if "--engines" in sys.argv:
        rows += hotpath.engine_rows()
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    sys.stdout.write(
        f"{today}, CPython {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores\n"
    )
    sys.stdout.write("\n".join(map(str, rows)) + "\n")
    return int(any(not row.ok for row in rows))


if __name__ == "__main__":
    sys.exit(main())
