"""The Protocols of what adapters rely on are of what is there: each of their names, on the real object."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import threading

import pytest

import autotb
from autotb.engines.multiprocessing import types as pools
from autotb.instrument import types


@pytest.fixture(scope="module")
def pool():
    with multiprocessing.get_context("spawn").Pool(1) as made:
        yield made


REAL = {
    types.Future: lambda _: concurrent.futures.Future(),
    types.Process: lambda pool: pool._pool[0],
    types.Thread: lambda _: threading.current_thread(),
    types.Queue: lambda pool: pool._inqueue,
    types.Connection: lambda pool: pool._outqueue._writer,
    types.Lock: lambda pool: pool._inqueue._rlock,
    types.Story: lambda _: autotb.explain(ValueError("x")),
    pools.Reader: lambda pool: pool._inqueue._reader,
    pools.SimpleQueue: lambda pool: pool._inqueue,
    pools.Handler: lambda pool: pool._task_handler,
    pools.Pool: lambda pool: pool,
    pools.Job: lambda pool: pool.imap(str, [1]),
}


def names_of(protocol):
    kinds = [kind for kind in protocol.__mro__ if kind.__module__ in (types.__name__, pools.__name__)]
    return {name for kind in kinds for name in (*kind.__annotations__, *vars(kind))}


@pytest.mark.parametrize("protocol", REAL, ids=lambda protocol: protocol.__name__)
def test_each_name_is_there(protocol, pool):
    real = REAL[protocol](pool)
    written = {"__enter__", "__exit__"}
    wanted = {name for name in names_of(protocol) if name in written or not name.startswith(("__", "_autotb", "_abc", "_is_"))}

    assert wanted
    assert [name for name in sorted(wanted) if not hasattr(real, name)] == []


def test_each_protocol_is_compared():
    every = {each for module in (types, pools) for each in vars(module).values() if getattr(each, "_is_protocol", False)}

    assert {each for each in every if each.__name__ != "Protocol"} == set(REAL)
