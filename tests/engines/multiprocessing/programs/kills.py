import multiprocessing as mp
import os
import sys
import threading
import time

import autotb


def work(x, how="kill"):
    if x == 3:
        if how == "kill":
            os.kill(os.getpid(), 9)
        os._exit(4)
    return x


def outcome(call):
    try:
        return call()
    except mp.ProcessError as error:
        assert type(error) is autotb.WorkerDied, error
        return f"died {error.signal} {error.exitcode} {error.task}"


def main(method):
    seen = threading.Event()
    told = []

    def failed(error):
        told.append(error)
        seen.set()

    with mp.get_context(method).Pool(2) as pool:
        print("apply", outcome(lambda: pool.apply(work, (3,))))
        print("status", outcome(lambda: pool.apply(work, (3, "exit"))))
        print("map", outcome(lambda: pool.map(work, range(6), 1)))
        print("starmap", outcome(lambda: pool.starmap(work, [(1,), (3,)], 1)))
        print("after", pool.map(work, [0, 1, 2]))
        results = pool.imap(work, range(6))
        print("imap", [outcome(lambda: next(results)) for _ in range(6)])
        results = pool.imap_unordered(work, range(6))
        print("unordered", sorted(str(outcome(lambda: next(results))) for _ in range(6)))
        pool.apply_async(work, (3,), callback=print, error_callback=failed)
        seen.wait(30)
        print("callback", type(told[0]).__name__, told[0].pid > 0)
        began = time.monotonic()
        outcome(lambda: pool.apply(work, (3,)))
        print("soon", time.monotonic() - began < 5)
        pool.apply(work, (3,))


if __name__ == "__main__":
    main(sys.argv[1])
