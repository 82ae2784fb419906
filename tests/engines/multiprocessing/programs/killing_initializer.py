import multiprocessing as mp
import os


def broken():
    os.kill(os.getpid(), 9)


if __name__ == "__main__":
    with mp.get_context("fork").Pool(2, broken) as pool:
        pool.apply(abs, (1,))
