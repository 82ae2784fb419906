"""A stderr that the program has replaced or patched gets the story, whole, through its own ``write``."""

from __future__ import annotations

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


def test_what_python_tells_where_stderr_is_closed_is_told(run):
    code = """
import sys
from concurrent.futures import ThreadPoolExecutor

if __name__ == "__main__":
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(int, "x")
        future.exception()
    sys.stderr.close()
    future.result()
"""
    ran, bare = run(code), run(code, autotb="0")

    assert ran.status == bare.status == 1
    assert ("ValueError" in ran.stderr) == ("ValueError" in bare.stderr)
