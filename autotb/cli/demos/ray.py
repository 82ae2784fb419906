"""Ray scores 300 items in tasks; one of them is bad."""

import sys

import ray
from rich.progress import Progress

ITEMS = [{"id": number, "clicks": number % 7, "views": 500 - number} for number in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


@ray.remote
def score(item):
    return item["id"], rate(item["clicks"], item["views"])


def main():
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    scores = {}
    with Progress(transient=not sys.stdout.isatty()) as progress:
        refs = [score.remote(item) for item in ITEMS]
        for ref in progress.track(refs, description="scoring"):
            number, value = ray.get(ref)
            scores[number] = value
    return scores


if __name__ == "__main__":
    main()
