"""What a call needs of its engine: asked of the step, before the call is made.

Flows in: a step and a call's arguments with what is wrong with them.  Flows out: a :class:`ResourcesEval`.
"""

from __future__ import annotations

from typing import Any

from autotb.flow.context import CONTINUE, ERROR, EVALUATED, SKIPPED, UNKNOWN, ResourcesEval, wrapped_or_leaving
from autotb.flow.snapshots import ErrorInfo
from autotb.flow.steps import Step

NONE = ResourcesEval(UNKNOWN)


def evaluate(
    step: Step, named: dict[str, Any], errors: dict[str, ErrorInfo], mode: str, owners: tuple[Any, ...] = ()
) -> ResourcesEval:
    """What the step's request for resources comes to, for a call with the arguments ``named``.

    In continue mode an error of the function that says so is part of what is returned; in raise mode it is raised.
    """
    if step.resources is None:
        return NONE
    if mode == CONTINUE and errors:
        return ResourcesEval(SKIPPED)
    if not callable(step.resources):
        return ResourcesEval(EVALUATED, dict(step.resources))
    try:
        return ResourcesEval(EVALUATED, step.resources(dict(named)))
    except Exception as error:
        return ResourcesEval(ERROR, snapshot=wrapped_or_leaving(mode, step.resources, (dict(named),), {}, error, owners))
