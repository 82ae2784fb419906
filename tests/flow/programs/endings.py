"""A SystemExit of a call, then a Ctrl-C while calls are made, and the run of that resumed; on the executor that is named."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter

from parity import executor_of

import autotb

BEGUN = os.path.abspath("begun")  # a file for each call that was begun
CALLS, BEFORE = 24, 6  # calls, and of them those that are begun before the Ctrl-C


def leaves(number):
    if number == 3:
        raise SystemExit(3)
    return number


def works(number, folder):
    import os  # Parsl sends functions of the main script without its globals
    import time

    with open(os.path.join(folder, f"{number}-{time.time_ns()}"), "w"):
        pass
    time.sleep(0.2)
    return number


@contextlib.contextmanager
def executor_named(name):
    if name != "parsl_threads":
        with executor_of(name) as executor:
            yield executor
        return
    import parsl
    from parsl.config import Config
    from parsl.executors import ThreadPoolExecutor

    with parsl.load(Config([ThreadPoolExecutor(max_threads=2)], run_dir=tempfile.mkdtemp(), usage_tracking=0)) as kernel:
        yield kernel


def interrupt():
    while len(os.listdir(BEGUN)) < BEFORE:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def total_of(executor):
    flow = autotb.Flow(executor, run_folder="run", resume=True, progress=False)
    worked = flow.map(works, range(CALLS), folder=BEGUN)
    total = flow.call(sum, worked)
    return flow.run()[total]


if __name__ == "__main__":
    os.makedirs(BEGUN)
    with executor_named(sys.argv[1]) as executor:
        for mode in ("raise", "continue"):
            try:
                autotb.map(leaves, range(20), executor=executor, error_handling=mode, progress=False)
            except SystemExit as error:
                print("left with", error.code, flush=True)
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            total_of(executor)
        except KeyboardInterrupt as error:
            print("interrupted", flush=True)
            caught = error
        print("total", total_of(executor), flush=True)
    begun = Counter(name.partition("-")[0] for name in os.listdir(BEGUN))
    print("again", sum(begun.values()) - CALLS, flush=True)
    raise caught
