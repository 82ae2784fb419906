"""A Prefect flow submits eight tasks; one of them fails."""

import os

os.environ.setdefault("PREFECT_HOME", os.path.join(os.path.dirname(os.path.abspath(__file__)), "prefect"))

from prefect import flow, task

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


@task
def score(item):
    return rate(item["clicks"], item["views"])


@flow
def work():
    return score.map(ITEMS).result()


if __name__ == "__main__":
    work()
