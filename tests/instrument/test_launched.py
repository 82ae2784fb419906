"""A process leaves its uncaught error to its launcher, and to nobody else; where that fails it tells the error itself."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from autotb.instrument import launched

LAUNCHES = """
import json, os, subprocess, sys
from autotb.instrument import launched

def run(code, **options):
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, **options)
    return done.stderr.strip().split("\\n")[-1], [*launcher.records().values()]

os.environ["RANK"] = "3"
launcher = launched.Launcher("torchrun", "in rank {RANK}", is_sure=sys.argv[1] == "sure")
told = json.loads(os.environ[launched.VARIABLE])
RAISES = "def rate(views):\\n    return 1 // views\\nrate(views=0)"
for variable in (told, {**told, "folder": "/not/there"}, {**told, "where": "in {NOTHING}"}, {}):
    os.environ[launched.VARIABLE] = json.dumps(variable)
    said, records = run(RAISES)
    print(said, [(tree["type"], tree["told"], tree["hops"][0]["where"], tree["hops"][0]["call"]) for tree in records], sep=" | ")
os.environ[launched.VARIABLE] = json.dumps(told)
print(*run(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {RAISES!r}])"), sep=" | ")
print(*run("raise KeyboardInterrupt"), sep=" | ")
launcher.end()
print(os.path.exists(launcher.folder), launched.VARIABLE in os.environ)
"""
ZERO = "ZeroDivisionError: integer division or modulo by zero"


@pytest.mark.skipif(os.name == "nt", reason="processes of one parent are told apart by os.getppid")
def test_only_a_child_of_a_launcher_that_tells_it_leaves_its_error_to_it(run):
    theirs, no_folder, no_name, damaged, grandchild, interrupted, ended = run(LAUNCHES, "sure").stdout.splitlines()

    # The program's stderr is no pipe of the launcher's: both tell it.
    assert theirs == f"{ZERO} | [('ZeroDivisionError', False, 'in rank 3', 'rate(views=0)')]"
    assert no_folder == no_name == damaged == grandchild == f"{ZERO} | []"
    assert interrupted == "KeyboardInterrupt | []"
    assert ended == "False False"


def test_a_program_that_may_catch_the_launchers_error_has_its_processes_tell_theirs(run):
    assert run(LAUNCHES, "unsure").stdout.splitlines()[0] == f"{ZERO} | []"


def left(folder, pid, **tree):
    with open(os.path.join(folder, f"{pid}.json"), "w") as file:
        json.dump(tree, file)


@pytest.fixture
def launcher(monkeypatch):
    monkeypatch.setitem(os.environ, launched.VARIABLE, "")
    made = launched.Launcher("torchrun", "in rank {RANK}", is_sure=True)
    yield made
    made.end()


def test_a_record_that_cannot_be_read_costs_no_other(launcher):
    left(launcher.folder, 7, told=True)
    left(launcher.folder, 9, told=False)
    with open(os.path.join(launcher.folder, "8.json"), "w") as file:
        file.write('{"told": tr')

    assert launcher.records() == {7: {"told": True}, 9: {"told": False}}
    assert os.listdir(launcher.folder) == []


def test_what_nobody_else_tells_is_kept_until_it_is_told_the_earliest_first(launcher):
    for pid, time in ((7, 2.0), (8, 1.0), (9, 0.0)):
        left(launcher.folder, pid, told=pid != 9, time=time)
    launcher.records()

    assert launcher.records() == {}
    assert launcher.untold(older=3600) == {}
    assert list(launcher.untold()) == [8, 7]
    launcher.tells([8, 9])
    assert list(launcher.untold()) == [7]


def test_a_stderr_without_a_number_is_nobodys(monkeypatch):
    """As pipes and consoles of Windows are: all of them would be one."""
    assert launched.stderr() is not None
    monkeypatch.setattr(launched, "os", SimpleNamespace(fstat=lambda descriptor: SimpleNamespace(st_dev=0, st_ino=0)))
    assert launched.stderr() is None
