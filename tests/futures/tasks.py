"""Tasks for workers of every kind."""

from __future__ import annotations

import json
import subprocess
import sys
import time


def add(a, b="text"):
    return a + b


def outer(value):
    return inner(value)


def inner(value):
    note = "of inner"  # noqa: F841  the record holds it
    return 1 / value


def needs_module(_):
    import nonexistent_module

    return nonexistent_module


def chained():
    try:
        raise ValueError("Inner error")
    except ValueError as error:
        raise RuntimeError("Outer error") from error


def while_handling():
    try:
        raise ValueError("Inner error")
    except ValueError:
        raise RuntimeError("Outer error")  # noqa: B904


def writes(path):
    return json.dumps({path: object()})


def runs_a_tool(text):
    tool = "import sys; print('printed'); sys.exit('complained')"
    subprocess.run([sys.executable, "-c", tool], check=True, capture_output=True, text=text)


def fails_at_first(path, times, kind=ConnectionError):
    with open(path, "a") as file:
        file.write("x")
    with open(path) as file:
        count = len(file.read())
    if count <= times:
        raise kind(f"call {count}")
    return "done"


def fails_with(_):
    raise ConnectionError("with it")


def sleep(seconds):
    time.sleep(seconds)
