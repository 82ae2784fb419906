"""Exceptions that come from another process: what their worker's frames cost, in both processes' CPU time and in memory."""

from __future__ import annotations

import functools
import json

from benchmarks.measure import Row, pairs, python

# Each function may fail a hundred times with a full record; further failures of its line have a light one.
_FAILING = """
import gc, importlib, json, os, sys, tempfile, time, tracemalloc
from concurrent.futures import ProcessPoolExecutor
switch, mode, functions, each, depth = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
os.environ["AUTOTB_TRACEBACK"] = switch
code = "def fail{0}(number, depth={1}):\\n    if depth > 1: return fail{0}(number, depth - 1)\\n    raise ValueError(number)\\n"
folder = tempfile.TemporaryDirectory()  # a program's functions have source, which Python's own text of a failure shows
with open(os.path.join(folder.name, "failing_functions.py"), "w") as file:
    file.write("".join(code.format(number, depth) for number in range(functions + 1)))
sys.path.insert(0, folder.name)
module = importlib.import_module("failing_functions")
names = [getattr(module, f"fail{number}") for number in range(functions + 1)]
def errors(functions, each):
    for fail in functions:
        for number in range(each):
            try: pool.submit(fail, number).result()
            except ValueError as error: yield error
def spent():
    return time.process_time() + pool.submit(time.process_time).result()
with ProcessPoolExecutor(1) as pool:
    for _ in errors(names[-1:], 150): pass
    if mode == "time":
        before = spent()
        for _ in errors(names[:-1], each): pass
        found = spent() - before
    else:
        if functions == 1:
            for _ in errors(names[:-1], 150): pass
        gc.collect()
        tracemalloc.start()
        held = list(errors(names[:-1], each))
        found = tracemalloc.get_traced_memory()[0]
print(json.dumps(found))
folder.cleanup()
"""


def rows() -> list[Row]:
    """The budgets of arriving exceptions."""
    found = []
    for what, functions, each, count in (("full records", 20, 90, 31), ("light ones", 1, 3_000, 9)):
        timing = functools.partial(_measured, "time", functions, each, 4)
        name = f"a task that fails in another process, 4 frames, {what}"
        found.append(pairs(f"{name}: frames", lambda t=timing: t("1", "1"), lambda t=timing: t("1", "0"), 1.15, count=count))  # type: ignore[misc]
        found.append(pairs(f"{name}: all", lambda t=timing: t("1", "1"), lambda t=timing: t("0", "0"), 1.5, count=count))  # type: ignore[misc]
    weighing = functools.partial(_measured, "memory", 1, 10_000, 8)
    what = "10,000 failures of another process held, 8 frames: memory"
    return [*found, pairs(what, lambda: weighing("1", "1"), lambda: weighing("0", "0"), 1.5, count=3)]


def _measured(mode: str, functions: int, each: int, depth: int, autotb: str, switch: str) -> float:
    return float(json.loads(python(_FAILING, autotb=autotb, args=(switch, mode, str(functions), str(each), str(depth)))))
