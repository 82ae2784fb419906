"""Starlette's and FastAPI's page of an error: a worker's has the frames of a direct call, and says where the worker ran."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotb.assumption import Lost
from autotb.instrument.patch import Patch

if TYPE_CHECKING:
    from autotb.instrument.types import Function

MODULES = ("starlette.middleware.errors",)
NAME = "Starlette, FastAPI"
DISTRIBUTION = "starlette"
TESTED = "0.48"
CAPTURED = "workers' errors on the debug page"

HEAD = "</h2>"  # of the error itself, which is the page's first


def _wrap_page(original: Function) -> Function:
    """The page of an error, while the program is being debugged."""

    @functools.wraps(original)
    def generate_html(self: Any, exc: Any, *args: object, **kwargs: object) -> Any:
        from autotb.record import chain

        if not chain.concerns(exc):
            return original(self, exc, *args, **kwargs)
        import html

        from autotb.render import retold

        page, tales = retold.read(exc, exc.__traceback__, lambda _: original(self, exc, *args, **kwargs))
        lines = [f"<p>{html.escape(line)}</p>" for tale in tales if tale is not None for line in tale.lines]
        return page.replace(HEAD, HEAD + "".join(lines), 1)

    return generate_html


PATCHES = (Patch("starlette.middleware.errors", "ServerErrorMiddleware.generate_html", _wrap_page, costs=Lost.SHOWN),)
