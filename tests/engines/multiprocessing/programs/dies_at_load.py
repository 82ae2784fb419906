import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def dies(signal):
    os.kill(os.getpid(), signal)


class DiesAtLoad:
    def __reduce__(self):
        return dies, (9,)


def same(x):
    return x


if __name__ == "__main__":
    if sys.argv[1] == "pool":
        with get_context("fork").Pool(1) as pool:
            assert sys.argv[2] == "first" or pool.apply(same, (1,)) == 1
            pool.apply(same, (DiesAtLoad(),))
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        assert sys.argv[2] == "first" or pool.submit(same, 1).result() == 1
        pool.submit(same, DiesAtLoad()).result()
