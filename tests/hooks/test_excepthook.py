"""The hook of uncaught errors: who holds it, and the statuses of programs that end by it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests import programs


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
