"""joblib scores eight items on loky's worker processes; one of them is bad."""

from joblib import Parallel, delayed

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return Parallel(n_jobs=2)(delayed(score)(item) for item in ITEMS)


if __name__ == "__main__":
    main()
