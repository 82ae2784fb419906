"""Another interpreter of this process scores an item, which is bad (Python 3.14)."""

from concurrent import interpreters

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return interpreters.create().call(score, ITEMS[5])


if __name__ == "__main__":
    main()
