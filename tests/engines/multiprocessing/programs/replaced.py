import multiprocessing as mp
import os
import time

import autotb

fork = os.fork


def slowly():
    time.sleep(0.5)
    return fork()


def work(x):
    os.kill(os.getpid(), 9)


if __name__ == "__main__":
    with mp.get_context("fork").Pool(2) as pool:
        os.fork = slowly
        try:
            pool.apply(work, (3,))
        except autotb.WorkerDied as error:
            print("died", error.task)
        pool.close()
        pool.join()
