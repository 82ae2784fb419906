"""Ranks of ``torch.distributed`` whose processes the program starts itself: which rank a process is.

``init_process_group`` is the one door that all come through: ``Process`` by hand, ``subprocess``, a trainer's own launcher.
Source: https://docs.pytorch.org/docs/stable/distributed.html

Flows in: a process group that was made.  Flows out: ``instrument.ranks``.
"""

from __future__ import annotations

import functools
import sys

from autotb.instrument import ranks
from autotb.instrument.patch import Patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from autotb.instrument.types import Function

_MODULE = "torch.distributed.distributed_c10d"


def wrap_init(original: Function) -> Function:
    """Returns once every rank has come."""

    @functools.wraps(original)
    def init_process_group(*args: object, **kwargs: object) -> Any:
        made = original(*args, **kwargs)
        try:
            c10d: Any = sys.modules[_MODULE]
            ranks.joined("torch", int(c10d.get_rank()), int(c10d.get_world_size()))
        except Exception:
            pass  # it is told without its rank
        return made

    return init_process_group


PATCHES = (Patch(_MODULE, "init_process_group", wrap_init, optional=True, costs="which rank of a job failed"),)
