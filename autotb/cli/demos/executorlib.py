"""executorlib runs eight calls in worker scripts; one of them fails."""

from executorlib import SingleNodeExecutor

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    with SingleNodeExecutor(max_workers=2) as executor:
        futures = [executor.submit(score, item) for item in ITEMS]
        return [future.result() for future in futures]


if __name__ == "__main__":
    main()
