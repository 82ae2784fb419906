"""The failing path: from raise to exit, many failures caught, what a record costs and weighs."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, environment, pairs, python, row

_PROGRAM = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
def inner(x):
    sys.stderr.write("raised %.9f\\n" % time.time())
    return 1 / x
def work(x):
    return inner(x)
def main():
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(work, 0).result()
if __name__ == "__main__":
    if {rich}:
        import rich.traceback
        rich.traceback.install()
    main()
"""


def rows() -> list[Row]:
    """The failing-path budgets."""
    return [_raise_to_exit(), *_many_failures(), *_nobody_asks(), *_record()]


def _raise_to_exit() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        scripts = {}
        for name, rich in (("ours", False), ("rich", True)):
            scripts[name] = Path(folder) / f"shown_by_{name}.py"
            scripts[name].write_text(_PROGRAM.format(rich=rich), encoding="utf-8")

        def timing(name: str, autotb: str) -> float:
            done = subprocess.run(
                [sys.executable, str(scripts[name])],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
                env=environment(autotb),
            )
            end = time.time()
            raised = next(line for line in done.stderr.splitlines() if line.startswith("raised"))
            return end - float(raised.split()[1])

        return pairs(
            "from raise to exit, one error on a process pool, to rich's",
            lambda: timing("ours", "1"),
            lambda: timing("rich", "0"),
            0.6,
        )


_MANY = """
import json, sys, time, tracemalloc, gc
from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor
def fail(x): raise ValueError(x)
kind, hold = sys.argv[1], sys.argv[2] == "hold"
count = 20000 if kind == "threads" else 3000
held = []
with (ThreadPoolExecutor(1) if kind == "threads" else ProcessPoolExecutor(1)) as pool:
    try: pool.submit(fail, 0).result()
    except ValueError: pass
    start = time.perf_counter()
    for i in range(count):
        try: pool.submit(fail, i).result()
        except ValueError as e:
            if hold: held.append(e)
    spent = time.perf_counter() - start
    if hold:
        held.clear(); gc.collect()
        tracemalloc.start()
        for i in range(2000):
            try: pool.submit(fail, i).result()
            except ValueError as e: held.append(e)
        spent = tracemalloc.get_traced_memory()[0]
print(json.dumps(spent))
"""


def _many_failures() -> list[Row]:
    found = []
    for kind in ("threads", "processes"):
        for mode, what in (("drop", "time"), ("hold", "memory")):

            def timing(autotb: str, kind: str = kind, mode: str = mode) -> float:
                return float(json.loads(python(_MANY, autotb=autotb, args=(kind, mode))))

            found.append(
                pairs(f"many failures caught, {kind}: {what}", lambda t=timing: t("1"), lambda t=timing: t("0"), 1.5, count=7)  # type: ignore[misc]
            )
    return found


_DROPPED = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor
def fail(x): raise ValueError(f"request {x} failed")
def drop(pool, count):
    for number in range(count):
        future = pool.submit(fail, number)
        if number % 200 == 199:
            while not future.done(): time.sleep(0.0005)
def kept():
    return int(open("/proc/self/statm").read().split()[1]) * 4
kind, count = sys.argv[1], int(sys.argv[2])
with (ThreadPoolExecutor(1) if kind == "threads" else ProcessPoolExecutor(1)) as pool:
    drop(pool, 400)
    before, start = kept(), time.process_time()
    drop(pool, count)
    spent, more = time.process_time() - start, kept() - before
if kind == "processes":
    import resource
    spent += sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
print(json.dumps([spent, more]))
"""


def _nobody_asks() -> list[Row]:
    """Failures by the thousand whose futures are dropped: processor time beside bare Python, and what the process grows by."""
    found, grown = [], []
    for kind, count in (("threads", 20_000), ("processes", 5_000)):

        def timing(autotb: str, kind: str = kind, count: int = count) -> float:
            spent, more = json.loads(python(_DROPPED, autotb=autotb, args=(kind, str(count))))
            if autotb == "1" and kind == "threads":
                grown.append(float(more))
            return float(spent)

        what = f"{count:,} failures that are never retrieved, {kind}: time"
        found.append(pairs(what, lambda t=timing: t("1"), lambda t=timing: t("0"), 1.5, count=7))  # type: ignore[misc]
    return [*found, row("20,000 failures that are never retrieved, threads: memory, added", grown, 1_000, "KB")]


def _fail(depth: int, values: dict[str, Any]) -> None:
    label = f"at depth {depth}"
    if depth:
        _fail(depth - 1, {**values, label: depth})
    raise ValueError(label)


def _record() -> list[Row]:
    from autotb.record import build

    ratios, size = [], 0
    for _ in range(110):
        build._seen.clear()
        try:
            _fail(6, {"a": 1})
        except ValueError as error:
            start = time.perf_counter()
            tree = build.record(error, error.__traceback__, build.hop("benchmark", "here", call="f()"))
            made = time.perf_counter()
            "".join(traceback.format_exception(type(error), error, error.__traceback__))
            ratios.append((made - start) / (time.perf_counter() - made))
            size = len(pickle.dumps(tree))
    return [
        row("a record made by a worker, 8 frames, to Python's own text of it", ratios[10:], 3),
        row("a record made by a worker, 8 frames", [size / 1024], 64, "KiB"),
    ]


if __name__ == "__main__":
    found = rows()
    sys.stdout.write("\n".join(map(str, found)) + "\n")
    sys.exit(any(not row.ok for row in found))
