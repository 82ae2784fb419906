import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor


def first():
    return 1


if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=mp.get_context("fork")) as pool:
        pool.submit(first).result()
        exec("def later(x): return x", globals())
        pool.submit(later, 1).result()  # noqa: F821
