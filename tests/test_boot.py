"""Start-up: the opt-out, the finder, the loader, flags and hostile environments."""

from __future__ import annotations

import os
import sys

import pytest

from tests import programs

POOL = """
from concurrent.futures import ProcessPoolExecutor

def work(x):
    return 1 / x

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        pool.submit(work, 0).result()
"""


@pytest.mark.parametrize("value", ["0", "off", "False", "NO"])
def test_the_opt_out_imports_nothing_of_ours(run, value):
    ran = run(
        "import sys\nprint([m for m in sys.modules if m.startswith('autotb')], sys.excepthook is sys.__excepthook__)\n",
        autotb=value,
    )

    assert ran.stdout == "[] True\n"


@pytest.mark.parametrize(
    "code", [POOL, "1 / 0\n", "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()\n"]
)
def test_opted_out_a_program_prints_what_python_prints_byte_for_byte(run, code, tmp_path):
    ours = run(code, autotb="0")
    bare = run(code, autotb="0", command=[sys.executable, "-S"])

    assert ours.stderr == bare.stderr
    assert (ours.status, ours.stdout) == (bare.status, bare.stdout)


def test_start_up_imports_little(run):
    ran = run(
        "import sys\nprint([m for m in ('sitecustomize', 'autotb.import_hook', 'autotb.engine_facts', 'rich') if m in sys.modules])\n"
    )

    assert ran.stdout in ("[]\n", "['sitecustomize', 'autotb.import_hook']\n")  # Debian's asks for its crash reporter


def test_an_engine_brings_neither_rich_nor_the_failing_path(run):
    ran = run(
        """
        import sys
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(1) as pool:
            pool.submit(int).result()
        print(*sorted(m for m in sys.modules if m.startswith(("autotb", "rich"))), sep="\\n")
        """
    )

    assert ran.stdout.split() == [
        "autotb",
        "autotb._triggers",
        "autotb.assumption",
        "autotb.boot",
        "autotb.engine_facts",
        "autotb.engines",
        "autotb.engines.futures",
        "autotb.engines.threads",
        "autotb.first_use",
        "autotb.import_hook",
        "autotb.imports",
        "autotb.instrument",
        "autotb.instrument.code_swap",
        "autotb.instrument.delivery",
        "autotb.instrument.exception_wrappers",
        "autotb.instrument.executor_internals",
        "autotb.instrument.patch",
        "autotb.own_finder",
        "autotb.record",
        "autotb.record.callsite",
        "autotb.record.ownership",
        "autotb.record.static",
        "autotb.runtime",
        "autotb.surface",
    ]


@pytest.mark.parametrize(
    "flags, on",
    [
        (["-I"], True),
        (["-E"], True),
        (["-s"], True),
        (["-S"], False),
        (["-O"], True),
        (["-OO"], True),
        (["-bb"], True),
        (["-X", "dev"], True),
        (["-W", "error"], True),
        (["-v"], True),
    ],
)
def test_flags(run, flags, on):
    ran = run(POOL, command=[sys.executable, *flags])

    assert ran.status == 1
    assert ("╭" in ran.stderr) == on
    assert "ZeroDivisionError: division by zero" in ran.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="-P is new in 3.11")
def test_safe_path(run):
    assert "╭" in run(POOL, command=[sys.executable, "-P"]).stderr


def test_warnings_as_errors_in_the_environment(run):
    assert run(POOL, PYTHONWARNINGS="error").last == "ZeroDivisionError: division by zero"


LOADER = """
import importlib, importlib.util, inspect, pickle, sys
spec = importlib.util.find_spec("concurrent.futures.thread")
print(type(spec.loader).__name__, isinstance(spec.loader, importlib.machinery.SourceFileLoader))
print(spec.loader.get_source("concurrent.futures.thread") is not None, spec.loader.is_package("concurrent.futures.thread"))
print(spec.loader == pickle.loads(pickle.dumps(spec.loader)))
import concurrent.futures.thread as module
print(type(module.__loader__).__module__, type(module.__spec__.loader).__module__)
print(inspect.getsource(module.ThreadPoolExecutor)[:5])
before = module.ThreadPoolExecutor.submit
module = importlib.reload(module)
print(module.ThreadPoolExecutor.submit.__code__.co_name, module.ThreadPoolExecutor.submit is before)
"""


def test_the_loader_passes_for_the_real_one_and_takes_itself_off(run):
    ran = run(LOADER)

    assert ran.stdout.splitlines() == [
        "Loader True",
        "True False",
        "True",
        "_frozen_importlib_external _frozen_importlib_external",
        "class",
        "<autotb> False",
    ], ran.stderr


def test_an_adapter_that_cannot_be_loaded_breaks_no_import(run):
    ran = run(
        """
        import sys
        sys.modules["autotb.engines.futures"] = None
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(1) as pool:
            print(pool.submit(int).result())
        """
    )

    assert ran.stdout == "0\n"
    assert ran.lines[0].startswith("autotb: loading autotb.engines.futures failed (")
    assert len(ran.lines) == 1


def test_running_an_engines_module_with_runpy(tmp_path):
    ran = programs.start([sys.executable, "-m", "concurrent.futures.thread"], tmp_path)

    assert ran.status == 0
    assert ran.stderr == ""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs the interpreters module of 3.12 and later")
def test_a_sub_interpreter_starts(run):
    ran = run(
        """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        ident = interpreters.create()
        interpreters.run_string(ident, "import sys; print(sys.excepthook is not sys.__excepthook__, flush=True)")
        """
    )

    assert ran.stdout == "True\n", ran.stderr


def test_a_zipapp(run, tmp_path):
    import zipapp

    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text("def main():\n    1 / 0\n\n\nmain()\n")
    zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz")

    ran = programs.start([sys.executable, "app.pyz"], tmp_path, AUTOTB_STYLE="rich")

    assert ran.last == "ZeroDivisionError: division by zero"
    assert [head.partition(" in ")[2] for head in ran.heads] == ["<module>", "main"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_imports_us_hangs_nothing(run):
    ran = run(
        """
        import os, sys, threading, time
        import concurrent.futures.thread
        from autotb import import_hook  # as every engine's import does

        import _frozen_importlib

        def hold():  # what a thread does that is in the middle of importing the module
            with _frozen_importlib._ModuleLockManager("autotb.record.build"):
                entered.set()
                time.sleep(60)

        entered = threading.Event()
        threading.Thread(target=hold, daemon=True).start()
        entered.wait()
        child = os.fork()
        if child == 0:
            import autotb.record.build
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        timeout=30,
    )

    assert ran.stdout == "7\n", ran.stderr


FOLDERS = """
import os, sys
looked, opened = [], []

def hook(event, args):
    if event == "os.listdir" and "autotb" in str(args[0]) and looked is not None:
        looked.append(args[0])
    if event == "open" and type(args[0]) is str and os.sep + "autotb" + os.sep in args[0] and not args[2] & os.O_CREAT:
        opened.append(args[0])

sys.addaudithook(hook)
before = set(sys.modules)
import asyncio
print(sorted(name for name in set(sys.modules) - before if name.startswith("autotb")))
from concurrent.futures import ProcessPoolExecutor
asyncio.new_event_loop().close()
from autotb import collect
ours = {name: module for name, module in list(sys.modules.items()) if name.startswith("autotb.")}
new = set(ours) - before
print(looked, len(new) > 20, len(new) <= len(opened) <= 2 * len(new), len(opened) == len(set(opened)))
plain = type(sys.modules["autotb"].__loader__)
for name, module in ours.items():
    loader = module.__spec__.loader
    assert type(loader) is plain and vars(loader) == {"name": name, "path": module.__file__}, (name, vars(loader))
    assert module.__loader__ is loader and module.__spec__.origin == module.__file__ and module.__spec__.cached, name
    assert loader.get_source(name) == open(module.__file__, encoding="utf-8").read(), name
    assert hasattr(module, "__path__") == (os.path.basename(module.__file__) == "__init__.py"), name
"""


@pytest.mark.parametrize("written", ["1", "0"])
def test_files_of_ours_are_found_without_looking_through_folders(run, written):
    """Each is opened once (and its .pyc once), which is felt where they are on another machine; asyncio alone needs no adapter."""
    ran = run(FOLDERS, **({} if written == "1" else {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "nowhere"}))

    early = [name for name in ("autotb._triggers", "autotb.first_use", "autotb.import_hook") if name in ran.stdout]
    assert (ran.stdout, ran.stderr) == (f"{early}\n[] True True True\n", "")


ELSEWHERE = """
import importlib.abc, importlib.machinery, sys
sys.path_importer_cache.clear()

class Notes(importlib.abc.MetaPathFinder):  # as tools do that look at what is imported, and may change it
    def find_spec(self, name, path=None, target=None):
        if name.startswith("autotb.engines."):
            print(name)

sys.meta_path.insert(0, Notes())
import multiprocessing.pool
"""


def test_finders_that_stand_before_the_usual_one_see_files_of_ours(run):
    assert "autotb.engines.multiprocessing\n" in run(ELSEWHERE).stdout
