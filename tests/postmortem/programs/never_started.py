import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def work(n, folder):
    open(f"{folder}/{n}", "w").close()
    while not all(os.path.exists(f"{folder}/{other}") for other in (0, 1)):
        time.sleep(0.01)
    if n == 1:
        os._exit(7)
    time.sleep(600)


def main(kind, folder):
    if kind == "loky":
        from loky import ProcessPoolExecutor as pools

        pool = pools(2)
    else:
        pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(kind))
    futures = [pool.submit(work, n, folder) for n in range(6)]
    for n in (0, 1, 2, 5):
        try:
            futures[n].result()
        except Exception as error:
            import autotb

            print(f"=== {n}", autotb.explain(error), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
