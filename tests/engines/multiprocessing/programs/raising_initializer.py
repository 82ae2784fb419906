import multiprocessing as mp
import time


def broken():
    raise RuntimeError("no GPU here")


if __name__ == "__main__":
    for pause in (0, 0.3) * 3:
        with mp.get_context("fork").Pool(2, broken) as pool:
            time.sleep(pause)
            try:
                pool.apply(abs, (1,))
            except Exception as error:
                print(type(error).__name__, error)
