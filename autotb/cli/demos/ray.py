"""Ray scores 300 items in tasks; one of them is bad."""

import ray
from rich.progress import Progress

ITEMS = [{"id": n, "clicks": n % 7, "views": 500 - n} for n in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


@ray.remote
def score(item):
    return item["id"], rate(item["clicks"], item["views"])


def main():
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    scores = {}
    with Progress() as bar:
        refs = [score.remote(item) for item in ITEMS]
        for ref in bar.track(refs):
            number, value = ray.get(ref)
            scores[number] = value
    return scores


if __name__ == "__main__":
    main()
