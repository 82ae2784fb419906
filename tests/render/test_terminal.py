"""Colour, width, encodings, broken streams; the settings of the display."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import sys

import pytest

import autotb
from autotb import render
from autotb.render import terminal
from tests import programs

FAIL = """
# 1
# 2
# 3
from concurrent.futures import ProcessPoolExecutor

def work(item, password):
    value = item["key"]
    numbers = [1, 2, 3]
    return numbers[value]

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        pool.submit(work, {"key": 7}, password="p4ss").result()
"""


def on_terminal(tmp_path, code, **env):
    """What a terminal of 200 columns gets."""
    import fcntl
    import struct
    import subprocess
    import termios

    script = tmp_path / "main.py"
    script.write_text(code)
    main, sub = pty.openpty()
    fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=sub,
        stdout=sub,
        stderr=sub,
        env=programs.environment(TERM="xterm-256color", **env),
        start_new_session=True,
    )
    os.close(sub)
    data = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:
            break
        if not piece:
            break
        data += piece
    os.close(main)
    process.wait(programs.LIMIT)
    return data.decode()


def test_colour_on_a_terminal_and_its_width(tmp_path):
    text = on_terminal(tmp_path, FAIL)

    assert "\x1b[31m" in text
    assert "\x1b[1;4m" in text or "\x1b[4m" in text or ";4" in text
    plain = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.startswith("╭")]
    assert len(plain[0]) == 200


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"PYTHON_COLORS": "0"}, {"TERM": "dumb"}])
def test_no_colour_where_it_is_not_wanted(tmp_path, env):
    env = dict(env)
    term = env.pop("TERM", "xterm-256color")
    script = FAIL
    text = on_terminal(tmp_path, script, **env) if term != "dumb" else _dumb(tmp_path)

    assert "\x1b[" not in text
    assert ("╭" in text) == (term != "dumb")
    assert "IndexError: list index out of range" in text


def _dumb(tmp_path):
    code = "import os\nos.environ['TERM'] = 'dumb'\n" + FAIL
    return on_terminal(tmp_path, code)


def test_colour_in_a_pipe_where_it_is_forced(run):
    assert "\x1b[31m" in run(FAIL, FORCE_COLOR="1").stderr
    assert "\x1b[" not in run(FAIL).stderr


def test_columns(run):
    assert len(run("1 / 0\n", COLUMNS="120", AUTOTB_STYLE="rich").lines[0]) == 120


def test_ascii_where_the_encoding_has_no_boxes(run):
    ran = run("# ☃\nraise ValueError('☃')\n", PYTHONIOENCODING="ascii", PYTHONUTF8="0", AUTOTB_STYLE="rich")

    assert ran.lines[0].startswith("+--")
    assert "> raise" in ran.stderr
    assert ran.last == "ValueError: \\u2603"
    assert ran.stderr.isascii()


@pytest.mark.parametrize("how", ["sys.stderr = None", "sys.stderr.close()", "os.close(2)", "sys.stderr = open('/dev/full', 'w')"])
def test_a_broken_stderr_changes_no_status(run, how):
    code = f"import os, sys\nprint('out')\n{how}\n1 / 0\n"
    ours, bare = run(code), run(code, autotb="0")

    assert ours.stdout == bare.stdout
    assert ours.status == bare.status != 0


@pytest.mark.behaviour("S0-39")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_both_streams_are_flushed(shows, unbuffered):
    def check(ran):
        assert ran.stdout == "before\n"
        assert ran.lines[0].startswith("╭")
        assert ran.last == "IndexError: list index out of range"

    shows(FAIL.replace("    with Process", "    print('before')\n    with Process"), check, PYTHONUNBUFFERED=unbuffered)


@pytest.mark.behaviour("S0-39")
def test_nothing_is_left_in_a_buffer_when_an_error_was_shown(run):
    """A program that is ended at once after that, by a signal or by os._exit, has said all."""
    ran = run(
        """
        import os, sys

        print("before")
        try:
            1 / 0
        except ZeroDivisionError:
            sys.excepthook(*sys.exc_info())
        os._exit(3)
        """,
        AUTOTB_STYLE="plain",
    )

    assert (ran.status, ran.stdout, ran.last) == (3, "before\n", "ZeroDivisionError: division by zero")


def test_the_plain_style_is_cpythons_grammar(run):
    ran = run(FAIL, AUTOTB_STYLE="plain")

    assert ran.lines[0] == "Traceback (most recent call last):"
    frames = [line for line in ran.lines if line.startswith('  File "')]
    assert len(frames) == 2
    assert all(line.startswith(("  ", "Traceback", "IndexError")) for line in ran.lines)
    assert ran.last == "IndexError: list index out of range"
    assert "  [work(item={'key': 7}, password=***)]" in ran.lines


def test_the_plain_style_of_a_plain_program_is_cpythons_but_for_nothing(run):
    code = "def f(x):\n    return g(x)\n\n\ndef g(x):\n    raise ValueError(x)\n\n\ntry:\n    f(1)\nexcept ValueError as e:\n    raise KeyError(2) from e\n"
    ours = run(code, AUTOTB_STYLE="plain")
    bare = run(code, autotb="0")

    assert ours.stderr == bare.stderr


def test_json(run):
    ran = run(FAIL, AUTOTB_STYLE="json")
    story = json.loads(ran.stderr)

    assert story["schema"] == 1
    assert story["error"]["type"] == "IndexError"
    worker = story["error"]["hops"][1]
    assert worker["call"] == "work(item={'key': 7}, password=***)"
    assert worker["submitted"]["name"] == "<module>"
    assert worker["frames"][-1]["locals"]["numbers"] == "[1, 2, 3]"
    assert worker["frames"][-1]["locals"]["password"] == "***"


def test_frames_all_shows_the_engines(run):
    assert "_base.py" in run(FAIL, AUTOTB_FRAMES="all").stderr


@pytest.mark.parametrize("context, count", [("0", 1), ("1", 3), ("4", 9)])
def test_context(run, context, count):
    ran = run(FAIL, AUTOTB_CONTEXT=context)
    last = ran.stderr.split(" in work")[1]

    assert len(re.findall(r"^│ +\d+ [│❱]", last, re.M)) == count
    assert last.count("❱") == 1


def test_arguments_can_be_left_out(run):
    ran = run(FAIL, AUTOTB_ARGS="0")

    assert "work(item" not in ran.stderr.replace("def work(item", "")


def test_local_variables_are_shown_on_request_with_secrets_masked(run):
    ran = run(FAIL, AUTOTB_LOCALS="1")

    assert "numbers = [1, 2, 3]" in ran.stderr
    assert "password = ***" in ran.stderr
    assert "p4ss" not in ran.stderr.replace('password="p4ss"', "")


@pytest.mark.parametrize(
    "env, line",
    [
        (
            {"AUTOTB_STYLE": "fancy"},
            "autotb: AUTOTB_STYLE='fancy' is not one of auto, rich, plain, json; the default, auto, holds",
        ),
        ({"AUTOTB_CONTEXT": "many"}, "autotb: AUTOTB_CONTEXT='many' is not a number from 0 to 1000; the default, 3, holds"),
        ({"AUTOTB_STILE": "rich"}, "autotb: AUTOTB_STILE is no setting of autotb (did you mean style?); it is ignored"),
    ],
)
def test_a_setting_that_is_not_known_is_one_line_and_the_default(run, env, line):
    ran = run(FAIL, **env)

    assert ran.lines[0] == line
    assert ran.lines[1].startswith("╭")
    assert ran.stderr.count("autotb:") == 1


def test_settings_of_a_project(run, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.autotb]\nstyle = "plain"\ncontext = 1\n')
    (tmp_path / "sub").mkdir()

    assert run(FAIL, name="sub/main.py").lines[0] == "Traceback (most recent call last):"
    assert run(FAIL, name="sub/main.py", AUTOTB_STYLE="rich").lines[0].startswith("╭")
    assert run(FAIL, command=[sys.executable, "-I"]).lines[0].startswith("╭")


def test_a_broken_project_file_is_one_line(run, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.autotb\n")

    ran = run(FAIL)

    assert "could not be read" in ran.lines[0]
    assert ran.lines[1].startswith("╭")


def test_a_module_of_the_users_called_rich_is_left_alone(run, tmp_path):
    (tmp_path / "rich.py").write_text("print('the user's rich was imported')\n".replace("user's", "users"))

    ran = run(FAIL)

    assert ran.stdout == ""
    assert ran.lines[0] == "Traceback (most recent call last):"
    assert ran.last == "IndexError: list index out of range"


def test_where_drawing_fails_pythons_own_display_is_shown(run):
    ran = run(
        """
        import autotb.trace.build
        def broken(*args):
            raise RuntimeError("ours")
        autotb.trace.build.build = broken
        1 / 0
        """,
        AUTOTB_STYLE="rich",
    )

    assert ran.lines[0] == "Traceback (most recent call last):"
    assert "ZeroDivisionError: division by zero" in ran.lines
    assert ran.last == "autotb: drawing the error failed (RuntimeError: ours); Python goes on without it"
    assert ran.status == 1


def test_a_pipe_of_a_notebooks_kernel_is_read_in_its_page(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as kernels have it
    for name in terminal.COLLECTORS:
        monkeypatch.delenv(name, raising=False)
    assert not terminal.abilities(io.StringIO()).collected

    monkeypatch.setenv("JPY_PARENT_PID", "7")
    assert terminal.abilities(io.StringIO()).collected
    assert "\x1b" not in render.draw(autotb.explain(ValueError("no")), io.StringIO())
