"""Ray's runtime environments: the message of one that cannot be made has no frames of Ray's agent; a real one is in ``test_returned``."""

from __future__ import annotations

import json

import pytest

from autotb import settings
from autotb.engines.ray import environments

AGENTS = f"""Failed to set up runtime environment.
[Node 1] Traceback (most recent call last):
  File "{json.__file__}", line 561, in create
    await made(
          ^^^^^
  File "{pytest.__file__}", line 2, in made
    raise RuntimeError(
RuntimeError: no such package
ERROR: a line of pip's
"""
PLUGINS = """[Node 1] Traceback (most recent call last):
  File "/home/user/plugin.py", line 3, in create
    raise OSError("mine")
OSError: mine
"""


def test_frames_are_counted_and_all_else_stays():
    told = environments.opened(Exception(AGENTS + PLUGINS))

    assert str(told.headline) == (
        "Failed to set up runtime environment.\n"
        "[Node 1] [2 engine frames hidden, AUTOTB_FRAMES=all]\n"
        "RuntimeError: no such package\n"
        "ERROR: a line of pip's\n" + PLUGINS
    )
    assert type(told.headline).__module__ + "." + type(told.headline).__name__ == environments.ERROR


@pytest.mark.parametrize(("text", "frames"), [(PLUGINS, "user"), ("no traceback", "user"), (AGENTS, "all")])
def test_what_has_nothing_to_leave_out_is_as_it_is(text, frames, monkeypatch):
    monkeypatch.setattr(settings, "used", lambda *_: type("Used", (), {"frames": frames}))
    assert environments.opened(Exception(text)) is None
