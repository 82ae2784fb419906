"""Fails, in the way that the first argument names, under the ``sys.tracebacklimit`` that the second one is."""

import logging
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

sys.tracebacklimit = eval(sys.argv[2])


def outer(x):
    return inner(x)


def inner(x):
    try:
        return 1 / x
    except ZeroDivisionError as error:
        raise KeyError("k") from error


def asks():
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(outer, 0).result()


if __name__ == "__main__":
    if sys.argv[1] == "pool":
        asks()
    elif sys.argv[1] == "log":
        try:
            asks()
        except KeyError:
            logging.exception("failed")
    elif sys.argv[1] == "thread":
        thread = threading.Thread(target=outer, args=(0,), name="one")
        thread.start()
        thread.join()
    else:
        outer(0)
