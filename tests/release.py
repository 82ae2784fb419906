"""``python -m tests.release``: builds the distributions and lets the tools of the trade look at them, each run by uv as it is today.

Flows in: the checkout.  Flows out: what twine, check-wheel-contents, pyroma and pyright say; exit status 1 if one objects.  pyroma
wants a URL and an author's e-mail too: the project has no public home yet, and tells none.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEAST = 8  # of pyroma's 10


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "build", "--outdir", folder, str(ROOT)], check=True, stdout=subprocess.DEVNULL)
        made = [str(path) for path in sorted(Path(folder).iterdir())]
        wheel = next(name for name in made if name.endswith(".whl"))
        sdist = next(name for name in made if name.endswith(".tar.gz"))
        failed = [
            _run("twine", "check", "--strict", *made),
            _run("check-wheel-contents", wheel),
            _run("pyroma", "--min", str(LEAST), "--file", sdist),
            _types(Path(folder)),
        ]
    return int(any(failed))


def _types(folder: Path) -> int:
    """The sample program of the tests under pyright, which is a Node program."""
    from tests import test_types

    (folder / "good.py").write_text(test_types.GOOD)
    return _run("pyright", "--pythonpath", sys.executable, str(folder / "good.py"))


def _run(tool: str, *arguments: str) -> int:
    print(f"== {tool}", flush=True)
    return subprocess.run([sys.executable, "-m", "uv", "tool", "run", "-q", "--from", tool, tool, *arguments]).returncode


if __name__ == "__main__":
    raise SystemExit(main())
