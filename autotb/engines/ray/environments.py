"""Ray's runtime environments: that one cannot be made is told with the reason, without the frames of Ray's agent that tried.

Flows in: ``RuntimeEnvSetupError``, whose message holds the agent's tracebacks as text, and what Ray's daemon says of it on the
terminal.  Flows out: the same texts with the frames counted, where they are Ray's and Python's alone; a plug-in's stay.
Source: https://docs.ray.io/en/latest/ray-core/handling-dependencies.html
"""

from __future__ import annotations

import re

from autotb import engine_facts, settings
from autotb.instrument import engine_frames
from autotb.record import ownership

ERROR = "ray.exceptions.RuntimeEnvSetupError"
_FRAMES = re.compile(r"Traceback \(most recent call last\):\n((?:  .*\n)+)")
_FILE = re.compile(r'^  File "(.+)", line \d+, in ', re.M)


def opened(exc: BaseException) -> engine_facts.Opened | None:
    """The message without the agent's frames."""
    message = str(exc)
    short = shortened(message)
    return engine_facts.Opened(headline=engine_frames.named(ERROR, short)) if short != message else None


def shortened(text: str) -> str:
    """A text without the frames of its tracebacks, where the agent says it."""
    return text if settings.used("frames").frames == "all" else _FRAMES.sub(_counted, text)


def _counted(found: re.Match[str]) -> str:
    paths = _FILE.findall(found[1])
    if any(ownership.kind_of(path, None) == ownership.USER for path in paths):
        return found[0]
    return f"[{len(paths)} engine frame{'' if len(paths) == 1 else 's'} hidden, AUTOTB_FRAMES=all]\n"


WRAPPERS = {ERROR: opened}
