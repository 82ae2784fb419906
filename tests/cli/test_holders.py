"""Who holds the hooks that show errors, and what is seen by them."""

from __future__ import annotations

import json
import sys
import threading

import pytest

from autotb import boot, import_hook
from autotb.cli import holders
from tests import programs


@pytest.fixture(autouse=True)
def ours(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", boot.excepthook)
    monkeypatch.setattr(threading, "excepthook", import_hook.thread_excepthook)


def mine(*_):
    """A program's own."""


def test_ours_and_pythons(monkeypatch):
    found = holders.of(holders.now(), "", "everything")
    assert found["sys.excepthook"] == {"holder": "autotb", "seen": "everything"}
    assert found["threading.excepthook"]["holder"] == "autotb"

    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    assert holders.of(holders.now(), "", "")["threading.excepthook"] == {"holder": "Python", "seen": "Python's own text"}


def test_anothers_and_what_it_showed(monkeypatch):
    monkeypatch.setattr(sys, "excepthook", mine)
    told = holders.of(holders.now(), "File main.py, line 6, in ratio\n    return clicks / views\nraise self.__get_result()", "")[
        "sys.excepthook"
    ]

    assert told["holder"] == f"{__name__}.mine ({__file__})"
    assert told["seen"] == (
        "of a worker's error the worker's line; not where it ran, the line that submitted it, its arguments;"
        " the engine's own frames or text as well"
    )


@pytest.mark.parametrize("shown, told", [("", "nothing at all"), ("ZeroDivisionError", "nothing of a worker's error")])
def test_what_shows_next_to_nothing(shown, told):
    assert holders.seen(shown) == told


HOOKS = {
    "import rich.traceback\nrich.traceback.install()\n": (
        "rich.traceback.install.<locals>.excepthook",
        "of a worker's error the worker's line, where it ran, the line that submitted it, its arguments",
    ),
    "import sys\nsys.excepthook = lambda *_: None\n": ("sitecustomize.<lambda>", "nothing at all"),
}


DOCTOR = """
import json
from autotb.cli import checkup, holders

if __name__ == "__main__":
    held = holders.now()
    print(json.dumps(holders.of(held, checkup.trial("plain", by_itself=True)[1], "")))
"""


@pytest.mark.parametrize("code", HOOKS)
def test_the_hook_that_start_up_left_is_tried(tmp_path, code):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(code)
    ran = programs.run(tmp_path, DOCTOR, PYTHONPATH=str(tmp_path / "site"))
    told = json.loads(ran.stdout)["sys.excepthook"]

    assert told["holder"].startswith(HOOKS[code][0])
    assert told["seen"] == HOOKS[code][1]
