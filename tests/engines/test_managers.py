"""multiprocessing.managers: real managers, forked and spawned, whose objects' methods fail."""

from __future__ import annotations

import pytest

from tests import programs
from tests.engines import kit
from tests.engines.declared import Engine

MAIN = """\
import multiprocessing as mp
import sys
import threading
from multiprocessing.managers import BaseManager


class BadRow(Exception):
    def __init__(self, row, *, reason):
        super().__init__(reason)
        self.row = row


class Table:
    def __init__(self, rows):
        self.rows = dict(rows)
        self.mean = sum(self.rows.values()) / len(self.rows)

    def get(self, key):
        return self.find(key)

    def find(self, key):
        return self.rows[key]

    def refuse(self, row):
        raise BadRow(row, reason="no such row")

    def lock(self):
        return threading.Lock()


class Manager(BaseManager):
    pass


Manager.register("Table", Table)


def get(manager):
    manager.Table([("a", 1)]).get("b")


def refuse(manager):
    manager.Table([("a", 1)]).refuse("b")


def made(manager):
    manager.Table([])


def unsent(manager):
    manager.Table([("a", 1)]).lock()


def caught(manager):
    table = manager.Table([("a", 1)])
    for ask in (lambda: table.get("b"), lambda: table.find(2), lambda: manager.Table([]), lambda: table.lock()):
        try:
            ask()
        except Exception as error:
            print(type(error), str(error), error.args, error.__cause__, error.__context__)
    print(table.get("a"))


def shared(manager):
    with mp.Manager() as synced:
        synced.dict(a=1)["b"]


if __name__ == "__main__":
    with Manager(ctx=mp.get_context(sys.argv[2])) as manager:
        globals()[sys.argv[1]](manager)
"""

TASKS = """\
from multiprocessing.managers import BaseManager

import cases


class Runner:
    def call(self, task, number):
        return task(number)


class Manager(BaseManager):
    pass


Manager.register("Runner", Runner)


def proxy(task):
    with Manager() as manager:
        runner = manager.Runner()
        runner.call(task, 1)
        return runner.call(task, 0)


if __name__ == "__main__":
    cases.run(globals())
"""

ENGINES = {"managers": Engine(main=TASKS, cases=("proxy:ok", "proxy:score"))}


class TestTasks(kit.Standard):
    MAIN = TASKS
    WAYS = {"proxy": "in a manager process, pid"}
    BETWEEN = {"proxy": ["call"]}
    NOT_SUBMITTED = ("proxy",)
    NO_CALL = ("proxy",)
    OWN = ("managers.py", "RemoteError")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_frames_of_the_method_and_its_call(tmp_path, method):
    ours, bare = both(tmp_path, "get", method)

    assert [head.rpartition(" ")[2] for head in ours.heads] == ["<module>", "get", "get", "find"]
    assert "in a manager process, pid " in ours.stderr
    assert "│ Table.get(key='b')" in ours.stderr
    assert "<string>" not in ours.stderr and "managers.py" not in ours.stderr
    assert ours.last == bare.last == "KeyError: 'b'"
    assert "return self.rows[key]" not in bare.stderr


def test_an_exception_that_cannot_be_made_anew_is_itself(tmp_path):
    ours, bare = both(tmp_path, "refuse", "fork")

    assert ours.last == "BadRow: no such row"
    assert bare.last.startswith("TypeError: ")


@pytest.mark.parametrize(
    ("case", "last"), [("made", "ZeroDivisionError: division by zero"), ("unsent", "TypeError: cannot pickle")]
)
def test_what_comes_as_text_is_read(tmp_path, case, last):
    """What the making of an object raised, and a result that cannot be sent."""
    ours, bare = both(tmp_path, case, "fork")

    assert any(line.startswith(last) for line in ours.lines[-2:])  # from 3.14 on a note says in which part of what is sent
    assert "raised as multiprocessing.managers.RemoteError" in ours.stderr
    assert "│ in a manager process" in ours.stderr
    assert ours.stderr.count("Traceback (most recent call last)") == 1
    assert bare.stderr.count("Traceback (most recent call last)") == 2
    if case == "made":
        assert ours.heads[-1].endswith(" in __init__")


def test_a_shared_dict_has_no_frames_of_its_proxys(tmp_path):
    ours, bare = both(tmp_path, "shared", "fork")

    assert [head.rpartition(" ")[2] for head in ours.heads] == ["<module>", "shared"]
    assert ours.last == bare.last == "KeyError: 'b'"
    assert 'File "<string>"' in bare.stderr


def test_what_the_program_catches_is_as_it_was(tmp_path):
    ours, bare = both(tmp_path, "caught", "fork")

    assert ours.status == bare.status == 0
    assert ours.stdout == bare.stdout
    assert ours.stdout.count("<class ") == 4


def both(folder, *args):
    """The same program with autotb and without."""
    return tuple(programs.run(folder, MAIN, *args, autotb=autotb) for autotb in "10")
