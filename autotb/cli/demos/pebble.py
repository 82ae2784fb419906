"""Pebble's process pool scores eight items, each within ten seconds; one of them is bad."""

from pebble import ProcessPool

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    with ProcessPool(max_workers=2) as pool:
        futures = [pool.schedule(score, args=(item,), timeout=10) for item in ITEMS]
        return [future.result() for future in futures]


if __name__ == "__main__":
    main()
