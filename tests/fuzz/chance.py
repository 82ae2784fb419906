"""Chance: all that a case draws comes from its seed and number.  Texts, numbers, paths, secrets.

Imports nothing of autotb's, nor what a bare interpreter has not at hand: children that are compared with it use this.
"""

from __future__ import annotations

import os
import random
import string
from typing import Any

TEXTS = (
    *("", "x", "a message", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\u202eevil", "tab\tnul\0bell\x07", "[/red] [bold]"),
    *("日本語 e\u0301 👍", "\ud800 half", "line\n" * 5, "line\r\nover\rwritten", "Traceback (most recent call last):\n  File"),
    *(
        "\x9b2J",
        "%s {0} {",
        "\u2028\u2029",
        "    ",
        "\n",
        "│ ❱ ╭─╮",
        "/etc/shadow",
        "/dev/zero",
        "/proc/self/environ",
        "<string>",
    ),
    *(
        "\ufeffmark",
        "\x85next",
        "a" * 200,
        "😀" * 90,
        "\x0c",
        "__main__",
        "None",
        "(2 sub-exceptions)",
        "...",
        "\\x1b",
        "&<b>'\"",
    ),
)
LARGE = ("y" * 30_000, "many\n" * 3_000, "日" * 9_000, "  " * 8_000)
NUMBERS = (0, 1, 2, 3, 7, -1, 10**6, 1 << 31, 1 << 62, 1 << 200, -(1 << 63))
HEAVY = 0.004  # of all cases: those that may be large


class Chance:
    """One case's source of chance; ``heavy`` ones may be large."""

    def __init__(self, seed: int, number: int, folder: str) -> None:
        self.random = random.Random(f"{seed}:{number}")
        self.heavy = self.random.random() < HEAVY
        self.fifo, self.large = os.path.join(folder, "fifo.py"), os.path.join(folder, "large.py")
        self.secrets: list[str] = []
        self.devices = True  # whether Python itself may be asked to read them: it reads for ever

    def is_so(self, share: float) -> bool:
        return self.random.random() < share

    def one(self, values: Any) -> Any:
        return values[int(self.random.random() * len(values))]

    def many(self, *counts: int, heavy: int = 0) -> int:
        return heavy if heavy and self.heavy and self.is_so(0.3) else self.one(counts)

    def text(self) -> str:
        if self.heavy and self.is_so(0.1):
            return self.one(LARGE)
        return self.one(TEXTS) if self.is_so(0.95) else self.one(TEXTS) + self.one(TEXTS)

    def number(self) -> int:
        return self.one(NUMBERS) if self.is_so(0.6) else int(self.random.random() * 400)

    def path(self) -> str:
        if self.is_so(0.5):
            text = self.text()
            return text if self.devices or "/dev/" not in text and "environ" not in text else "made.py"
        return self.one((__file__, os.__file__, "no.py", *((self.fifo, self.large, "/dev/zero") if self.devices else ())))

    def plain(self, depth: int = 0) -> Any:
        """Builtins of any type; what they hold may be anything too."""
        kind = int(self.random.random() * 12)
        if kind < 3:
            return self.text()
        if kind < 5:
            return self.number()
        if kind == 5:
            return self.text().encode("utf-8", "replace")
        if kind == 6:
            return self.one((None, True, False, 1.5, float("nan"), float("-inf"), ValueError, object, 3j, ...))
        many = self.one((0, 1, 3)) if depth < 3 else 0
        if kind < 9:
            return [self.plain(depth + 1) for _ in range(many)]
        if kind == 9:
            return tuple([self.plain(depth + 1) for _ in range(many)])
        return {self.text(): self.plain(depth + 1) for _ in range(many)}

    def either(self, value: Any) -> Any:
        return value if self.is_so(0.93) else self.plain()

    # What must not get out

    def _core(self, letters: str, length: int = 24) -> str:
        core = "".join([self.one(letters) for _ in range(length)])
        self.secrets.append(core)
        return core

    def secret(self) -> tuple[str, Any]:
        """The name of a variable, and what it holds: either of them tells that this is a secret."""
        word, upper = string.ascii_letters + string.digits, string.ascii_uppercase + string.digits
        kind = int(self.random.random() * 12)
        pad = "x " * int(self.random.random() * 160) if self.is_so(0.3) else ""
        if kind == 0:
            return "data", f"{pad}AKIA{self._core(upper, 16)}"
        if kind == 1:
            return "data", f"{pad}ghp_{self._core(word, 36)}"
        if kind == 2:
            return "url", f"{pad}https://bob:{self._core(word)}@example.org/a"
        if kind == 3:
            return "headers", {"Authorization": f"Bearer {self._core(word)}"}
        if kind == 4:
            return "command", f"{pad}mysql --password {self._core(word)} -h x"
        if kind == 5:
            return "command", ["mysql", "--password", self._core(word)]
        if kind == 6:
            return "text", f"{pad}password={self._core(word)}"
        if kind == 7:
            return self.one(("password", "api_key", "X_Api_Key", "dbPassword", "secret", "authToken")), pad + self._core(word)
        if kind == 8:
            return "pair", ("X-Api-Key", self._core(word))
        if kind == 9:
            return "raw", f"{pad}postgresql://u:{self._core(word)}@h/d".encode()
        if kind == 10:
            return "nested", [{"a": {"password": self._core(word)}}]
        return "jwt_text", f"{pad}eyJhbGciOiJIUzI1NiJ9.{self._core(word)}.{self._core(word)}"

    def told(self, text: str) -> str:
        """The first secret of which a part stands in ``text``; empty where none does."""
        for core in self.secrets:
            if any(core[at : at + 8] in text for at in range(0, len(core) - 7, 4)):
                return core
        return ""
