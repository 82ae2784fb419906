import collections
import multiprocessing as mp
import os
import random
import sys
import threading
import time


def work(task):
    number, data = task
    time.sleep(random.random() * 0.005)
    return number, data


def main(method, seed, size, end):
    chance = random.Random(seed)
    pool = mp.get_context(method).Pool(4)
    over = threading.Event()
    kills = 0

    def kill():
        nonlocal kills
        while not over.is_set():
            time.sleep(chance.random() * (0.05 if method == "fork" else 0.4))
            try:
                os.kill(chance.choice(pool._pool).pid, 9)
                kills += 1
            except (ProcessLookupError, IndexError, TypeError):
                pass

    killer = threading.Thread(target=kill)
    killer.start()
    jobs = [pool.apply_async(work, ((k, b"x" * size),)) for k in range(200)]
    came = collections.Counter()
    for number, job in enumerate(jobs):
        try:
            assert job.get(60) == (number, b"x" * size)
            came["result"] += 1
        except mp.TimeoutError:
            came["waited for ever"] += 1
            break
        except mp.ProcessError:
            came["died"] += 1
    over.set()
    killer.join()
    said = (came["result"] + came["died"], came["waited for ever"], came["died"] <= kills, came["result"] > 0)
    os.write(1, f"{' '.join(map(str, said))}\n".encode())  # a worker that is forked just now would flush what print leaves
    if end == "close":
        pool.close()
    else:
        pool.terminate()
    pool.join()
    print("joined")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
