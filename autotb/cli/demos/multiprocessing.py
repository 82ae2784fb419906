"""multiprocessing.Pool scores 300 items; one of them is bad."""

import sys
import time
from multiprocessing import Pool

from rich.progress import Progress

ITEMS = [{"id": number, "clicks": number % 7, "views": 500 - number} for number in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


def score(item):
    time.sleep(0.003)
    return item["id"], rate(item["clicks"], item["views"])


def main():
    scores = {}
    with Pool(2) as pool, Progress(transient=not sys.stdout.isatty()) as progress:
        for number, value in progress.track(pool.imap(score, ITEMS), total=len(ITEMS), description="scoring"):
            scores[number] = value
    return scores


if __name__ == "__main__":
    main()
