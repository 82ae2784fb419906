"""Two ranks under torchrun train on gloo; one fails, and then the other loses it."""

import os

import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record


def rate(clicks, views):
    return clicks / views


@record
def main():
    dist.init_process_group("gloo")
    if dist.get_rank() == 1:
        rate(3, views=0)
    dist.barrier()


if __name__ == "__main__":
    if "RANK" in os.environ:
        main()
    else:
        from torch.distributed.run import main as torchrun

        torchrun(["--nproc-per-node=2", "--standalone", __file__])
