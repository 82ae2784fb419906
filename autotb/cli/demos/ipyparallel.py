"""A cluster of two ipyparallel engines scores eight items; one of them is bad."""

import ipyparallel

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def main():
    with ipyparallel.Cluster(n=2, log_level=50) as client:
        def work(item):
            def rate(clicks, views):
                return clicks / views

            return rate(item["clicks"], item["views"])

        return client.load_balanced_view().map_sync(work, ITEMS)


if __name__ == "__main__":
    main()
