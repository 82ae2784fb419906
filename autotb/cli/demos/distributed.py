"""A Dask cluster of two workers maps over eight items; one of them is bad."""

from distributed import Client, LocalCluster

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        return client.gather(client.map(score, ITEMS))


if __name__ == "__main__":
    main()
