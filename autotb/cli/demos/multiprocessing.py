"""multiprocessing.Pool scores 300 items; one of them is bad."""

import time
from multiprocessing import Pool

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
    with Pool(2) as pool, Progress() as bar:
        for number, value in bar.track(pool.imap(score, ITEMS), total=300):
            scores[number] = value
    return scores


if __name__ == "__main__":
    main()
