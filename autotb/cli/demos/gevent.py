"""Greenlets score eight items; one of them is bad."""

import gevent

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    jobs = [gevent.spawn(score, item) for item in ITEMS]
    gevent.joinall(jobs, raise_error=True)


if __name__ == "__main__":
    main()
