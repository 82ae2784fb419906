"""A reusable executor of loky maps over eight items; one of them is bad."""

from loky import get_reusable_executor

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return list(get_reusable_executor(max_workers=2).map(score, ITEMS))


if __name__ == "__main__":
    main()
