import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def main():
    pool = ProcessPoolExecutor(1)
    os.kill(pool.submit(os.getpid).result(), 9)
    while not pool._broken:
        time.sleep(0.01)
    pool._executor_manager_thread.join()
    if sys.argv[1] == "map":
        pool.map(abs, [1])
    pool.submit(abs, 1)


if __name__ == "__main__":
    main()
