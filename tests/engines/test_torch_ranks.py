"""Ranks that a program starts itself, on gloo: the one that failed is the story, those that lost it are told in fewer lines."""

from __future__ import annotations

import re

from autotb.instrument import ranks
from tests.engines import kit

pytestmark = kit.on_main

JOBS = """
import multiprocessing, os, sys, tempfile
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

FORK = multiprocessing.get_context("fork")

def load(rank, step):
    if rank == 1 and step == 2:
        raise ValueError(f"bad sample in step {step}")
    return torch.ones(2)

def train(rank, store):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for step in range(3):
        batch = load(rank, step)
        dist.all_reduce(batch)

def by_hand(store):
    processes = [FORK.Process(target=train, args=(rank, store)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

def spawned(store):
    context = mp.start_processes(train, (store,), nprocs=2, join=False, start_method="fork")
    for process in context.processes:
        process.join()  # torch then takes the first by number for the one that failed first
    try:
        context.join()
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)

def alone(store):
    child = os.fork()
    try:
        train(int(child == 0), store)
    finally:
        if child:
            os.waitpid(child, 0)

if __name__ == "__main__":
    folder = tempfile.mkdtemp(dir=os.getcwd())
    for number, job in enumerate((by_hand, spawned, alone)):
        print(f"== {job.__name__}", file=sys.stderr, flush=True)
        job(f"{folder}/{number}")
"""


def test_the_rank_that_failed_is_the_story_and_those_that_lost_it_are_told_without_source_around(shows):
    def check(ran):
        _, by_hand, spawned, alone = re.split("^== .*\n", ran.stderr, flags=re.M)
        failed, lost = _parts(by_hand, r"^Process \S+Process-[12]:\n")
        assert "│ in process ForkProcess-2, rank 1 of 2, pid " in failed
        assert "│ load(rank=1, step=2) " in failed
        assert re.match(
            r"Traceback.*\n  \[in process ForkProcess-1, rank 0 of 2, pid \d+, started at .* in by_hand\]\n  File ", lost
        )
        assert "dist.all_reduce(batch)" in lost
        assert len(lost.splitlines()) <= 6

        assert "│ train(rank=1, store=" in spawned
        assert re.search(r"^process 1 of torch.multiprocessing.spawn failed first$", spawned, re.M)
        assert re.search(r"^process 0 failed after it: RuntimeError: ", spawned, re.M)
        assert spawned.splitlines()[-1] == "ValueError: bad sample in step 2"

        failed = "".join(re.findall(r"^\[rank1\]: (.*\n)", alone, re.M))
        lost = "".join(re.findall(r"^\[rank0\]: (.*\n)", alone, re.M))
        assert re.match(r"Traceback.*\n  \[in rank 1 of 2, pid \d+\]\n  \[load\(rank=1, step=2\)\]\n", failed)
        assert re.match(r"Traceback.*\n  \[in rank 0 of 2, pid \d+\]\n  File .* in <module>\n", lost)
        assert "distributed_c10d.py" not in lost
        assert ran.status == 1

    shows(JOBS, check, OMP_NUM_THREADS="1")


def _parts(text, head):
    """What the two ranks told, the one that failed first."""
    first, second = re.split(head, text, flags=re.M)[1:]
    return (first, second) if "ValueError" in first else (second, first)


def test_a_rank_whose_group_cannot_be_asked_is_a_plain_program(monkeypatch):
    from autotb.engines import torch_ranks

    monkeypatch.setattr(ranks, "_rank", None)

    assert torch_ranks.wrap_init(lambda: "made")() == "made"
    assert ranks.here() == ""
