"""gevent: real greenlets, pools and monkey-patched threads."""

from __future__ import annotations

from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
from gevent import monkey

monkey.patch_all()
import gevent
from gevent.pool import Pool

import cases


def spawn(task):
    return gevent.spawn(task, 0).get()


def joined(task):
    jobs = [gevent.spawn(task, item) for item in [1, 0]]
    gevent.joinall(jobs, raise_error=True)


def pool(task):
    return Pool(2).map(task, [1, 0])


def imap(task):
    return list(Pool(2).imap_unordered(task, [1, 0]))


def threads(task):
    from gevent.threadpool import ThreadPool

    return ThreadPool(2).spawn(task, 0).get()


def stdlib_threads(task):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as executor:
        return executor.submit(task, 0).result()


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {
    "gevent": Engine(
        requires=("gevent>=22.10",),
        heavy=True,
        oldest=("gevent==22.10.2", "setuptools<80"),
        main=MAIN,
        cases=("spawn:ok", "spawn:score"),
    ),
}


@kit.on_main
class TestGreenlets(kit.Standard):
    MAIN = MAIN
    WAYS = {"stdlib_threads": "in a thread-pool worker"}
    OTHERS = ("spawn:score", "joined:score", "pool:score", "imap:two", "threads:score", "pool:ok")
    OWN = ("/gevent/",)

    def test_a_greenlets_error_is_told_at_once_and_where_it_is_asked(self, program):
        text = program.story("spawn:score")

        assert kit.names(text) == ["score", "divide", "spawn", "score", "divide"]
        assert text.startswith("Exception in greenlet Greenlet-0:\n")
        assert "spawned at " in text
        assert "score(item=0)" in text
        assert text.rstrip().endswith(kit.ZERO)
        assert "/gevent/" not in text

    def test_pools(self, program):
        assert kit.names(program.story("pool:score"))[-3:] == ["pool", "score", "divide"]
        assert kit.names(program.story("imap:two"))[-2:] == ["imap", "two"]
        assert kit.names(program.story("threads:score"))[-3:] == ["threads", "score", "divide"]
        assert program.story("pool:score").count("Exception in greenlet") == 1
