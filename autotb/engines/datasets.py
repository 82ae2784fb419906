"""Hugging Face datasets: ``map``, ``filter`` and ``from_generator`` with ``num_proc``.

The work runs in a pool of ``multiprocess``, whose adapter carries the error; here are the frames that are the library's own, so
that the user's function is what is told.  Source: https://huggingface.co/docs/datasets/process#multiprocessing
"""

from __future__ import annotations

from autotb import engine_facts
from autotb.instrument.patch import Patch

MODULES = ("datasets.arrow_dataset",)
NAME = "Hugging Face datasets"
DISTRIBUTION = "datasets"
CAPTURED = "Dataset.map and filter with num_proc"
TESTED = "2.14 to 5.2"

engine_facts.register(own=("datasets", "multiprocess", "dill", "tqdm"))

PATCHES: tuple[Patch, ...] = ()

#: What ``python -m autotb demo --engine datasets`` runs: a user's script.
DEMO = '''\
"""Hugging Face datasets maps a function over a data set on two processes; one row is bad."""

import datasets


def rate(clicks, views):
    return clicks / views


def score(row):
    return {"score": rate(row["clicks"], row["views"])}


def main():
    rows = datasets.Dataset.from_dict({"clicks": list(range(8)), "views": [5 - n for n in range(8)]})
    return rows.map(score, num_proc=2)


if __name__ == "__main__":
    main()
'''
