"""``python -m tests.constraints``: writes ``constraints.txt``, one version of every package that the tests' extras bring.

Flows in: the extras of ``pyproject.toml`` and what the package index has today.  Flows out: ``constraints.txt``, for all the Pythons
that the tests run on.  pip resolves the extras from scratch for longer than half an hour; with one version of each it has nothing to try.
``--upgrade`` takes the newest versions; without it, what is pinned stays where it can.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILE = ROOT / "constraints.txt"
EXTRAS = ("test", "engines", "heavy", "dev")

#: Versions that the newest of which would not do, each with its reason.
HELD = {
    "jsonschema": "<4.25",  # from there on Jupyter's extra of it builds a grammar of URIs, three seconds, in each process of Ray's
    "torch": "==2.13.0",  # the newest that is tested: the README's table of engines names it
}

#: PyTorch's own requirements where it is built for CUDA: it pins them itself, and its CPU build has none of them.
_OF_CUDA = re.compile(r"(nvidia|cuda)-|triton==")

HEADER = """\
# One version of every package that the tests' extras bring, on the Pythons that the tests run on:
#     pip install -c constraints.txt -e ".[test,engines,heavy]"
# Written by `python -m tests.constraints --upgrade`; not edited by hand.  autotb itself has no upper bounds.
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        held, made = Path(folder, "held.txt"), Path(folder, "constraints.txt")
        held.write_text("".join(f"{name}{version}\n" for name, version in HELD.items()))
        if "--upgrade" not in sys.argv and FILE.exists():
            made.write_text(FILE.read_text())  # uv keeps what its output file pins already
        extras = [word for extra in EXTRAS for word in ("--extra", extra)]
        command = ["uv", "pip", "compile", "-q", str(ROOT / "pyproject.toml"), *extras, "-c", str(held), "-o", str(made)]
        command += ["--universal", "--python-version", "3.10", "--no-annotate", "--no-header", "--no-emit-index-url"]
        status = subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode
        if status:
            return status
        pins = [line for line in made.read_text().splitlines() if line[:1] not in ("", "#", "-") and not _OF_CUDA.match(line)]
    FILE.write_text(HEADER + "\n".join(pins) + "\n")
    print(f"{FILE.name}: {len(pins)} lines")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
