"""A pool of pathos maps a lambda over eight items; one of them is bad."""

from pathos.multiprocessing import ProcessPool

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return ProcessPool(nodes=2).map(lambda item: score(item), ITEMS)


if __name__ == "__main__":
    main()
