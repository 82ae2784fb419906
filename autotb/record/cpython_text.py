"""The grammar of CPython's traceback text, 3.10 to 3.15: how one line of it is read, for everybody who does.

Flows in: lines that an interpreter printed, or ``faulthandler``.  Flows out: what they name.

======================================================  ===========================================
``  File "/app/train.py", line 9, in score``            :data:`FRAME`: path, line, name
``  File "/app/conf.py", line 3``                       :data:`FRAME`, without a name: a syntax error's place
``  File "/app/train.py", line 9 in score``             :data:`FRAME`, as faulthandler has it
``pandas.errors.ParserError: no columns``               :data:`HEADLINE`: type, message
``\\x1b[35mValueError\\x1b[0m: \\x1b[31mbad\\x1b[0m``       :func:`without_colours`
======================================================  ===========================================
"""

from __future__ import annotations

import re

FRAME = re.compile(r'^  File "(?P<path>.*)", line (?P<line>\d{1,12})(?:,? in (?P<name>.*))?$', re.M)
HEADLINE = re.compile(r"^(?P<type>[^\W\d]\w*(?:\.\w+|\.<locals>)*)(?:: (?P<message>.*))?$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def without_colours(text: str) -> str:
    """The text as an interpreter prints it where it draws no colours."""
    return _COLOUR.sub("", text)


def frame_line(path: str, line: int | str, name: str) -> str:
    """A frame's line, as CPython prints it."""
    return f'  File "{path}", line {line}, in {name}\n'
