"""Where each public name lives."""

from __future__ import annotations

import importlib
import sys
from typing import Any

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
    "install": "autotb.hooks.interpreter",
    "uninstall": "autotb.hooks.interpreter",
    "excepthook": "autotb.hooks.interpreter",
    "explain": "autotb.render",
    "Trace": "autotb.trace.model",
}


def load(name: str) -> Any:
    """The public object of this name, kept in the package from now on."""
    value = getattr(importlib.import_module(HOMES[name]), name)
    setattr(sys.modules["autotb"], name, value)
    return value
