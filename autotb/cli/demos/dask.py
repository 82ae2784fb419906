"""Dask computes a small graph on processes; one branch fails."""

import dask

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    branches = [dask.delayed(score)(item) for item in ITEMS]
    return dask.delayed(sum)(branches).compute(scheduler="processes", num_workers=2)


if __name__ == "__main__":
    main()
