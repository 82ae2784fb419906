"""Consoles inside programs."""

from __future__ import annotations

from tests import programs

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
