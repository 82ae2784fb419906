"""A thread pool scores 300 items; one of them is bad."""

import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from rich.progress import Progress

ITEMS = [{"id": n, "clicks": n % 7, "views": 500 - n} for n in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


def score(item):
    time.sleep(0.003)
    return item["id"], rate(item["clicks"], item["views"])


def main():
    scores = {}
    with ThreadPoolExecutor(2) as pool, Progress() as bar:
        futures = [pool.submit(score, item) for item in ITEMS]
        for future in bar.track(as_completed(futures), total=300):
            number, value = future.result()
            scores[number] = value
    return scores


if __name__ == "__main__":
    main()
