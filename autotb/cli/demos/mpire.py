"""mpire's WorkerPool scores eight items; one of them is bad."""

from mpire import WorkerPool

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    with WorkerPool(n_jobs=2) as pool:
        return pool.map(score, [(item,) for item in ITEMS])


if __name__ == "__main__":
    main()
