"""Start-up, in instructions: a bare interpreter, one with autotb, one with autotb switched off; with .pyc files and without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from benchmarks.measure import Row, exact, instructions

ROOT = Path(__file__).resolve().parent.parent
PASS = ["-c", "pass"]
IMPORTS = ["-c", "import json, argparse, logging, concurrent.futures"]
SCRIPTS = (("start-up, python -c pass", PASS, 1.08), ("start-up, json argparse logging concurrent.futures", IMPORTS, 1.05))


def rows() -> list[Row]:
    """The start-up budgets.  The first two of each script fail CI; without .pyc files there is no budget, only the number."""
    result = []
    with tempfile.TemporaryDirectory(prefix="autotb-bench-") as folder:
        python, site = _environment(Path(folder))
        alone = _without_a_distributions_own(Path(folder), python)
        pth = site / "autotb.pth"
        hidden = site / "autotb.pth.off"
        for what, script, limit in SCRIPTS:
            for compiled in (True, False):
                environment = {**_compiled(site, python, compiled), **alone}
                with_it = instructions([python, *script], environment)
                off = instructions([python, *script], {**environment, "AUTOTB": "0"})
                pth.rename(hidden)
                bare = instructions([python, *script], environment)
                hidden.rename(pth)
                if compiled:
                    result.append(exact(what, with_it, bare, limit))
                    result.append(exact(f"{what}, AUTOTB=0", off, bare, 1.02))
                else:
                    result.append(exact(f"{what}, no .pyc of autotb's", with_it, bare, 1.6))
    return result


def _environment(folder: Path) -> tuple[str, Path]:
    """A fresh virtual environment with a wheel of this checkout, without its dependencies: start-up needs none."""
    venv.create(folder / "env", with_pip=False)
    python = str(folder / "env" / "bin" / "python")
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "env"), "platbase": str(folder / "env")}))
    shutil.copytree(ROOT / "autotb", site / "autotb", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "autotb.pth", site)
    if sys.version_info >= (3, 12):
        # These import a codec for the first .pth file of an environment, whosever it is; nearly every environment has one.
        (site / "other.pth").write_text("# nothing\n", encoding="utf-8")
    return python, site


def _without_a_distributions_own(folder: Path, python: str) -> dict[str, str]:
    """Debian's and Ubuntu's Python may import ``apport_python_hook``, which sets a hook of its own: another program than this."""
    said = subprocess.run(
        [python, "-c", "import sys; print('sitecustomize' in sys.modules)"], capture_output=True, text=True, check=True
    )
    if said.stdout.strip() == "False":
        return {}
    (folder / "quiet").mkdir()
    (folder / "quiet" / "sitecustomize.py").write_text("", encoding="utf-8")
    subprocess.run([python, "-m", "compileall", "-q", str(folder / "quiet")], check=True, env=dict(os.environ, AUTOTB="0"))
    return {"PYTHONPATH": str(folder / "quiet")}


def _compiled(site: Path, python: str, compiled: bool) -> dict[str, str]:
    for cache in (site / "autotb").rglob("__pycache__"):
        shutil.rmtree(cache)
    if compiled:
        subprocess.run([python, "-m", "compileall", "-q", str(site / "autotb")], check=True, env=dict(os.environ, AUTOTB="0"))
    return {"PYTHONDONTWRITEBYTECODE": "1"}


if __name__ == "__main__":
    found = rows()
    sys.stdout.write("\n".join(map(str, found)) + "\n")
    sys.exit(any(not row.ok for row in found))
