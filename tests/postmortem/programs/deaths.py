import ctypes
import multiprocessing as mp
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, wait


def crash(address):
    ctypes.string_at(address)


def work(x, how):
    if x != 3:
        time.sleep(0.05)
        return x
    if how == "kill":
        os.kill(os.getpid(), 9)
    elif how == "exit":
        os._exit(3)
    elif how == "abort":
        os.abort()
    else:
        crash(0)
    return None


def main(engine, how, index):
    if engine == "joblib":
        from joblib import Parallel, delayed

        print(Parallel(n_jobs=2)(delayed(work)(k, how) for k in range(12)))
        return
    if engine == "loky":
        from loky import ProcessPoolExecutor as Pool

        pool = Pool(2)
    else:
        pool = ProcessPoolExecutor(2, mp_context=mp.get_context(engine))
    with pool:
        futures = [pool.submit(work, k, how) for k in range(12)]
        wait(futures)
        futures[index].result()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
