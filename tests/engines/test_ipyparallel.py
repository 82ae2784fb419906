"""ipyparallel: a real cluster of two engines."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import sys
import ipyparallel
import cases
view = None
balanced = None
def sync(task):
    return view.apply_sync(task, 0)
def later(task):
    return balanced.apply_async(task, 0).get()
def map_(task):
    return balanced.map_sync(task, [1, 0])
def main():
    global view, balanced
    with ipyparallel.Cluster(n=2, engines="local", log_level=50) as client:
        view = client[0]
        balanced = client.load_balanced_view()
        client[:].execute("import os, sys; sys.path.insert(0, %r)" % __import__("os").path.dirname(__import__("os").path.abspath(__file__)), block=True)
        cases.run(globals())
if __name__ == "__main__":
    main()
"""

ENGINES = {
    "ipyparallel": Engine(
        requires=("ipyparallel>=8.6",),
        heavy=True,
        costly=True,
        oldest=("ipyparallel==8.6.1", "ipykernel<7"),
        main=MAIN,
        cases=("sync:ok", "sync:score"),
    ),
}


@kit.on_main
class TestViews(kit.Standard):
    MAIN = MAIN
    WAYS = {"sync": "in ipyparallel engine 0, pid", "later": "in ipyparallel engine"}
    MORE = {"map_:score": ["map_", "score", "divide"]}
    OTHERS = ("sync:ok", "map_:ok")
    OWN = ("/ipyparallel/", "RemoteError:")
    CATCHES = {}

    def test_exit_status_and_the_users_own_output(self, tmp_path):
        ours = kit.Program(MAIN).run(tmp_path, "!sync:says")

        assert ours.status == 1
        assert ours.last == kit.ZERO
