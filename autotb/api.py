"""Where each public name lives, and switching autotb on and off, which ends no program whatever is missing.

Flows in: names that a program uses.  Flows out: the objects, loaded when they are first used.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from autotb import boot

HOMES = {
    "unwrap": "autotb.futures.unwrap",
    "unwrap_with_retry": "autotb.futures.unwrap",
    "unwrap_parsl_future": "autotb.futures.unwrap",
    "collect": "autotb.futures.collect",
    "collect_async": "autotb.futures.collect",
    "Collected": "autotb.futures.collect",
    "Failure": "autotb.futures.collect",
    "WorkerDied": "autotb.postmortem.died",
    "map": "autotb.flow.mapping",
    "map_async": "autotb.flow.mapping",
    "Flow": "autotb.flow.flow",
    "step": "autotb.flow.steps",
    "ErrorSnapshot": "autotb.flow.snapshots",
    "PropagatedErrorSnapshot": "autotb.flow.snapshots",
    "ErrorInfo": "autotb.flow.snapshots",
    "ErrorStub": "autotb.flow.snapshots",
    "Reason": "autotb.flow.snapshots",
    "ErrorContext": "autotb.flow.context",
    "ResourcesEval": "autotb.flow.context",
    "install": "autotb.api",
    "uninstall": "autotb.api",
    "excepthook": "autotb.hooks.excepthook",
    "explain": "autotb.render",
    "Trace": "autotb.render",
}


def install() -> None:
    """Switch autotb on in this process: the hooks, and the patches of engines that are imported already or will be.

    May be called twice.  It is for frozen programs and others whose start-up runs no ``.pth`` file; elsewhere ``pip install``
    has done it.  Does nothing under ``AUTOTB=0``.  Where it fails, for a module that was not packed, it says so in one line.
    """
    if os.environ.get("AUTOTB", "").lower() in boot.OFF:
        return
    try:
        importlib.import_module("autotb.hooks.excepthook").install()
    except Exception as error:
        boot.report("install()", error)


def uninstall() -> list[str]:
    """Take every hook and patch off again; each attribute gets back the identical object.

    Returns the names of patches that stay because somebody wrapped ours after us.
    """
    if not boot.started:
        return []
    try:
        left: list[str] = importlib.import_module("autotb.hooks.excepthook").uninstall()
    except Exception as error:
        boot.report("uninstall()", error)
        return []
    return left


def load(name: str) -> Any:
    """The public object of this name, kept in the package from now on."""
    value = getattr(importlib.import_module(HOMES[name]), name)
    setattr(sys.modules["autotb"], name, value)
    return value
