"""Maps whose worker is killed in the midst of a chunk, on Dask, which makes the chunk anew.  Prints the results and the calls."""

import json
import os
import signal
import time
from pathlib import Path

from distributed import Client, LocalCluster

import autotb


def work(number, log, dies_at):
    with open(log, "a") as file:
        file.write(f"{number}\n")
    time.sleep(0.025)  # so that each result is kept when its call ends
    if number == 2:
        raise ValueError(number)
    if number == dies_at and Path(log).read_text().split().count(str(number)) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


if __name__ == "__main__":
    found = {}
    with LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        for kind, executor in (("returned", client), ("kept", client.get_executor())):
            folder, log = Path(f"run {kind}"), os.path.abspath(f"log {kind}")
            flow = autotb.Flow(
                executor, error_handling="continue", run_folder=folder, return_results=kind == "returned", progress=False
            )
            numbers = flow.map(autotb.step(work, chunksize=8), range(8), log=log, dies_at=5)
            results = flow.run()
            values = [one if isinstance(one, int) else str(one.exception) for one in results[numbers]]
            calls = [int(line) for line in Path(log).read_text().split()]
            left = [path.name for path in (folder / "shards").iterdir() if path.suffix != ".shard"]
            resumed = list(autotb.load(folder)["work"])
            found[kind] = [values, calls, left, sum(isinstance(one, int) for one in resumed)]
    print(json.dumps(found))
