"""``python -m tests.shadowing [--jobs N] [NAME …]``: programs whose files are named like modules that the failing path imports.

Each name is tried as the script itself and as a file beside it, in every program: with autotb the file must run as often as
without, and the program must end as it does without.  The tests try all names at once, and a few of them alone.
Exit status 1 if a name fails.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import programs

#: What rich and the standard library look for and do without, beside what they need.
OTHERS = {
    "rich",
    "pygments",
    "markdown_it",
    "mdurl",
    "attr",
    "IPython",
    "ipywidgets",
    "typing_extensions",
    "exceptiongroup",
    "tomli",
}
NAMES = sorted(
    (sys.stdlib_module_names | OTHERS) - {"__future__", "sitecustomize", "usercustomize"} - set(sys.builtin_module_names)
)

PROGRAMS = {
    "plain": "def f():\n    return 1 / 0\n\nf()\n",
    "thread": """
import threading
t = threading.Thread(target=lambda: 1 / 0)
t.start()
t.join()
""",
    "process": """
import multiprocessing

def work():
    return {}["x"]

if __name__ == "__main__":
    p = multiprocessing.Process(target=work)
    p.start()
    p.join()
""",
    "futures": """
from concurrent.futures import ProcessPoolExecutor

def work(x):
    return 1 / x

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        pool.submit(work, 0).result()
""",
    "pool": """
import multiprocessing

def work(x):
    return 1 / x

if __name__ == "__main__":
    with multiprocessing.Pool(1) as pool:
        pool.map(work, [0])
""",
    "asyncio": """
import asyncio

async def work(x):
    return 1 / x

async def main():
    task = asyncio.ensure_future(work(0))
    await asyncio.sleep(0)
    await asyncio.gather(task)

asyncio.run(main())
""",
}
STYLES = {
    "rich": {"AUTOTB_STYLE": "rich", "FORCE_COLOR": "1"},
    "plain": {"AUTOTB_STYLE": "plain"},
    "json": {"AUTOTB_STYLE": "json"},
}

#: A file of the user's that says that it runs, and is otherwise the library's module of its name, where there is one.
STAND_IN = """
import sys
with open(__file__.rpartition("/")[0] + "/log", "a") as log:
    log.write(__name__ + "\\n")
here = __file__.rpartition("/")[0]
external, bootstrap = sys.modules["_frozen_importlib_external"], sys.modules["_frozen_importlib"]
spec = external.PathFinder.find_spec(__name__, [entry for entry in sys.path if entry not in ("", here)])
if spec is None:
    raise ModuleNotFoundError(f"No module named {__name__!r}", name=__name__)
module = sys.modules[__name__] = bootstrap.module_from_spec(spec)
spec.loader.exec_module(module)
"""
ENDS_ALL = """
with open(__file__.rpartition("/")[0] + "/log", "a") as log:
    log.write(__name__ + "\\n")
__import__("posix")._exit(0)
"""


def beside(folder: Path, names: list[str], text: str) -> None:
    for name in names:
        (folder / f"{name}.py").write_text(text)


def run(folder: Path, script: str, autotb: str = "1", **env: str) -> tuple[int, list[str], programs.Ran]:
    """How the program ended, and which files of the user's ran."""
    log = folder / "log"
    log.unlink(missing_ok=True)
    ran = programs.start([sys.executable, script], folder, autotb=autotb, PYTHONDONTWRITEBYTECODE="1", **env)
    return ran.status, sorted(log.read_text().split()) if log.exists() else [], ran


def differs(folder: Path, script: str, **env: str) -> str:
    """What is other with autotb than without; empty where nothing is."""
    status, ran_files, with_it = run(folder, script, **env)
    bare_status, bare_files, bare = run(folder, script, autotb="0")
    # From 3.13 on Python's own printer imports while it prints: it is the bare run, then, that ran the user's file and was ended.
    if status != bare_status and not set(bare_files) - set(ran_files):
        return f"ended with {status}, without autotb with {bare_status}:\n{with_it.stderr}"
    more = Counter(ran_files) - Counter(bare_files)  # Python itself imports some for a traceback that it writes
    if more:
        return f"ran {sorted(more)} more often than without autotb:\n{with_it.stderr}"
    shown = {"rich": "╭", "plain": "Traceback", "json": '"hops"'}[env["AUTOTB_STYLE"]]
    if (bare_status or bare.stderr) and (shown not in with_it.stderr or re.search("^autotb: ", with_it.stderr, re.M)):
        return f"is not told in the style {env['AUTOTB_STYLE']}:\n{with_it.stderr}"
    return ""


def alone(name: str, kind: str) -> str:
    """One name, as the script and as a file beside it."""
    found = ""
    mark = 'with open(__file__.rpartition("/")[0] + "/log", "a") as log:\n    log.write(__name__ + "\\n")\n'
    with tempfile.TemporaryDirectory(prefix="autotb-shadowing-") as top:
        for way in ("script", "beside"):
            folder = Path(top) / way
            folder.mkdir()
            script = f"{name}.py" if way == "script" else "main_program.py"
            (folder / script).write_text(mark + PROGRAMS[kind])
            if way == "beside":
                beside(folder, [name], ENDS_ALL)
            difference = differs(folder, script, **STYLES["rich"])
            if difference:
                found += f"{name} as {way}, {kind}: {difference}\n"
    return found


def main() -> int:
    """Every name in every program; what differs is printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.shadowing", description=__doc__)
    parser.add_argument("names", nargs="*", help="names to try (default: all)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--program", choices=PROGRAMS, action="append", help="programs to run (default: all)")
    options = parser.parse_args()
    cases = [(name, kind) for name in options.names or NAMES for kind in options.program or PROGRAMS]
    with ThreadPoolExecutor(options.jobs) as pool:
        found = [text for text in pool.map(lambda case: alone(*case), cases) if text]
    sys.stdout.write("".join(found) + f"{len(cases)} cases, {len(found)} differ\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
