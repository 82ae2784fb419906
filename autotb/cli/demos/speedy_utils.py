"""speedy-utils scores eight items in worker processes; one of them is bad."""

from speedy_utils import multi_process

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    return multi_process(score, ITEMS, num_procs=2, progress=False, error_handler="raise", backend="spawn")


if __name__ == "__main__":
    main()
