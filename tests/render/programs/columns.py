"""Two tasks fail in a pool, one in the midst of a line, one over several lines; each is shown by the hook."""

import sys
from concurrent.futures import ProcessPoolExecutor


def work(x):
    table = {"rows": 1}
    return table["rows"] / x


def spread(x):
    return max(
        1,
        1 / x,
    )


if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        for each in (work, spread):
            try:
                pool.submit(each, 0).result()
            except ZeroDivisionError as error:
                sys.excepthook(type(error), error, error.__traceback__)
