"""A map in which a worker is killed, on the executor that is named."""

import os
import signal
import sys

from parity import executor_of

import autotb


def dies(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


if __name__ == "__main__":
    with executor_of(sys.argv[1]) as executor:
        autotb.map(autotb.step(dies, chunksize=2), range(6), executor=executor, error_handling="continue", progress=False)
