"""The hooks: who holds them, what they leave alone, statuses, logs, IPython, apport, Qt."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests import programs

WORKER_ERROR = """
from concurrent.futures import ProcessPoolExecutor

def work(x):
    return 1 / x
"""


def test_a_hook_that_the_program_sets_wins_and_can_chain_to_ours(run):
    ran = run(
        """
        import sys, autotb
        def mine(kind, value, tb):
            print("mine first")
            autotb.excepthook(kind, value, tb)
        sys.excepthook = mine
        1 / 0
        """
    )

    assert ran.stdout == "mine first\n"
    assert ran.lines[0].startswith("╭")
    assert ran.status == 1


def test_a_hook_that_chains_to_the_previous_one_keeps_working(run):
    ran = run(
        """
        import sys
        previous = sys.excepthook
        def mine(*args):
            print("sent")
            previous(*args)
        sys.excepthook = mine
        1 / 0
        """,
        AUTOTB_STYLE="rich",
    )

    assert ran.stdout == "sent\n"
    assert ran.lines[0].startswith("╭")


def test_ctrl_c_keeps_its_status(tmp_path):
    statuses = []
    for autotb in "10":
        script = tmp_path / "main.py"
        script.write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=programs.environment(autotb),
            text=True,
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=programs.LIMIT)
        assert stderr.rstrip().endswith("KeyboardInterrupt")
        statuses.append(process.returncode)

    assert statuses == [-signal.SIGINT, -signal.SIGINT]


ODD_CONTEXT = """
class Odd(Exception):
    def __bool__(self):
        return "yes"

try:
    raise Odd
except Odd:
    raise KeyboardInterrupt
"""


def test_a_context_is_not_asked_whether_it_is_there(run):
    ran = run(ODD_CONTEXT, AUTOTB_STYLE="plain")

    assert "Odd" in ran.stderr
    assert "Python goes on without it" not in ran.stderr


SHOWN_BY_HAND = "import sys\ntry:\n    raise KeyboardInterrupt\nexcept KeyboardInterrupt:\n    sys.excepthook(*sys.exc_info())\n"


@pytest.mark.parametrize(
    "code, status",
    [
        ("raise KeyboardInterrupt\n", -signal.SIGINT),
        ("class Mine(KeyboardInterrupt): pass\nraise Mine\n", 1),  # the interpreter looks for that very class
        (SHOWN_BY_HAND, 0),
        (SHOWN_BY_HAND + "raise ValueError\n", 1),
    ],
)
def test_an_interrupt_that_is_drawn_ends_the_program_as_without_autotb(run, code, status):
    assert run(code, AUTOTB_STYLE="rich").status == run(code, autotb="0").status == status


@pytest.mark.parametrize("raised, status", [("SystemExit", 0), ("SystemExit(3)", 3), ("SystemExit('bye')", 1)])
def test_system_exit_is_pythons(run, raised, status):
    ours, bare = run(f"raise {raised}\n"), run(f"raise {raised}\n", autotb="0")

    assert (ours.status, ours.stdout, ours.stderr) == (bare.status, bare.stdout, bare.stderr)
    assert ours.status == status


def test_log_records_of_worker_errors_show_the_workers_frames(shows):
    def check(ran):
        assert ran.lines[0] == "ERROR:root:failed"
        assert "Traceback (most recent call last):" in ran.lines
        assert "concurrent/futures" not in ran.stderr
        assert "in work" in ran.stderr
        assert ran.stderr.count("ZeroDivisionError") == 1
        assert "\x1b" not in ran.stderr

    shows(
        WORKER_ERROR
        + """
import logging
logging.basicConfig()
if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(work, 0).result()
        except ZeroDivisionError:
            logging.exception("failed")
""",
        check,
    )


def test_log_records_of_other_errors_and_the_switch(run):
    code = (
        WORKER_ERROR
        + """
import logging, sys
logging.basicConfig()
if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        try:
            pool.submit(work, 0).result()
        except ZeroDivisionError:
            if len(sys.argv) > 1:
                logging.exception("failed")
    try:
        {}["k"]
    except KeyError:
        logging.exception("other")
"""
    )

    assert run(code).stderr == run(code, autotb="0").stderr
    assert "concurrent/futures" in run(code, "x", AUTOTB_LOGGING="0").stderr


def test_traceback_functions_stay_pythons(run):
    code = (
        WORKER_ERROR
        + """
import sys, traceback
from concurrent.futures import wait
if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        future = pool.submit(work, 0)
        wait([future])  # where result() raises depends on whether it has come
        try:
            future.result()
        except ZeroDivisionError:
            print(traceback.format_exc())
"""
    )
    ours, bare = run(code).stdout, run(code, autotb="0").stdout

    if sys.version_info >= (3, 11):  # on 3.10 one frame of ours stays in the traceback
        assert ours == bare
    assert "_RemoteTraceback" in ours


def test_ipython_cells(tmp_path):
    code = (
        WORKER_ERROR
        + "\nimport multiprocessing as mp\nif True:\n    with ProcessPoolExecutor(1, mp_context=mp.get_context('fork')) as pool:\n        pool.submit(work, 0).result()\n"
    )
    command = [
        sys.executable,
        "-m",
        "IPython",
        "--no-banner",
        "--colors=NoColor",
        "--simple-prompt",
        "--InteractiveShell.history_length=0",
    ]
    ran = programs.start([*command, "-c", code], tmp_path, HOME=str(tmp_path), IPYTHONDIR=str(tmp_path / "ipython"))
    text = ran.stdout + ran.stderr

    assert "╭" in text
    assert "in a process-pool worker" in text
    assert "concurrent/futures" not in text
    assert text.count("ZeroDivisionError") == 1


def test_ubuntus_crash_reporter_goes_on_reporting_and_we_print(run, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import apport_python_hook\napport_python_hook.install()\n")
    (tmp_path / "site" / "apport_python_hook.py").write_text(
        "import sys\n\n\ndef apport_excepthook(kind, value, tb):\n    print('reported', kind.__name__)\n    sys.__excepthook__(kind, value, tb)\n\n\n"
        "def install():\n    sys.excepthook = apport_excepthook\n"
    )

    ran = run("1 / 0\n", PYTHONPATH=str(tmp_path / "site"), AUTOTB_STYLE="rich")

    assert ran.stdout == "reported ZeroDivisionError\n"
    assert ran.lines[0].startswith("╭")
    assert ran.stderr.count("ZeroDivisionError") == 1
    assert ran.status == 1


def test_qt_finds_pythons_own_hook(run, tmp_path):
    (tmp_path / "PyQt6").mkdir()
    (tmp_path / "PyQt6" / "__init__.py").write_text("")
    (tmp_path / "PyQt6" / "QtCore.py").write_text("")

    ran = run("import sys\nfrom PyQt6 import QtCore\nprint(sys.excepthook is sys.__excepthook__)\n")

    assert ran.stdout == "True\n"


CONSOLE = """
import code, sys

class Window(code.InteractiveConsole):
    text = ""

    def write(self, data):
        self.text += data

console = Window() if sys.argv[1] == "window" else code.InteractiveConsole()
console.push("1 / 0")
console.push("x = = 1")
if sys.argv[1] == "window":
    print(console.text, sys.excepthook is sys.__excepthook__)
"""


def test_a_console_that_writes_elsewhere_goes_on_doing_so(run, tmp_path):
    ours, bare = run(CONSOLE, "window"), programs.run(tmp_path, CONSOLE, "window", autotb="0")

    assert "ZeroDivisionError: division by zero" in ours.stdout
    assert ours.stdout.replace(" False", " True") == bare.stdout  # the hook is ours again
    assert ours.stdout.endswith(" False\n")
    assert ours.stderr == bare.stderr == ""


def test_a_console_on_stderr_shows_errors_as_a_program_does_and_syntax_errors_in_short(shows):
    def check(ran):
        assert "│ <console>:1 in <module>" in ran.stderr
        assert ran.stderr.split("ZeroDivisionError: division by zero\n")[1].startswith('  File "<console>", line 1\n')
        assert "codeop" not in ran.stderr

    shows(CONSOLE, check, "stderr", AUTOTB_STYLE="rich")


GROUP = """
import sys, traceback
import autotb
from exceptiongroup import ExceptionGroup

def fails():
    raise ExceptionGroup("two of them", [ValueError("first"), KeyError("second")])

if sys.argv[1:] == ["late"]:
    autotb.uninstall()
    print(sys.excepthook.__module__)
    autotb.install()
try:
    fails()
except ExceptionGroup:
    traceback.print_exc(file=sys.stdout)
fails()
"""
before_groups = pytest.mark.skipif(sys.version_info >= (3, 11), reason="groups are Python's own: exceptiongroup patches nothing")


@before_groups
def test_groups_before_python_3_11_are_printed_as_ever_and_uncaught_ones_are_ours(shows, tmp_path):
    def check(ran):
        assert "│ ValueError: first" in ran.stderr
        assert ran.last == "exceptiongroup.ExceptionGroup: two of them (2 sub-exceptions)"

    ours = shows(GROUP, check, AUTOTB_STYLE="rich")
    assert "| ValueError: first" in ours.stdout
    assert ours.stdout == programs.run(tmp_path, GROUP, autotb="0").stdout


@before_groups
def test_the_hook_that_prints_groups_is_given_back_and_displaced_again(run):
    ran = run(GROUP, "late")

    assert ran.stdout.startswith("exceptiongroup._formatting\n")
    assert "│ ValueError: first" in ran.stderr


@before_groups
def test_pytest_reports_a_group(tmp_path):
    test = "def test_group():\n    raise ExceptionGroup('two', [ValueError('first'), KeyError('second')])\n"
    (tmp_path / "test_it.py").write_text(f"from exceptiongroup import ExceptionGroup\n\n{test}")
    ran = programs.start([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"], tmp_path)

    assert "INTERNALERROR" not in ran.stdout + ran.stderr
    assert "| ValueError: first" in ran.stdout
    assert "1 failed" in ran.stdout


def test_shutdown_and_threads_at_exit(run):
    ran = run(
        """
        import atexit, threading
        def late():
            thread = threading.Thread(target=lambda: 1 / 0)
            try:
                thread.start()
                thread.join()
            except RuntimeError:
                pass
        atexit.register(late)
        """
    )

    assert ran.status == 0
    assert "autotb:" not in ran.stderr


def test_a_failing_test_under_pytest_tells_the_workers_story(tmp_path):
    (tmp_path / "test_it.py").write_text(
        WORKER_ERROR + "\n\ndef test_it():\n    with ProcessPoolExecutor(1) as pool:\n        pool.submit(work, 0).result()\n"
        "\n\ndef test_other():\n    assert {}\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "test_it.py"]

    ours, bare = programs.start(command, tmp_path), programs.start(command, tmp_path, autotb="0")

    assert ours.stdout.count("in a process-pool worker") == 1
    assert ours.stdout.count("------ autotb ------") == 1
    assert ours.status == bare.status == 1
    assert "autotb" not in bare.stdout.replace(str(tmp_path), "")
