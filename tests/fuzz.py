"""``python -m tests.fuzz [SECONDS] [SEED]``: hostile exceptions and records, drawn in every style.

For each: nothing raises out of autotb, no control character or mark that reorders text gets through, no story has more than
300 lines, none takes longer than a bound.  Prints what it found, by kind; the status is 1 if there was anything.
"""

from __future__ import annotations

import collections
import io
import os
import random
import re
import sys
import tempfile
import time
import traceback
from types import CodeType
from typing import Any

from autotb import render, settings
from autotb.record import capture
from autotb.render import panels, plain, terminal
from autotb.trace import build

SLOWEST = 5.0  # seconds of CPU time for one story
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
TEXTS = (
    *(
        "",
        "x",
        "a message",
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\u202eevil",
        "tab\tnul\0bell\x07",
        "[/red] [bold]",
        "日本語 e\u0301 👍",
    ),
    *(
        "\ud800 half",
        "line\n" * 5,
        "line\r\nover\rwritten",
        "y" * 30_000,
        "many\n" * 3_000,
        "Traceback (most recent call last):\n  File",
    ),
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
)


LARGE = ("y" * 30_000, "many\n" * 3_000)


class Fuzz:
    """One source of chance."""

    def __init__(self, seed: int, folder: str) -> None:
        self.chance = random.Random(seed)
        self.fifo = os.path.join(folder, "fifo.py")
        os.mkfifo(self.fifo)
        self.large = os.path.join(folder, "large.py")
        with open(self.large, "wb") as file:
            file.truncate(300 << 20)

    def text(self) -> str:
        if self.chance.random() < 0.01:
            return self.chance.choice(LARGE)
        return self.chance.choice(TEXTS) if self.chance.random() < 0.9 else self.chance.choice(TEXTS) + self.chance.choice(TEXTS)

    def number(self) -> int:
        return self.chance.choice((0, 1, 2, 3, 7, -1, 10**6, 1 << 62, 1 << 200, self.chance.randrange(400)))

    def path(self) -> str:
        return self.chance.choice((self.text(), __file__, os.__file__, self.fifo, self.large, "/dev/zero", "no.py"))

    def anything(self, depth: int = 0) -> Any:
        """Builtins of any type; what they hold may be anything too."""
        many = self.chance.choice((0, 1, 3)) if depth < 3 else 0
        return self.chance.choice(
            (
                lambda: None,
                self.text,
                self.number,
                lambda: 1.5,
                lambda: float("nan"),
                lambda: self.chance.random() < 0.5,
                lambda: self.text().encode("utf-8", "replace"),
                lambda: [self.anything(depth + 1) for _ in range(many)],
                lambda: {self.text(): self.anything(depth + 1) for _ in range(many)},
                object,
                lambda: ValueError,
            )
        )()

    def either(self, value: Any) -> Any:
        return value if self.chance.random() < 0.93 else self.anything()

    # Records

    def record(self, depth: int = 0) -> Any:
        tree: dict[str, Any] = {"v": 1, "type": self.either(self.text()), "message": self.either(self.text())}
        tree["hops"] = self.either([self.either(self.hop()) for _ in range(self.chance.choice((0, 1, 1, 2, 5)))])
        for key in ("notes", "final", "broken", "lost"):
            if self.chance.random() < 0.15:
                tree[key] = self.either([self.either(self.text()) for _ in range(self.chance.choice((1, 3, 500)))])
        for key in ("cut", "text", "where", "culprit"):
            if self.chance.random() < 0.15:
                tree[key] = self.either(self.text() if key != "text" else self.worker_text())
        for key in ("skipped", "unlisted", "alike", "unnoted"):
            if self.chance.random() < 0.1:
                tree[key] = self.either(self.number())
        if depth < 6:
            for key in ("cause", "context"):
                if self.chance.random() < 0.3:
                    tree[key] = self.either(self.record(depth + 1))
            for key in ("members", "also"):
                if self.chance.random() < 0.1:
                    tree[key] = self.either([self.record(depth + 2) for _ in range(self.chance.choice((0, 1, 4)))])
        return self.tangled(tree, depth)

    def tangled(self, tree: dict[str, Any], depth: int) -> dict[str, Any]:
        """Now and then a circle, or members that are shared so that unfolding them never ends."""
        kind = self.chance.random() if depth == 0 else 1
        if kind < 0.02:
            tree["cause"] = tree["context"] = tree
        elif kind < 0.04:
            for _ in range(40):
                tree = {**tree, "members": [tree, tree]}
        elif kind < 0.05:
            for _ in range(2_000):
                tree = {"v": 1, "type": "Deep", "message": "", "hops": [], "cause": tree}
        return tree

    def hop(self) -> Any:
        many = self.chance.choice((0, 1, 2, 5)) if self.chance.random() < 0.97 else self.chance.choice((300, 100_000))
        frame = [self.either(self.frame()) for _ in range(min(many, 20))]
        hop: dict[str, Any] = {"frames": self.either((frame * (1 + many // max(1, len(frame))))[:many])}
        for key in ("where", "engine", "host", "thread", "call", "label", "verb", "log", "inputs"):
            if self.chance.random() < 0.3:
                hop[key] = self.either(self.text())
        for key, value in (
            ("pid", self.number()),
            ("job", {self.text(): self.text()}),
            ("died", [self.text()]),
            ("submitted", self.frame()),
        ):
            if self.chance.random() < 0.2:
                hop[key] = self.either(value)
        for key in ("live", "twice"):
            if self.chance.random() < 0.1:
                hop[key] = self.either(True)
        return hop

    def frame(self) -> Any:
        if self.chance.random() < 0.1:
            return {key: self.either(self.number()) for key in ("repeated", "cycle", "omitted")}
        frame: dict[str, Any] = {
            "path": self.either(self.path()),
            "line": self.either(self.number()),
            "name": self.either(self.text()),
        }
        if self.chance.random() < 0.8:
            frame["kind"] = self.either(self.chance.choice(("user", "library", "stdlib", "engine", "own")))
            frame["module"] = self.either(self.text())
        if self.chance.random() < 0.5:
            frame |= {key: self.either(self.number()) for key in ("col", "end_col", "end_line")}
        if self.chance.random() < 0.5:
            frame["source"] = self.either(
                [self.number(), [self.either(self.text()) for _ in range(self.chance.choice((0, 1, 7)))]]
            )
        if self.chance.random() < 0.2:
            frame["locals"] = self.either({self.text(): self.either(self.text())})
        return frame

    def worker_text(self) -> str:
        lines = ["Traceback (most recent call last):"]
        for _ in range(self.chance.choice((1, 3, 50))):
            lines += [f'  File "{self.path()}", line {self.number()}, in {self.text()}', "    " + self.text(), "    ~~^^"]
        return "\n".join([*lines, f"ValueError: {self.text()}"])

    # Exceptions

    def exception(self, depth: int = 0) -> BaseException:
        exc = self.raised(self.made())
        if self.chance.random() < 0.3:
            capture.fields_of(exc)["__notes__"] = self.either(
                [self.either(self.text()) for _ in range(self.chance.choice((1, 200)))]
            )
        if self.chance.random() < 0.3:
            capture.fields_of(exc)["__autotb__"] = self.either(self.record())
        if depth < 4 and self.chance.random() < 0.4:
            exc.__cause__ = self.exception(depth + 1)
        if depth < 4 and self.chance.random() < 0.3:
            exc.__context__ = self.exception(depth + 1)
        if depth == 0 and self.chance.random() < 0.02:
            for _ in range(self.chance.choice((60, 3_000))):
                outer = self.made()
                outer.__cause__ = exc
                exc = outer
        return exc

    def made(self) -> BaseException:
        kind = self.chance.randrange(9)
        if kind == 0:
            return SyntaxError(self.text(), (self.path(), self.number() % 10**6, 3, self.text()))
        if kind == 1:
            return OSError(2, self.text(), self.path())
        if kind == 2 and sys.version_info >= (3, 11):
            many = self.chance.choice((1, 2, 20)) if self.chance.random() < 0.9 else 3_000
            members = [self.raised(ValueError(self.text())) for _ in range(min(many, 20))]
            return ExceptionGroup(self.text(), [self.chance.choice(members) for _ in range(many)])  # noqa: F821
        if kind == 3:
            return NameError(self.text(), name=self.text())
        if kind == 4:
            return self.chance.choice(HOSTILE)(self.text())
        return self.chance.choice((ValueError, KeyError, RuntimeError, KeyboardInterrupt, AttributeError))(
            self.either(self.text())
        )

    def raised(self, exc: BaseException) -> BaseException:
        """With a traceback: of code that has a strange name, file or table of lines, of a recursion, or of a library."""
        code = compile("def inner(n):\n    if n: return inner(n - 1)\n    raise exc\n", "made", "exec")
        names: dict[str, Any] = {
            "exc": exc,
            "__name__": self.either(self.chance.choice(("mine", "json", "concurrent.futures", "asyncio.x"))),
        }
        exec(code, names)
        inner = names["inner"]
        table = {"co_linetable": b""} if self.chance.random() < 0.1 else {}
        inner.__code__ = _replaced(inner.__code__, co_name=self.text(), co_filename=self.path(), **table)
        try:
            inner(self.chance.choice((0, 0, 0, 1, 3, 100)))
        except BaseException as error:
            return error.with_traceback(error.__traceback__.tb_next if error.__traceback__ else None)
        return exc


def _replaced(code: CodeType, **what: Any) -> CodeType:
    try:
        return code.replace(**what)
    except (UnicodeError, ValueError):
        return code


class _Raises(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class _Claims(Exception):
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no attribute")


class _Text(str):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no text either")


class _Speaks(Exception):
    def __str__(self) -> str:
        return _Text("\x1b[31mspeaks")


class _Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        if name == "__subclasses__":  # tblib, which Dask imports, asks every exception class of the process
            return super().__getattribute__(name)
        raise RuntimeError("no metaclass")


class _Made(Exception, metaclass=_Meta):
    pass


class _Ends(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


HOSTILE = (_Raises, _Claims, _Speaks, _Made)


def story(fuzz: Fuzz) -> list[str]:
    """One exception, drawn; the kinds of what is wrong with it."""
    try:
        exc = fuzz.exception()
    except BaseException:
        return ["! made nothing"]
    began = time.process_time()
    wrong = []
    try:
        trace = build.build(exc)
        for style, text in _drawn(fuzz, trace):
            if RAW.search(text):
                wrong.append(f"{style}: a raw {RAW.search(text)[0]!r}")  # type: ignore[index]
            if style != "json" and text.count("\n") > 300:
                wrong.append(f"{style}: {text.count(chr(10))} lines")
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        wrong.append(f"{type(error).__name__}: {str(error)[:80]}, at {last.filename}:{last.lineno}")
    if time.process_time() - began > SLOWEST:
        wrong.append(f"slow: {time.process_time() - began:.1f} s")
    return wrong


def _drawn(fuzz: Fuzz, trace: Any) -> Any:
    in_force = settings.current()
    abilities = terminal.Abilities(width=fuzz.chance.choice((20, 41, 80, 80, 250)), unicode=fuzz.chance.random() < 0.8)
    yield "rich", panels.draw(trace, abilities, in_force)
    yield "plain", "\n".join(plain.lines(trace, in_force, with_hints=True)) + "\n"
    if fuzz.chance.random() < 0.2:
        stream = io.StringIO()
        render.show(trace, stream, "json")
        yield "json", stream.getvalue()
        yield "again", str(type(trace).from_dict(trace.to_dict()))


def main(seconds: float, seed: int) -> int:
    found: collections.Counter[str] = collections.Counter()
    ends = time.monotonic() + seconds
    count, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(seed, folder)
        while time.monotonic() < ends:
            began = time.process_time()
            found.update(story(fuzz))
            slowest = max(slowest, time.process_time() - began)
            count += 1
    unmade = found.pop("! made nothing", 0)
    print(f"seed {seed}: {count} stories ({unmade} could not be made), the slowest {slowest:.2f} s, {found.total()} faults")
    for kind, times in found.most_common(40):
        print(f"{times:8} {kind}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(float((*sys.argv, "10")[1]) if len(sys.argv) > 1 else 10, int(sys.argv[2]) if len(sys.argv) > 2 else 1))
