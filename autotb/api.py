"""Where each public name lives, and switching autotb on and off, which ends no program whatever is missing.

Flows in: names that a program uses.  Flows out: the objects, loaded when they are first used.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from autotb import boot, runtime

HOMES = {
    "unwrap": "autotb.futures.unwrap",
    "unwrap_with_retry": "autotb.futures.unwrap",
    "unwrap_parsl_future": "autotb.futures.unwrap",
    "collect": "autotb.futures.collect",
    "collect_async": "autotb.futures.collect",
    "Collected": "autotb.futures.collect",
    "Failure": "autotb.futures.collect",
    "WorkerDied": "autotb.postmortem.died",
    "imap": "autotb.flow.mapping",
    "map": "autotb.flow.mapping",
    "map_async": "autotb.flow.mapping",
    "Flow": "autotb.flow.flow",
    "load": "autotb.flow.loading",
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


runtime.use()


def is_off() -> bool:
    """Whether ``AUTOTB`` switches autotb off for processes that start now."""
    return os.environ.get("AUTOTB", "").lower() in boot.OFF


def install() -> None:
    """Switch autotb on in this process: the hooks, and the patches of engines that are imported already or will be.

    May be called twice.  It is for frozen programs and others whose start-up runs no ``.pth`` file; elsewhere ``pip install``
    has done it.  Does nothing under ``AUTOTB=0``.  Where it fails, for a module that was not packed, it says so in one line.
    """
    boot.main()
    if not boot.started:
        return
    try:
        _install()
    except Exception as error:
        boot.report("install()", error)


def _install() -> None:
    from autotb import import_hook
    from autotb._triggers import TRIGGERS
    from autotb.instrument import patch

    runtime.ask()
    boot.start()
    runtime.begin(boot.finder)
    threading: Any = sys.modules.get("threading")
    if threading is not None and threading.excepthook is threading.__excepthook__:
        threading.excepthook = import_hook.thread_excepthook
    import_hook.open_surface()
    patch.catch_up(TRIGGERS)


def uninstall() -> list[str]:
    """Take every hook and patch off again; each attribute gets back the identical object.

    Returns the names of patches that stay because somebody wrapped ours after us.
    """
    if not boot.started:
        return []
    try:
        return _uninstall()
    except Exception as error:
        boot.report("uninstall()", error)
        return []


def _uninstall() -> list[str]:
    from autotb import first_use, import_hook
    from autotb.instrument import patch

    if sys.excepthook is boot.excepthook:
        sys.excepthook = runtime.pythons()
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not boot.finder]
    threading: Any = sys.modules.get("threading")
    if threading is not None:
        if threading.excepthook is import_hook.thread_excepthook:
            threading.excepthook = threading.__excepthook__
        first_use.stop_waiting()
    boot.started = False
    runtime.ask(False)
    return [f"{entry.patch.module}.{entry.patch.qualname}" for entry in patch.take_all_off()]


def load(name: str) -> Any:
    """The public object of this name, kept in the package from now on."""
    value = getattr(importlib.import_module(HOMES[name]), name)
    setattr(sys.modules["autotb"], name, value)
    return value
