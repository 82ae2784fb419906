"""The table of a flow's steps on a terminal: a real one of the system's, on which a program runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from autotb.flow import live_table
from autotb.flow.tallies import Tallies
from tests import programs

pty = pytest.importorskip("pty")

PROGRAM = """
import sys, threading, time
import autotb

def work(x):
    if x == 3:
        print("a line of the program's, " + "which is longer than the terminal is wide, " * 5 + "and ends")
    if x == 4:
        print("no end", end="")
    time.sleep(0.15)
    if x == 5 and "fails" in sys.argv:
        raise ValueError(x)
    if x == 5 and "hangs" in sys.argv:
        print("hangs", flush=True)
        time.sleep(8)  # who is interrupted waits for it
    return x

if __name__ == "__main__":
    flow = autotb.Flow("threads", error_handling="raise" if "raises" in sys.argv else "continue")
    done = flow.map(work, iter(range(6)) if "stream" in sys.argv else range(6))
    flow.call(sum, done)
    flow.run()
"""


def drawn(tmp_path, *args, columns=80, interrupt=None, **redirected):
    """What a terminal is sent, and how the program ended."""
    import fcntl
    import struct
    import termios

    (tmp_path / "main.py").write_text(PROGRAM)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = programs.environment(TERM="xterm-256color")
    child = subprocess.Popen(
        [sys.executable, "main.py", *args],
        cwd=tmp_path,
        env=environment,
        **{"stdin": theirs, "stdout": theirs, "stderr": theirs, **redirected},
    )
    os.close(theirs)
    text, until = b"", time.monotonic() + programs.LIMIT
    while time.monotonic() < until:
        try:
            some = os.read(ours, 65536)
        except OSError:
            break
        if not some:
            break
        text += some
        if interrupt is not None and interrupt in text:
            interrupt = None
            child.send_signal(signal.SIGINT)
    os.close(ours)
    return text.decode(), child.wait(programs.LIMIT)


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


LINE = "a line of the program's, " + "which is longer than the terminal is wide, " * 5 + "and ends\n"


@pytest.mark.parametrize("columns", [80, 120])
def test_it_stands_below_what_the_program_prints(tmp_path, columns):
    text, status = drawn(tmp_path, columns=columns)

    assert status == 0
    assert LINE in plain(text)
    assert plain(text).count("no end") == 1
    tables = [line.split() for line in plain(text).split("\n") if line.startswith(("work", "sum"))]
    assert tables[-1][0] == "sum"
    assert [*tables[-2][2:6]] == ["6", "0", "0", "6"]
    rows = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))
    assert max(len(row) for row in rows if row.startswith(("step", "work", "sum"))) <= columns
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back


def test_what_goes_to_a_file_is_there_and_nothing_else(tmp_path):
    with open(tmp_path / "out", "w") as out:
        text, status = drawn(tmp_path, stdout=out)

    assert status == 0
    assert (tmp_path / "out").read_text() == LINE + "no end"
    assert "program's" not in text
    assert "work" in text


def test_nothing_is_drawn_in_a_pipe(tmp_path):
    with open(tmp_path / "err", "w") as err:
        text, _ = drawn(tmp_path, stderr=err)

    assert plain(text) == LINE + "no end"
    assert (tmp_path / "err").read_text() == ""


def test_after_failures_the_table_stands_once_with_the_root_causes(tmp_path):
    text, status = drawn(tmp_path, "fails")

    assert status == 0
    last = plain(text[text.rindex("\x1b[?25h") :])
    assert [line.split()[:5] for line in last.split("\n") if line.startswith(("work", "sum"))] == [
        ["work", "5", "1", "0", "6"],
        ["sum", "0", "0", "1", "1"],
    ]
    assert "root cause of 1 failure:" in last


@pytest.mark.parametrize("how", ["raises", "interrupted"])
def test_an_error_leaves_the_terminal_clean(tmp_path, how):
    if how == "raises":
        text, status = drawn(tmp_path, "fails", "raises")
        assert status == 1
    else:
        text, status = drawn(tmp_path, "hangs", interrupt=b"hangs")
        assert status not in (0, 1)
    last = text[text.rindex("\x1b[?25h") :]
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert ("ValueError: 5" if how == "raises" else "KeyboardInterrupt") in plain(last)


def test_of_a_stream_no_end_is_known(tmp_path):
    text, _ = drawn(tmp_path, "stream")

    assert "6+" not in plain(text[text.rindex("step") :])  # it is known at last
    assert LINE in plain(text)


def text_of(tallies, width=80, height=30):
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), width=width)
    shown = live_table.LiveTable()
    shown.tallies = tallies
    console.print(shown.rows(width, height))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [64, 80, 120])
def test_long_names_leave_room_for_the_counts(width):
    tallies = Tallies({"a name of many words that no table has room for, number one of two " * 2: 1_234, "b": 2})
    for name in tallies:
        tallies.begin(name)
        tallies.add(name, 1)
    lines = text_of(tallies, width).rstrip().split("\n")

    assert lines[0].split() == ["step", "done", "failed", "skipped", "of", "time", "left"]
    assert ["1,234" in lines[1], "…" in lines[2]] == [True, False]
    assert max(map(len, map(str.rstrip, lines))) <= width
    assert len(lines) == 3


def test_of_many_steps_as_many_are_shown_as_there_is_room_for():
    tallies = Tallies({f"step{number}": 2 for number in range(50)})
    for number in range(20):
        tallies.begin(f"step{number}")
        tallies.add(f"step{number}", 1 if number == 7 else 2)
    lines = text_of(tallies, height=16).rstrip().split("\n")

    assert len(lines) == 12
    assert "step7" in [line.split()[0] for line in lines]
    assert lines[-1].strip() == "and 40 more, 19 of them at their end"


def test_a_step_of_unknown_length_has_a_plus_and_no_time_left():
    tallies = Tallies({"read": 0})
    tallies.begin("read")
    tallies.expect("read", 12, is_open=True)
    tallies.add("read", 6, failed=1)
    assert re.search(r"read +\S+ +5 +1 +0 +12\+ +0\.\d\d s *$", text_of(tallies).rstrip())


def test_what_cannot_be_drawn_ends_the_drawing_alone(monkeypatch, capsys):
    monkeypatch.setattr(live_table.bars, "live", lambda _: 1 / 0)
    shown = live_table.LiveTable()
    with shown:
        shown.begin(Tallies({"a": 1}))

    assert shown.drawn is None
