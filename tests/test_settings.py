"""Every setting, in the environment and in pyproject.toml, in every spelling: what counts is its effect in a real program."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from autotb import settings
from tests import programs

PACKAGE = Path(settings.__file__).parent
ON, OFF = ("1", "true", "yes", "on", "TRUE"), ("0", "false", "no", "off", "Off")
PLACES = ("environment", "pyproject.toml")

#: Runs ``effect`` once a case, each in a process of its own that has asked for no setting yet, and prints what it wrote.
FRAME = """
import gc, json, os, sys, tempfile
try:
    import autotb.hooks.excepthook, autotb.render.panels  # once for all; what they hold asks for no setting yet
except ImportError:
    pass
HERE = os.path.dirname(os.path.abspath(__file__))

def show(error):
    sys.excepthook(type(error), error, error.__traceback__)

EFFECT

def one(case):
    name, place, text = case
    more = MORE
    if place == "environment":
        os.environ["AUTOTB_" + name.upper()] = text
        table = more
    else:
        table = {**more, name: text}
    with open(os.path.join(HERE, "pyproject.toml"), "w") as file:
        file.write("[tool.autotb]\\n" + "".join(f"{key} = {json.dumps(value)}\\n" for key, value in table.items()))
    out = tempfile.TemporaryFile()
    child = os.fork()
    if not child:
        try:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            effect()
            gc.collect()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    os.waitpid(child, 0)
    os.environ.pop("AUTOTB_" + name.upper(), None)
    out.seek(0)
    return out.read().decode()

if __name__ == "__main__":
    print(json.dumps([one(case) for case in json.loads(sys.argv[1])]))
"""

FAILS = """
def leaf(x):
    secret_count = 41
    return x / 0

def effect():
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(leaf, 7777).result()
        except Exception as error:
            show(error)
"""
IN_A_LIBRARY = """
def effect():
    import json
    try:
        json.loads("{")
    except Exception as error:
        show(error)
"""
RESCUED = """
class Two(Exception):
    def __init__(self, a, b):
        super().__init__(a)

def leaf():
    raise Two(1, 2)

def effect():
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(1) as pool:
        print(type(pool.submit(leaf).exception()).__name__)
"""
DROPPED = """
def leaf():
    return 1 / 0

def effect():
    from concurrent.futures import ThreadPoolExecutor
    pool = ThreadPoolExecutor(1)
    future = pool.submit(leaf)
    pool.shutdown()
    del future
"""
DIES = """
def leaf():
    os._exit(3)

def effect():
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(leaf).result()
        except Exception as error:
            show(error)
"""
LOGGED = """
def leaf():
    return 1 / 0

def effect():
    import logging
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(leaf).result()
        except Exception:
            logging.exception("it failed")
"""
KEPT = """
def leaf(x):
    return x / 0

def effect():
    import shutil
    from concurrent.futures import ProcessPoolExecutor
    shutil.rmtree(os.path.join(HERE, "kept"), ignore_errors=True)
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(leaf, 3).result()
        except Exception as error:
            show(error)
    print("files:", *(name for _, _, names in os.walk(os.path.join(HERE, "kept")) for name in names))
"""
LOGGING_WORKER = """
def leaf(x):
    os.kill(os.getpid(), 9) if x else None

def effect():
    import shutil
    from concurrent.futures import ProcessPoolExecutor
    shutil.rmtree(os.path.join(HERE, "kept"), ignore_errors=True)
    with ProcessPoolExecutor(1) as pool:
        pool.submit(leaf, 0).result()
        try:
            pool.submit(leaf, 1).result()
        except Exception as error:
            show(error)
    print("files:", *(name for _, _, names in os.walk(os.path.join(HERE, "kept")) for name in names))
"""
UNAWAITED = """
async def leaf():
    return 1 / 0

async def main():
    import asyncio
    task = asyncio.create_task(leaf())
    await asyncio.sleep(0.01)
    del task
    gc.collect()

def effect():
    import asyncio
    asyncio.run(main())
"""

TRACED = """
def leaf(x):
    return x / 0

def effect():
    import traceback
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(leaf, 3).result()
        except Exception as error:
            print("frames:", *(frame.name for frame in traceback.extract_tb(error.__traceback__)))
"""

#: setting: the program, settings beside it, and by value what its output has, or has not ("!…").
EFFECTS = {
    "style": (FAILS, {}, {"rich": "╭", "plain": "Traceback (most", "json": '"schema"', "auto": "ZeroDivisionError"}),
    "frames": (IN_A_LIBRARY, {"style": "plain"}, {"all": "_default_decoder.decode(s)", "user": "!_default_decoder.decode(s)"}),
    "context": (FAILS, {"style": "rich"}, {"0": "!secret_count = 41", "3": "secret_count = 41"}),
    "args": (FAILS, {"style": "rich"}, {"1": "x=7777", "0": "!x=7777"}),
    "locals": (FAILS, {"style": "rich"}, {"1": "x = 7777", "0": "!x = 7777"}),
    "rescue": (RESCUED, {}, {"1": "Two", "0": "!Two"}),
    "unretrieved": (DROPPED, {}, {"1": "never retrieved", "0": "!never retrieved"}),
    "postmortem": (DIES, {"style": "plain"}, {"1": "[leaf()]", "0": "!leaf()]"}),
    "logging": (LOGGED, {}, {"1": "!_RemoteTraceback", "0": "_RemoteTraceback"}),
    "dir": (KEPT, {}, {"HERE/kept": ".json", "": "!.json"}),
    "keep_inputs": (KEPT, {"dir": "HERE/kept"}, {"1": ".inputs", "0": "!.inputs"}),
    "worker_log": (LOGGING_WORKER, {"style": "plain"}, {"HERE/kept": "log is HERE/kept/worker-", "": "!log is"}),
    "traceback": (TRACED, {}, {"1": "__get_result leaf", "0": "!leaf"}),
    "asyncio": (UNAWAITED, {"style": "rich"}, {"1": "created at", "0": "!created at"}),
}


def spellings(name: str, value: str) -> tuple[str, ...]:
    if name != "context" and value in ("1", "0"):
        return ON if value == "1" else OFF
    return (value, value.upper()) if value.isalpha() else (value,)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="the program forks")
@pytest.mark.on_main()
@pytest.mark.parametrize("name", EFFECTS)
def test_a_setting_has_its_effect_from_both_places_in_every_spelling(name, tmp_path):
    effect, more, values = EFFECTS[name]
    here = str(tmp_path)
    wanted = {value.replace("HERE", here): sign.replace("HERE", here) for value, sign in values.items()}
    cases = [(name, place, text, sign) for place in PLACES for value, sign in wanted.items() for text in spellings(name, value)]
    code = FRAME.replace("EFFECT", effect).replace("MORE", repr({key: text.replace("HERE", here) for key, text in more.items()}))
    ran = programs.run(tmp_path, code, json.dumps([case[:3] for case in cases]), COLUMNS="200")

    assert ran.status == 0, ran.stderr
    for case, shown in zip(cases, json.loads(ran.stdout), strict=True):
        sign = case[3]
        assert (sign[1:] not in shown) if sign[0] == "!" else (sign in shown), (case, shown)


def test_every_setting_is_tried():
    assert set(EFFECTS) | {"noise"} == set(settings.OPTIONS)


NOISY = """
def leaf():
    return 1 / 0

def effect():
    from distributed import Client
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        try:
            client.submit(leaf).result()
        except ZeroDivisionError:
            pass
"""


@pytest.mark.on_main()
def test_noise_is_kept_from_both_places(tmp_path):
    pytest.importorskip("distributed")
    cases = [("noise", place, text) for place in PLACES for text in ("keep", "KEEP")] + [("noise", "environment", "")]
    code = FRAME.replace("EFFECT", NOISY).replace("MORE", "{}")
    ran = programs.run(tmp_path, code, json.dumps(cases))

    assert ["Compute Failed" in shown for shown in json.loads(ran.stdout)] == [True] * 4 + [False], ran.stdout + ran.stderr


def test_a_switch_of_the_file_may_be_a_boolean(tmp_path):
    code = "from autotb import settings; print(settings.switch('args'), settings.value('asyncio'), settings.is_set('style'))"
    for args, asyncio in ((True, False), (False, True)):
        (tmp_path / "pyproject.toml").write_text(f"[tool.autotb]\nargs = {str(args).lower()}\nasyncio = {str(asyncio).lower()}\n")
        assert programs.run(tmp_path, code).stdout == f"{args} {asyncio} False\n"


WORKERS = """
import os, sys
from autotb import settings

def leaf(x):
    os.chdir("/")
    return settings.value("context"), settings.switch("args"), "_AUTOTB_INHERITED" in os.environ

if __name__ == "__main__":
    import multiprocessing
    import joblib, loky
    from concurrent.futures import ProcessPoolExecutor
    before = dict(os.environ)
    found = []
    os.chdir(sys.argv[1])
    for method in multiprocessing.get_all_start_methods():
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            found.append(pool.submit(leaf, 1).result())
        with multiprocessing.get_context(method).Pool(1) as pool:
            found.append(pool.apply(leaf, (1,)))
    found.append(loky.get_reusable_executor(1).submit(leaf, 1).result())
    found += joblib.Parallel(2)(joblib.delayed(leaf)(i) for i in range(2))
    print(len(found), set(found), dict(os.environ) == before)
"""


def test_workers_get_what_the_driver_read_wherever_they_run(tmp_path):
    """And nothing of it stands in anybody's environment."""
    pytest.importorskip("loky")
    pytest.importorskip("joblib")
    (tmp_path / "pyproject.toml").write_text("[tool.autotb]\ncontext = 5\nargs = false\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pyproject.toml").write_text("[tool.autotb]\ncontext = 9\n")

    assert programs.run(tmp_path, WORKERS, str(elsewhere)).stdout == "9 {(5, False, False)} True\n"


def test_programs_that_an_engine_starts_get_what_the_driver_read(tmp_path):
    """Ray's workers are started by programs of Ray's own, which hand the environment on."""
    (tmp_path / "pyproject.toml").write_text("[tool.autotb]\ncontext = 5\n")
    code = """
        import os, subprocess, sys
        from autotb import settings
        child = [sys.executable, "-c", "from autotb import settings; print(settings.value('context'))"]
        settings.call_telling_children(subprocess.run, (child,), {"cwd": "/", "check": True})
        print([name for name in os.environ if "AUTOTB_" in name])
    """

    assert programs.run(tmp_path, code).stdout == "5\n[]\n"


def test_a_program_whose_threads_succeed_reads_no_file(tmp_path):
    """Nor does one that only imports what parallel programs import."""
    (tmp_path / "pyproject.toml").write_text("[tool.autotb]\nargs = false\n")
    code = """
        import sys
        opened = []
        sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
        import asyncio, concurrent.futures, json, logging, threading, multiprocessing.pool
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            assert list(pool.map(abs, [-1, 2])) == [1, 2]
        threading.Thread(target=print).start()
        print([name for name in opened if name.endswith(".toml")])
    """

    assert programs.run(tmp_path, code).stdout == "\n[]\n"


def test_a_relative_folder_of_the_file_lies_beside_the_file(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.autotb]\ndir = "kept"\nworker_log = "~"\n')
    code = "import os; os.chdir('/'); from autotb import settings; print(settings.value('dir'), settings.value('worker_log'))"

    assert programs.run(tmp_path, code).stdout == f"{tmp_path}/kept {tmp_path}/~\n"


def test_a_file_of_any_make_ends_no_program(tmp_path):
    code = "from autotb import settings; print(settings.switch('args'), len(settings.current().warnings))"
    for content, warnings in (
        (b"\xff autotb", 1),
        (b"[tool]\nautotb = 3", 0),
        (b"tool = [1] # autotb", 1),
        (b"[" * 10**5 + b"autotb", 1),
    ):
        (tmp_path / "pyproject.toml").write_bytes(content)
        assert programs.run(tmp_path, code).stdout == f"True {warnings}\n", content


def test_nobody_else_reads_the_variables():
    """One door: only ``settings`` looks at AUTOTB_*, start-up and ``install`` at the opt-out, ``plain_errors`` whether it must be opened."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).as_posix() in ("settings.py", "boot.py", "api.py", "plain_errors.py"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                read, key = node.value, node.slice
            elif isinstance(node, ast.Call) and node.args:
                read, key = node.func, node.args[0]
            else:
                continue
            name = constants.get(key.id) if isinstance(key, ast.Name) else getattr(key, "value", None)
            if re.search(r"environ|getenv", ast.unparse(read)) and str(name).startswith("AUTOTB"):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {name}")

    assert not found
