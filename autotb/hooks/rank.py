"""How a rank of a distributed job that nobody watches is told: each tells its own error, on the stderr that all share.

Flows in: a rank's uncaught error.  Flows out: the header of its story, and the style in which that is drawn.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from autotb import settings
from autotb.instrument import engine_frames, ranks
from autotb.record import build

if TYPE_CHECKING:
    from types import TracebackType

    from autotb.record.schema import Hop


def hop(exc: BaseException, tb: TracebackType | None) -> Hop:
    """A worker's header: the rank, its process, and what was called."""
    return build.hop(ranks.engine(), f"in {ranks.here()}", call=call(exc, tb))


def call(exc: BaseException, tb: TracebackType | None) -> str | None:
    """What was called with which arguments: they say nothing where another rank is the story."""
    return None if ranks.has_lost_another(exc) else engine_frames.last_call(tb)


def style(exc: BaseException) -> str:
    """Without source around the lines where PyTorch's hook puts the rank before each, and where another rank is the story."""
    is_prefixed = type(sys.stderr) is io.StringIO
    return "plain" if settings.value("style") == "auto" and (is_prefixed or ranks.has_lost_another(exc)) else ""
