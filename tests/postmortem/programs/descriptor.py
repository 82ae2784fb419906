import os
import sys
from concurrent.futures import ProcessPoolExecutor


def work(x):
    os.closerange(3, 4096)  # as a careless daemon does: the descriptors of others with it
    names = [open(os.path.join(sys.argv[1], f"{x}-{k}"), "w") for k in range(300)]  # noqa: SIM115
    return len(names)


def crash(x):
    import ctypes

    ctypes.string_at(0)


if __name__ == "__main__":
    pool = ProcessPoolExecutor(1)
    print(pool.submit(work, 1).exception())
    try:
        pool.submit(crash, 1).result()
    except Exception as error:
        print(type(error).__name__)
