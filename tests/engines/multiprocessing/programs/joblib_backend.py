import os

from joblib import Parallel, delayed


def work(x):
    if x == 3:
        os.kill(os.getpid(), 9)
    return x


if __name__ == "__main__":
    Parallel(n_jobs=2, backend="multiprocessing")(delayed(work)(k) for k in range(10))
