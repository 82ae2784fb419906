"""Two hundred tasks on each pool while workers are killed at random moments: no hang, and every task is accounted for.

``multiprocessing.Pool``, which goes on, has its own in ``test_multiprocessing``.
"""

from __future__ import annotations

import json

import pytest

PROGRAM = """
import json
import multiprocessing
import os
import random
import re
import sys
import threading
import time

import autotb

ACCOUNTS = {
    "never started": r"never started: the pool broke before",
    "ended with the pool": r"started on worker \\d+, which was ended with the pool",
    "ended, its result lost": r"ended on (a worker|worker \\d+), and its result did not arrive before the pool broke",
    "not known": r"not known whether it started: the pool broke",
    "named casualty": r"work\\((k=)?OWN\\).{0,4}started and then crashed(, within \\d+\\.\\d s)?: killed by signal 9",
    "worker died between tasks": r"died( after a task, before another began| before its first task began)?: killed by signal 9",
    "Pebble gave up": r"BrokenProcessPool: All workers expired",
}

def work(k):
    time.sleep(random.random() * 0.02)
    return k

def account(k, error):
    story = " ".join(str(autotb.explain(error)).split())
    return next((name for name, told in ACCOUNTS.items() if re.search(told.replace("OWN", str(k)), story)), "unknown: " + story)

def kills(chance, workers, once, stop):
    while not stop.wait(0.05 + chance.random() * 0.25):
        pids = workers()
        if pids:
            try:
                os.kill(chance.choice(pids), 9)
            except OSError:
                continue  # it had just ended
            if once:
                return

def main(engine, seed):
    chance = random.Random(seed)
    if engine == "pebble":
        from pebble import ProcessPool
        pool = ProcessPool(3)
        futures = [pool.schedule(work, (k,)) for k in range(200)]
    elif engine == "loky":
        from loky import ProcessPoolExecutor
        pool = ProcessPoolExecutor(3)
        futures = [pool.submit(work, k) for k in range(200)]
    else:
        from concurrent.futures import ProcessPoolExecutor
        pool = ProcessPoolExecutor(3, mp_context=multiprocessing.get_context(engine))
        futures = [pool.submit(work, k) for k in range(200)]
    def workers():
        if engine == "pebble":
            return [process.pid for process in multiprocessing.active_children()]
        return list(pool._processes or ())

    stop = threading.Event()
    killer = threading.Thread(target=kills, args=(chance, workers, engine != "pebble", stop))
    killer.start()
    counts = {}
    for k, future in enumerate(futures):
        try:
            outcome = "result" if future.result(timeout=120) == k else "wrong result"
        except Exception as error:
            outcome = account(k, error)
        counts[outcome] = counts.get(outcome, 0) + 1
    stop.set()
    killer.join()
    if engine == "pebble":
        pool.stop()
        pool.join()
    else:
        pool.shutdown()
    print(json.dumps(counts))

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
"""

KNOWN = {
    "result",
    "named casualty",
    "never started",
    "ended with the pool",
    "ended, its result lost",
    "not known",
    "worker died between tasks",
    "Pebble gave up",
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("engine", ["fork", "spawn", "forkserver", "loky", "pebble"])
def test_every_task_is_a_result_an_error_or_a_named_casualty(run, engine, seed):
    ran = run(PROGRAM, engine, str(seed), timeout=200)
    assert ran.status == 0, ran.stderr
    counts = json.loads(ran.stdout)
    assert set(counts) <= KNOWN, counts
    assert sum(counts.values()) == 200
    assert engine == "pebble" or counts.get("named casualty", 0) <= 1  # one worker was killed, with what it ran
