"""``client.run`` and its kin, plugins: the call, whom it was asked of, who else failed."""

from __future__ import annotations

import re

from tests.programs import sections

PROGRAM = """
import os
import sys

from distributed import Client, LocalCluster, WorkerPlugin


def read(name, dask_worker):
    return {}[name + str(dask_worker.name)]


def check(folder, strict=True):
    return os.listdir(folder)


class Loads(WorkerPlugin):
    def __init__(self, path):
        self.path = path

    def setup(self, worker):
        open(self.path)


def main():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        def shown(name, call):
            print("===", name, file=sys.stderr, flush=True)
            try:
                call()
            except Exception:
                sys.excepthook(*sys.exc_info())

        shown("otherwise", lambda: client.run(read, "gpu"))
        shown("alike", lambda: client.run(os.listdir, "/nowhere"))
        shown("scheduler", lambda: client.run_on_scheduler(check, "/nowhere"))
        shown("nanny", lambda: client.run(check, "/nowhere", nanny=True))
        shown("plugin", lambda: client.register_plugin(Loads("/nowhere/model.bin")))


if __name__ == "__main__":
    main()
"""


def test_of_whom_a_function_was_asked_and_who_else_failed(shows):
    def check(ran):
        found = {name: re.sub(r"[│\s]+", " ", text) for name, text in sections(ran.stderr).items()}

        assert re.search(
            r"in a Dask worker, pid \d+, worker tcp://\S+, otherwise on tcp://\S+: KeyError: 'gpu\d' read\(name='gpu'",
            found["otherwise"],
        )
        assert re.search(
            r"in a Dask worker, pid \d+, worker tcp://\S+, failed alike on tcp://\S+ listdir\('/nowhere'\)", found["alike"]
        )
        assert re.search(r"in the Dask scheduler, .*check\(folder='/nowhere', strict=True\)", found["scheduler"])
        assert re.search(
            r"in a Dask nanny, .*nanny of worker tcp://\S+, failed alike on tcp://\S+ check\(folder='/nowhere', strict=True\)",
            found["nanny"],
        )
        assert re.search(r"in a Dask worker, pid \d+, worker tcp://\S+ (Loads\.)?setup\(worker=", found["plugin"])

    shows(PROGRAM, check)
