"""What a driver read of its pyproject.toml reaches the processes that engines start afresh.

A process of multiprocessing, or of a package of its make, gets its preparations (the search path, the working folder, the main
program) as a pickled dict, in which it leaves a key alone that it does not know.  Flows in: ``settings``.  Flows out: one key
more, where a file says anything; the environment of the program is not touched.  Forked processes have it from their parent.
Engines whose workers are programs of their own hand the environment on: while they start one, a variable stands in it.
"""

from __future__ import annotations

import functools
import os

from autotb import settings
from autotb.assumption import Lost
from autotb.instrument.patch import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.instrument.types import Function

KEY = "autotb_settings"
PARENT = "autotb_parent"  # who has the preparations made, which a fork server's child does not know


def _wrap_get_preparation_data(original: Function) -> Function:
    """Runs in the parent."""

    @functools.wraps(original)
    def get_preparation_data(name: str, *args: object, **kwargs: object) -> Any:
        data = original(name, *args, **kwargs)
        try:
            data[PARENT] = os.getpid()
            found = settings.file_settings()
            if found is not None:
                data[KEY] = found
        except Exception:
            pass  # then the child looks for a file of its own
        return data

    return get_preparation_data


def _wrap_prepare(original: Function) -> Function:
    """Runs in the child, before the main program is imported there."""

    @functools.wraps(original)
    def prepare(data: dict[str, Any], *args: object, **kwargs: object) -> Any:
        parent = 0
        try:
            parent = data.pop(PARENT, 0)
            if KEY in data:
                settings.inherit(data.pop(KEY))
        except Exception:
            pass  # then this process looks for a file of its own
        try:
            return original(data, *args, **kwargs)
        except BaseException as error:  # the main program's own, as it is imported: without this line
            if error.__traceback__ is not None:
                error.__traceback__ = error.__traceback__.tb_next
            if parent and isinstance(error, Exception):
                main_failed(error, parent)
            raise

    return prepare


def main_failed(error: BaseException, parent: int) -> None:
    """The main program could not be imported, as by others of the same program perhaps."""
    try:
        from autotb.postmortem import main_import
    except Exception:
        return  # it is told as ever
    main_import.failed(error, parent)


def telling(original: Function) -> Function:
    """Starts programs that are an engine's workers, or that start these, in the environment of this process."""

    @functools.wraps(original)
    def start(*args: object, **kwargs: object) -> Any:
        return settings.call_telling_children(original, args, kwargs)

    return start


def patches(module: str) -> tuple[Patch, ...]:
    """The patches of a module of the make of ``multiprocessing.spawn``."""
    return (
        Patch(module, "get_preparation_data", _wrap_get_preparation_data, costs=Lost.SETTINGS),
        Patch(module, "prepare", _wrap_prepare, costs=Lost.SETTINGS),
    )
