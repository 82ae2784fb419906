import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def work(n, folder):
    open(f"{folder}/{n}", "w").close()
    if n == 0:
        while not os.path.exists(f"{folder}/1"):
            time.sleep(0.01)
        os.closerange(3, 200)  # it is missed from now on
        while not os.path.exists(f"{folder}/2"):
            time.sleep(0.01)
        time.sleep(0.3)
        os._exit(7)
    time.sleep(0.05)


def main(kind, folder):
    if kind == "loky":
        from loky import ProcessPoolExecutor as pools

        pool = pools(2)
    else:
        pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(kind))
    futures = [pool.submit(work, n, folder) for n in range(20)]
    for n, future in enumerate(futures):
        try:
            future.result()
        except Exception as error:
            import autotb

            print(f"=== {n}", autotb.explain(error), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
