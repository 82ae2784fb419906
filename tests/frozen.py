"""``python -m tests.frozen [WAY…]``: a program in every packing that can be had here, with autotb and without.

Flows in: the checkout, and PyInstaller, pex, shiv and Nuitka as uv brings them.  Flows out: a line for each way; exit status 1 if in one the
error of a worker is not drawn, or ``AUTOTB=0`` is not plain Python.  Takes minutes; a missing tool is told and skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipapp
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT = 900  # seconds to pack
PROGRAM = """
import autotb
autotb.install()
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

def ratio(clicks, views):
    return clicks / views

def main():
    multiprocessing.freeze_support()
    print("it runs", flush=True)
    with ProcessPoolExecutor(1) as pool:
        pool.submit(ratio, 1, views=0).result()

if __name__ == "__main__":
    main()
"""


def pyinstaller(folder: Path, *options: str) -> list[str]:
    """Packs ``app.py`` by PyInstaller, which learns of autotb by its entry point."""
    python = _environment(folder, "pyinstaller")
    command = [python, "-m", "PyInstaller", "--log-level", "ERROR", "--noconfirm", *options, "app.py"]
    _run(command, folder)
    return [str(folder / "dist" / "app")] if "--onefile" in options else [str(folder / "dist" / "app" / "app")]


def onedir(folder: Path) -> list[str]:
    return pyinstaller(folder, "--onedir")


def onefile(folder: Path) -> list[str]:
    return pyinstaller(folder, "--onefile")


def zipped(folder: Path) -> list[str]:
    """A zipapp with all that autotb needs in it."""
    _installed(folder / "app")
    shutil.copy(folder / "app.py", folder / "app" / "__main__.py")
    zipapp.create_archive(folder / "app", folder / "app.pyz")
    return [_bare_python(folder), str(folder / "app.pyz")]


def pex(folder: Path) -> list[str]:
    _uv("build", "-q", "--wheel", "--out-dir", str(folder / "wheels"), str(ROOT), cwd=folder)
    wheel = str(next((folder / "wheels").glob("*.whl")))
    (folder / "source").mkdir()
    shutil.copy(folder / "app.py", folder / "source")
    _tool("pex", "pex", wheel, "-D", "source", "-e", "app:main", "-o", "app.pex", "--python", _bare_python(folder), cwd=folder)
    return [_bare_python(folder), str(folder / "app.pex")]


def shiv(folder: Path) -> list[str]:
    _installed(folder / "site")
    shutil.copy(folder / "app.py", folder / "site")
    _tool("shiv", "shiv", "--site-packages", "site", "-e", "app:main", "-o", "app.shiv", cwd=folder)
    return [_bare_python(folder), str(folder / "app.shiv")]


def nuitka(folder: Path) -> list[str]:
    python = _environment(folder, "nuitka")
    command = [python, "-m", "nuitka", "--standalone", "--assume-yes-for-downloads", "--quiet", "--include-package=autotb"]
    _run([*command, "--include-package=rich", "--output-dir=out", "app.py"], folder)
    return [str(folder / "out" / "app.dist" / "app.bin")]


WAYS: dict[str, Callable[[Path], list[str]]] = {
    "pyinstaller-onedir": onedir,
    "pyinstaller-onefile": onefile,
    "zipapp": zipped,
    "pex": pex,
    "shiv": shiv,
    "nuitka": nuitka,
}


def problems_of(command: list[str], folder: Path) -> list[str]:
    """Runs a packed program with autotb and with ``AUTOTB=0``."""
    drawn, bare = (_started(command, folder, switch) for switch in ("1", "0"))
    found = []
    for name, ran in (("with autotb", drawn), ("under AUTOTB=0", bare)):
        if ran.returncode != 1 or ran.stdout != "it runs\n" or "ZeroDivisionError: division by zero\n" not in ran.stderr:
            found.append(f"{name} it ends with {ran.returncode}: {ran.stdout} {ran.stderr}")
    signs = ("╭", "ratio(clicks=1, views=0)", "in a process-pool worker", "submitted at")
    found += [f"what is drawn lacks {sign!r}: {drawn.stderr}" for sign in signs if sign not in drawn.stderr]
    if "_base.py" in drawn.stderr:
        found.append(f"an engine's frame is drawn: {drawn.stderr}")
    if "autotb: " in drawn.stderr + bare.stderr or "╭" in bare.stderr:
        found.append(f"a word too much: {drawn.stderr} {bare.stderr}")
    return found


def pack(way: str, folder: Path) -> list[str]:
    """The command that starts the packed program."""
    (folder / "app.py").write_text(PROGRAM)
    return WAYS[way](folder)


def _started(command: list[str], folder: Path, switch: str) -> subprocess.CompletedProcess[str]:
    (folder / "elsewhere").mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOTB", "PYTHON", "PEX", "SHIV"))}
    env = {**kept, "AUTOTB": switch, "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1", "COLUMNS": "100", "HOME": str(folder)}
    return subprocess.run(
        command, cwd=folder / "elsewhere", env=env, capture_output=True, encoding="utf-8", errors="replace", timeout=200
    )


def _environment(folder: Path, *packages: str) -> str:
    """An environment with autotb, not editable, and a packer."""
    python = _bare_python(folder)
    _uv("pip", "install", "-q", "--python", python, str(ROOT), *packages, cwd=folder)
    return python


def _bare_python(folder: Path) -> str:
    """An interpreter without autotb."""
    if not (folder / "env").exists():
        _uv("venv", "-q", "--python", sys.executable, str(folder / "env"), cwd=folder)
    return str(folder / "env" / "bin" / "python")


def _installed(target: Path) -> None:
    _uv("pip", "install", "-q", "--python", sys.executable, "--target", str(target), str(ROOT), cwd=target.parent)


def _tool(package: str, *command: str, cwd: Path) -> None:
    _uv("tool", "run", "-q", "--python", sys.executable, "--from", package, *command, cwd=cwd)


def _uv(*arguments: str, cwd: Path) -> None:
    _run([sys.executable, "-m", "uv", *arguments], cwd)


def _run(command: list[str], folder: Path) -> None:
    env = {**{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}, "AUTOTB": "0"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def main() -> int:
    status = 0
    for way in sys.argv[1:] or WAYS:
        with tempfile.TemporaryDirectory(prefix="autotb-frozen-", ignore_cleanup_errors=True) as name:
            try:
                command = pack(way, Path(name))
            except (RuntimeError, subprocess.TimeoutExpired, OSError) as error:
                print(f"{way}: cannot be packed here: {error}", flush=True)
                continue
            found = problems_of(command, Path(name))
        print(f"{way}: {'right' if not found else ''.join(chr(10) + '  ' + line for line in found)}", flush=True)
        status |= bool(found)
    return int(status)


if __name__ == "__main__":
    raise SystemExit(main())
