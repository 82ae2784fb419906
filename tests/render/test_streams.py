"""A stderr that the program has replaced or patched gets the story, whole, through its own ``write``."""

from __future__ import annotations

import json

import pytest

STREAMS = {
    "a tee that passes all else on": """
class Tee:
    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def write(self, text):
        got.append(text)
        return self.real.write(text)

sys.stderr = Tee(sys.stderr)
""",
    "write alone is replaced": """
real = sys.stderr.write
sys.stderr.write = lambda text: (got.append(text), real(text))[1]
""",
    "nothing but write": """
class Only:
    def write(self, text):
        got.append(text)

sys.stderr = Only()
""",
    "a subclass": """
import io

class Wrapper(io.TextIOWrapper):
    def write(self, text):
        got.append(text)
        return super().write(text)

sys.stderr = Wrapper(sys.stderr.buffer, encoding="utf-8", line_buffering=True)
""",
    "a detached one behind it": """
import io

class Raw(io.RawIOBase):
    def writable(self):
        return True

    def write(self, data):
        got.append(bytes(data).decode())
        return len(data)

sys.stderr = io.TextIOWrapper(io.BufferedWriter(Raw()), encoding="utf-8")
""",
    "one that claims to be a terminal": """
class Liar:
    encoding = "utf-8"

    def isatty(self):
        return True

    def fileno(self):
        raise RuntimeError("I have none")

    def write(self, text):
        got.append(text)

sys.stderr = Liar()
""",
    "one whose attributes fail": """
class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def flush(self):
        pass  # multiprocessing calls it

    def write(self, text):
        got.append(text)

sys.stderr = Hostile()
""",
    "ascii only": """
class Ascii:
    encoding = "ascii"

    def write(self, text):
        text.encode("ascii")
        got.append(text)

sys.stderr = Ascii()
""",
    "a logger's": """
import logging

class Lines(logging.Handler):
    def emit(self, record):
        got.append(record.getMessage() + "\\n")

class ToLog:
    def write(self, text):
        logger.error("%s", text)

logger = logging.getLogger("errors")
logger.propagate = False
logger.addHandler(Lines())
sys.stderr = ToLog()
""",
    "a context": """
import contextlib, io

class Buffer(io.StringIO):
    def write(self, text):
        got.append(text)
        return super().write(text)

context = contextlib.redirect_stderr(Buffer())
context.__enter__()
""",
}
PROGRAM = """
import atexit, json, sys
from concurrent.futures import ProcessPoolExecutor
import threading

got = []
out = sys.stdout
atexit.register(lambda: print("".join(got), file=out, flush=True))

def work(x):
    return 1 / x

if __name__ == "__main__":
    #stream
    if sys.argv[1] == "pool":
        with ProcessPoolExecutor(1) as pool:
            pool.submit(work, 0).result()
    elif sys.argv[1] == "thread":
        thread = threading.Thread(target=work, args=(0,))
        thread.start()
        thread.join()
    else:
        work(0)
"""


@pytest.mark.parametrize("name", STREAMS)
def test_a_replaced_stderr_receives_all(run, name):
    stream = "\n    ".join(STREAMS[name].strip("\n").split("\n"))
    code = PROGRAM.replace("#stream", stream)
    drawn = run(code, "pool", PYTHONIOENCODING="utf-8", NO_COLOR="1")

    assert drawn.stdout.count("in a process-pool worker") == 1, drawn.stderr
    assert drawn.stdout.rstrip().endswith("ZeroDivisionError: division by zero")
    plain, bare = run(code, "main"), run(code, "main", autotb="0")
    assert (plain.stdout, plain.stderr, plain.status) == (bare.stdout, bare.stderr, bare.status) or "claims" in name
    assert "started at" in run(code, "thread").stdout


def test_a_file_of_the_programs_keeps_its_newlines_and_its_encoding(run, tmp_path):
    path = tmp_path / "log"
    stream = f"sys.stderr = open({str(path)!r}, 'w', encoding='utf-16', newline='\\r\\n'); print('first', file=sys.stderr)"
    run(PROGRAM.replace("#stream", stream), "pool")
    text = path.read_bytes().decode("utf-16")

    assert "\ufeff" not in text
    assert text.count("\n") == text.count("\r\n") > 5


def test_a_stream_that_fails_is_written_to_once_and_nothing_is_said_of_it(run):
    stream = "sys.stderr = type('Full', (), {'write': lambda self, text: (got.append('.'), 1 / 0), 'flush': lambda self: None})()"
    ran = run(PROGRAM.replace("#stream", stream), "pool")

    assert ran.stdout == ".\n"
    assert ran.status == 1


LIMITED = """
import logging, sys, threading
from concurrent.futures import ProcessPoolExecutor

sys.tracebacklimit = eval(sys.argv[2])

def outer(x):
    return inner(x)

def inner(x):
    try:
        return 1 / x
    except ZeroDivisionError as error:
        raise KeyError("k") from error

def asks():
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(outer, 0).result()

if __name__ == "__main__":
    if sys.argv[1] == "pool":
        asks()
    elif sys.argv[1] == "log":
        try:
            asks()
        except KeyError:
            logging.exception("failed")
    elif sys.argv[1] == "thread":
        thread = threading.Thread(target=outer, args=(0,), name="one")
        thread.start()
        thread.join()
    else:
        outer(0)
"""
DIRECT = "The above exception was the direct cause of the following exception:"


@pytest.mark.parametrize("style", ["rich", "plain"])
@pytest.mark.parametrize("limit", ["0", "-1", "-(1 << 1000)", "False"])
def test_no_frames_are_shown_where_the_program_wants_none(run, style, limit):
    ran = run(LIMITED, "main", limit, AUTOTB_STYLE=style)

    assert ran.stderr == run(LIMITED, "main", limit, autotb="0").stderr
    told = [line for line in run(LIMITED, "pool", limit, AUTOTB_STYLE=style).lines if line]
    assert told == ["ZeroDivisionError: division by zero", DIRECT, "KeyError: 'k'"]
    told = [line for line in run(LIMITED, "thread", limit, AUTOTB_STYLE=style).lines if line]
    assert told == ["Exception in thread one:", "ZeroDivisionError: division by zero", DIRECT, "KeyError: 'k'"]
    assert "File" not in run(LIMITED, "log", limit).stderr


@pytest.mark.parametrize("limit, shown", [("1", ["inner"]), ("2", ["outer", "inner"]), ("3", ["asks", "outer", "inner"])])
def test_the_innermost_frames_are_shown_and_in_logs_the_outermost(run, limit, shown):
    ran = run(LIMITED, "pool", limit, AUTOTB_STYLE="rich")

    assert [head.partition(" in ")[2] for head in ran.heads] == ["inner", *shown]
    logged = run(LIMITED, "log", limit).stderr.split(DIRECT)[1]
    assert '", line 12, in inner' not in logged
    assert logged.count('  File "') == int(limit)
    assert run(LIMITED, "main", limit, AUTOTB_STYLE="plain").stderr.count('  File "') == len(
        [line for line in run(LIMITED, "main", limit, autotb="0").lines if line.startswith('  File "')]
    )


@pytest.mark.parametrize("limit", ["None", "'abc'", "1.0", "1 << 1000"])
def test_all_is_shown_where_the_limit_is_none(run, limit):
    story = json.loads(run(LIMITED, "main", limit, AUTOTB_STYLE="json").stderr)

    assert [frame["name"] for frame in story["error"]["hops"][0]["frames"]] == ["<module>", "outer", "inner"]
