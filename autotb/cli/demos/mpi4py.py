"""MPI processes score eight items; one of them is bad."""

import os
import sys

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


def main():
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor() as executor:
        return list(executor.map(score, ITEMS))


if __name__ == "__main__":
    if "OMPI_COMM_WORLD_RANK" in os.environ or "PMI_RANK" in os.environ:
        main()
    else:
        os.execvp("mpiexec", ["mpiexec", "-n", "2", sys.executable, "-m", "mpi4py.futures", __file__])
