"""Text of the program's made harmless: control characters are shown, never obeyed."""

from __future__ import annotations

import re

# C0 and C1 controls but newline and tab; line and paragraph separators; the marks that reorder text on a terminal.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def text(value: str) -> str:
    """``value`` with its control characters as escapes; newlines and tabs stay."""
    value = _CONTROL.sub(_escape, value)
    return _SURROGATE.sub(_escape, value)


def line(value: str) -> str:
    """The same for what must stay on one line."""
    return text(value).replace("\n", "\\n").replace("\t", "\\t")


def source(value: str, tab: int = 4) -> str:
    """A source line: tabs become spaces up to the next multiple of ``tab``."""
    return text(value.replace("\x0c", " ")).expandtabs(tab)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
