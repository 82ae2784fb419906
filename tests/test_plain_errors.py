"""In a pipe a plain error is Python's own text, byte for byte; a worker's is drawn there too, and all is drawn for who asks."""

from __future__ import annotations

import os
import re
import signal
import sys

import pytest

from tests import programs
from tests.render.test_terminal import on_terminal

CHAINED = """
class Odd(Exception):
    def __getattr__(self, name):
        print("asked for", name)
        raise AttributeError(name)

def f(x):
    return g(x)

def g(x):
    raise Odd(x)

try:
    f(1)
except Odd as error:
    try:
        {}["k"]
    except KeyError:
        raise ValueError("two\\nlines") from error
"""

PROGRAMS = {
    "expression": "1 / 0\n",
    "chain": CHAINED,
    "suppressed": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError(2) from None\n",
    "recursion": "def f(n):\n    return f(n + 1)\nf(0)\n",
    "syntax": "x = (1\ny = 2\n",
    "indentation": "def f():\nreturn 1\n",
    "name": "count = 1\nprint(cuont)\n",
    "import": "import no_such_module\n",
    "exit": "raise SystemExit('bye')\n",
    "exit in a chain": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise SystemExit({'a': 1})\n",
    "interrupt": "raise KeyboardInterrupt('x')\n",
    "own class": "class E(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise E('x')\n",
    "a class without module": "class E(Exception):\n    pass\nE.__module__ = 3\nraise E('x')\n",
    "surrogates": "raise ValueError('\\udc80 \\x1b[31m')\n",
    "warnings as errors": "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('w')\n",
    "threads were used": "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()\n1 / 0\n",
    "a pool was used": "from concurrent.futures import ThreadPoolExecutor as P\nwith P(1) as p:\n    p.submit(int).result()\n1 / 0\n",
    "started twice": "import threading\nt = threading.Thread(target=print)\nt.start()\nt.start()\n",
    "a closed pool": "from concurrent.futures import ThreadPoolExecutor as P\np = P(1)\np.shutdown()\nx = 3 / 0\n",
    "threading's own": "import threading\nthreading.Thread(target=print, args=3)\n",
    "a hook that chains": "import sys\np = sys.excepthook\nsys.excepthook = lambda *a: p(*a)\n1 / 0\n",
    "odd arguments": "import sys\nsys.excepthook(1, '1', 1)\nsys.excepthook(None, None, None)\nsys.excepthook(1, ValueError(2), 3)\n",
    "no stderr": "import sys\nsys.stderr = None\n1 / 0\n",
    "stderr to stdout": "import sys\nsys.stderr = sys.stdout\n1 / 0\n",
    "a child's": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', '1/0'], capture_output=True, text=True).stderr)\n",
    "a mock of stderr": (
        "import sys\nfrom unittest import mock\np = sys.stderr\nsys.stderr = mock.MagicMock(**{'write.side_effect': p.write})\n1 / 0\n"
    ),
    "a console on a mock of stderr": (
        "import code, sys\nfrom unittest import mock\nwith mock.patch('sys.stderr') as fake:\n"
        "    code.InteractiveConsole().runcode('1 / 0')\nprint(''.join(''.join(call.args) for call in fake.write.call_args_list))\n"
    ),
    "a console on a mock of sys": (
        "import code, sys\nfrom unittest import mock\nwith mock.patch('code.sys', wraps=sys, spec=sys) as fake:\n"
        "    if sys.excepthook is sys.__excepthook__:\n        fake.excepthook = fake.__excepthook__\n"
        "    code.InteractiveConsole().runcode('try:\\n 1 / 0\\nfinally:\\n x')\nprint(sys.excepthook.__name__)\n"
    ),
    "a console with a hook that chains": (
        "import code, sys\np = sys.excepthook\nsys.excepthook = lambda *a: (print(a[2].tb_frame.f_code.co_name), p(*a))\n"
        "code.InteractiveConsole().runcode('try:\\n 1 / 0\\nfinally:\\n x')\nprint(sys.last_traceback.tb_frame.f_code.co_name)\n"
    ),
    "an engine's own, no line of the user's in it": (
        "import sys\nfrom concurrent.futures import ThreadPoolExecutor\ntry:\n    ThreadPoolExecutor(0)\nexcept ValueError as e:\n"
        "    tb = e.__traceback__.tb_next\n    sys.excepthook(ValueError, e.with_traceback(tb), tb)\n"
    ),
    "a globals of its own": "class D(dict):\n    def get(self, *a):\n        print('asked')\nexec('1 / 0', D(__builtins__=__builtins__))\n",
}
if sys.version_info >= (3, 11):
    PROGRAMS["notes"] = "e = ValueError(1)\ne.add_note('n')\nraise e\n"
    PROGRAMS["group"] = "raise ExceptionGroup('two', [ValueError(1), ExceptionGroup('in', [KeyError('k')])])\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_plain_error_in_a_pipe_is_pythons_own(run, name):
    ours, bare = run(PROGRAMS[name]), run(PROGRAMS[name], autotb="0")

    assert (ours.status, ours.stdout, ours.stderr) == (bare.status, bare.stdout, bare.stderr)


STARTED = "import asyncio, multiprocessing.pool, threading\nfrom concurrent.futures import *\n1 / 0\n"


@pytest.mark.parametrize("command", [["-m", "started"], ["."], ["-m", "pdb", "-c", "c", "-c", "q", "started.py"]])
def test_what_starts_a_program_is_no_engine(tmp_path, command):
    for name in ("__main__.py", "started.py"):
        (tmp_path / name).write_text(STARTED)
    ours, bare = (
        programs.start([sys.executable, *command], tmp_path, stdin="q\n", autotb=autotb, PYTHONPATH=str(tmp_path))
        for autotb in "10"
    )

    assert "ZeroDivisionError" in bare.stdout + bare.stderr
    assert (ours.status, ours.stdout, ours.stderr) == (bare.status, bare.stdout, bare.stderr)


LINES = """1 / 0
import asyncio
async def f(): return {}["k"]

await f()
await asyncio.wait_for(asyncio.sleep(60), 0.01)
"""


def test_the_console_of_asyncio_in_a_pipe(tmp_path):
    texts = []
    for autotb in "10":
        ran = programs.start([sys.executable, "-m", "asyncio"], tmp_path, stdin=LINES, autotb=autotb)
        assert ran.stderr.count("Traceback (most recent call last)") >= 3
        texts.append(re.sub(r"line \d+, in result", "", ran.stderr))  # of the two lines that raise, by who was faster

    ours, bare = texts
    assert "╭" in ours.partition("KeyError")[2]  # an engine's: the time ran out in asyncio, below the console's line
    assert ours.partition("KeyError")[0] == bare.partition("KeyError")[0]


def test_ctrl_c_in_the_console_of_trio_in_a_pipe(tmp_path):
    pytest.importorskip("trio", minversion="0.31")
    lines = "1 / 0\nimport os, signal\nos.kill(os.getpid(), signal.SIGINT); 1\n"
    ours, bare = (programs.start([sys.executable, "-m", "trio"], tmp_path, stdin=lines, autotb=autotb).stderr for autotb in "10")

    assert ours == bare
    assert "in handler\n    raise KeyboardInterrupt" in bare  # trio's handler of the signal


@pytest.mark.parametrize("flags", [["-X", "dev"], ["-W", "error"], ["-O"], ["-I"], ["-bb"], ["-X", "utf8"], ["-u"]])
def test_under_flags_of_the_interpreter(run, flags):
    ours, bare = (run(CHAINED, command=[sys.executable, *flags], autotb=autotb) for autotb in "10")

    assert (ours.status, ours.stdout, ours.stderr) == (bare.status, bare.stdout, bare.stderr)


@pytest.mark.parametrize(
    "arguments, stdin",
    [
        (["-c", "def f():\n    1 / 0\nf()"], None),
        (["-"], "def f():\n    1 / 0\nf()\n"),
        (["-i", "-c", "1 / 0"], "print('on')\n1 / 0\nx = =\n"),
        (["-m", "no_such_module"], None),
        (["-m", "main"], None),
        (["nowhere.py"], None),
        (["-c", "import code; code.interact()"], "1 / 0\nx = =\n"),
        (["-m", "timeit", "1 / 0"], None),
    ],
)
def test_code_from_elsewhere(tmp_path, arguments, stdin):
    (tmp_path / "main.py").write_text("import json\njson.loads('{')\n")
    ours, bare = (programs.start([sys.executable, *arguments], tmp_path, stdin=stdin, autotb=autotb) for autotb in "10")

    assert (ours.status, ours.stdout, ours.stderr) == (bare.status, bare.stdout, bare.stderr)


def test_ctrl_c_in_a_pipe(run):
    code = "import signal\nsignal.raise_signal(signal.SIGINT)\n"
    ours, bare = run(code), run(code, autotb="0")

    assert (ours.status, ours.stderr) == (bare.status, bare.stderr)
    assert ours.status == -signal.SIGINT


def test_nothing_is_imported_for_it(run):
    code = "import atexit, sys\nbefore = set(sys.modules)\natexit.register(lambda: print(sorted(set(sys.modules) - before)))\n1 / 0\n"
    ours, bare = (set(eval(run(code, autotb=autotb).stdout)) for autotb in "10")  # Python from 3.13 on imports its printer

    assert ours - bare == {"autotb.plain_errors", "autotb.project", "autotb.runtime", "autotb.uncaught"}


WORKER = """
import sys
{}
from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor

def work(x):
    return 1 / x

def main():
    with ProcessPoolExecutor(1) as pool:
        {}

if __name__ == "__main__":
    main()
"""
WAYS = {
    "raised": "pool.submit(work, 0).result()",
    "a cause": "try:\n            pool.submit(work, 0).result()\n        except ArithmeticError as e:\n            raise ValueError from e",
    "a context": "try:\n            pool.submit(work, 0).result()\n        except ArithmeticError:\n            {}[0]",
    "shown later": "error = pool.submit(work, 0).exception()\n    raise error",
    "a thread's": "with ThreadPoolExecutor() as t:\n            t.submit(work, 0).result()",
}
if sys.version_info >= (3, 11):
    WAYS["a member"] = "raise ExceptionGroup('one', [pool.submit(work, 0).exception()])"


@pytest.mark.parametrize("way", WAYS)
def test_a_workers_error_is_drawn_everywhere(shows, way):
    def check(ran):
        assert "╭" in ran.stderr
        assert ":6 in work" in ran.stderr or ":7 in work" in ran.stderr

    shows(WORKER.format("", WAYS[way]), check)


@pytest.mark.parametrize("way", ["install", "run", "rich", "json", "fancy", "pyproject", "terminal", "excepthook"])
def test_who_asks_gets_the_drawing_of_every_error(tmp_path, way):
    code, command, env = "1 / 0\n", [sys.executable], {}
    if way == "install":
        code = "import autotb\nautotb.install()\n1 / 0\n"
    elif way == "run":
        command += ["-m", "autotb", "run"]
    elif way == "pyproject":
        (tmp_path / "pyproject.toml").write_text("[tool.autotb]\nstyle = 'rich'\n")
    elif way == "excepthook":
        code = "import autotb, sys\nsys.excepthook = lambda *args: autotb.excepthook(*args)\n1 / 0\n"
    elif way != "terminal":
        env["AUTOTB_STYLE"] = way
    text = on_terminal(tmp_path, code) if way == "terminal" else programs.run(tmp_path, code, command=command, **env).stderr

    assert ("╭" in text) == (way != "json")
    assert "Traceback (most recent call last):" not in text
    assert ("autotb: AUTOTB_STYLE='fancy' is not one of" in text) == (way == "fancy")


@pytest.mark.parametrize("where", ["environment", "pyproject", "other"])
def test_auto_is_what_holds_where_nobody_asks(run, tmp_path, where):
    content = {"pyproject": "[tool.autotb]\nstyle = 'auto'\n", "other": "[project]\ndependencies = ['autotb']\nstyle = 3\n"}
    (tmp_path / "pyproject.toml").write_text(content.get(where, ""))
    env = {"AUTOTB_STYLE": "auto"} if where == "environment" else {}

    assert run("1 / 0\n", **env).stderr == run("1 / 0\n", autotb="0").stderr


def test_a_story_is_kept_all_the_same(run, tmp_path):
    ours, bare = run("1 / 0\n", AUTOTB_DIR=str(tmp_path / "kept")), run("1 / 0\n", autotb="0")

    assert ours.stderr == bare.stderr
    assert len(os.listdir(tmp_path / "kept")) == 1


THREAD = """
import threading

def work():
    1 / 0

thread = threading.Thread(target=work, name="one")
thread.start()
thread.join()
"""


def test_a_threads_error_in_a_pipe_is_in_pythons_grammar_with_the_line_that_started_it(shows):
    def check(ran):
        assert ran.lines[:2] == ["Exception in thread one:", "Traceback (most recent call last):"]
        assert any("started at" in line and line.startswith("  [") for line in ran.lines)
        assert ran.last == "ZeroDivisionError: division by zero"
        assert "╭" not in ran.stderr

    shows(THREAD, check)


@pytest.mark.parametrize(
    "name", ["GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TEAMCITY_VERSION", "AWS_LAMBDA_FUNCTION_NAME", "PYCHARM_HOSTED"]
)
def test_a_program_that_collects_the_text_gets_pythons_grammar(run, name):
    ran = run(WORKER.format("", WAYS["raised"]), **{name: "1"})

    assert ran.lines[0] == "Traceback (most recent call last):"
    assert "in a process-pool worker" in ran.stderr
    assert "╭" not in ran.stderr


@pytest.mark.parametrize("stream", ["stderr", "another"])
def test_the_journal_gets_it_where_it_reads_this_stream(run, stream):
    at = "f'{s.st_dev}:{s.st_ino}'" if stream == "stderr" else "'8:1'"
    code = WORKER.format(f"import os\ns = os.fstat(2)\nos.environ['JOURNAL_STREAM'] = {at}", WAYS["raised"])

    assert ("╭" in run(code).stderr) == (stream == "another")


def test_a_cell_with_a_plain_error_shows_ipythons_own(tmp_path):
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--simple-prompt"]
    home = {"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython")}
    texts = []
    for env in ({}, {"autotb": "0"}, {"AUTOTB_STYLE": "rich"}):
        ran = programs.start(
            [*command, "--InteractiveShell.history_length=0", "-c", "def f(): 1 / 0\nf()"], tmp_path, **home, **env
        )
        texts.append(ran.stdout + ran.stderr)

    assert texts[0] == texts[1]
    assert "╭" in texts[2]
