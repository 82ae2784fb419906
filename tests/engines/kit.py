"""The same failures on every engine: what a test of an engine writes is how that engine is given a function and some items.

A program is made of three files: ``tasks.py`` (the functions that fail), ``cases.py`` (runs the cases named by its arguments, each
``way:task``, and shows what came of each) and the engine's ``main.py``, which defines one function a way.  It is run with
autotb and without; the cases that hang an engine without autotb are left out there.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import programs
from tests.programs import Ran, sections

TASKS = '''\
"""Functions that fail, each in its own way, for an item that is zero."""

import os
import signal
import sys
import threading
import time


def ok(item):
    return item


def score(item):
    return divide(item)


def divide(value):
    return 1 / value


def chained(item):
    try:
        divide(item)
    except ZeroDivisionError as error:
        raise ValueError("no score") from error


class NeedsTwo(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def two(item):
    if not item:
        raise NeedsTwo(1, 2)
    return item


class HoldsLock(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()


def locked(item):
    if not item:
        raise HoldsLock("it holds a lock")
    return item


def returns_lock(item):
    return item or threading.Lock()


def library(item):
    import json

    return json.dumps({"item": item or object()})


def group(item):
    if not item:
        raise ExceptionGroup("several", [KeyError("id"), ValueError("no")])
    return item


def killed(item):
    if not item:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def interrupted(item):
    if not item:
        raise KeyboardInterrupt
    return item


def leaves(item):
    if not item:
        sys.exit(3)
    return item


def slow(item):
    open(os.environ["BEGUN"], "w").close()
    time.sleep(4)


def says(item):
    print("the user's own line", item, flush=True)
    return score(item)
'''

CASES = '''\
"""Runs the cases that the arguments name, ``way:task``; ``!way:task`` is left to end the program."""

import gc
import io
import os
import sys
import traceback

import tasks


def lines_in_plain(error):
    stderr, sys.stderr = sys.stderr, io.StringIO()
    os.environ["AUTOTB_STYLE"], style = "plain", os.environ.get("AUTOTB_STYLE")
    try:
        sys.excepthook(type(error), error, error.__traceback__)
        return len(sys.stderr.getvalue().splitlines())
    finally:
        sys.stderr = stderr
        os.environ.pop("AUTOTB_STYLE")
        os.environ.update({"AUTOTB_STYLE": style} if style else {})


def run(ways, arguments=None):
    for case in arguments or sys.argv[1:]:
        way, _, task = case.lstrip("!").partition(":")
        function = getattr(tasks, task or "score")
        if case.startswith("!"):
            ways[way](function)
            continue
        sys.stdout.flush()
        gc.collect()  # what an engine left in cycles is not for a forked worker to find, which would complain of it
        sys.stderr.write(f"=== {way}_{task}\\n")
        sys.stderr.flush()
        try:
            result = ways[way](function)
        except BaseException as error:
            print(way, task, "raised", type(error).__name__, flush=True)
            frames = traceback.extract_tb(error.__traceback__)
            print(way, task, "has", *[frame.name for frame in frames if frame.filename.endswith("tasks.py")], flush=True)
            sys.excepthook(type(error), error, error.__traceback__)
            if os.environ["AUTOTB"] == "1":
                print(way, task, "plain", lines_in_plain(error), flush=True)
            error = None
        else:
            print(way, task, "returned", result, flush=True)
'''

#: On the oldest versions (``tests.matrix``) the frames and the error are checked, not the words around them.
OLDEST = os.environ.get("ENGINES") == "oldest"
newer = pytest.mark.skipif(OLDEST, reason="of the engine's newer versions")

ZERO = "ZeroDivisionError: division by zero"


@dataclass
class Expect:
    """What a story must say: the user's functions from the caller to the error, and the last line."""

    frames: list[str]
    last: str
    has: tuple[str, ...] = ()  # further texts
    lacks: tuple[str, ...] = ()
    most: int = 80  # lines


#: What the tasks lead to, after the caller's frames.  Python's own words, but for the exceptions that engines cannot carry.
STORIES = {
    "score": Expect(["score", "divide"], ZERO),
    "says": Expect(["says", "score", "divide"], ZERO),
    "chained": Expect(["chained"], "caused by ZeroDivisionError: division by zero, at ", most=90),
    "two": Expect(["two"], "tasks.NeedsTwo: 1 and 2"),
    "locked": Expect(["locked"], "tasks.HoldsLock: it holds a lock"),
    "library": Expect(["library", "default"], "TypeError: Object of type object is not JSON serializable"),
}


#: In panels: context lines, blank rows, borders.
PANEL_ONLY = re.compile(r"^(│ )*(│ +\d+ │.*│|│ +│|╭.*╮|╰.*╯)$")


@dataclass
class Program:
    """An engine's program, and what was seen of it."""

    main: str
    hangs: tuple[str, ...] = ()  # cases that the engine alone never ends, or that end the whole program
    timeout: float = 200
    environment: dict[str, str] = field(default_factory=dict)
    others: str = ""  # lines that another process writes, at any time
    ours: Ran | None = None
    bare: Ran | None = None

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tasks.py").write_text(TASKS)
        (folder / "cases.py").write_text(CASES)
        script = folder / "main.py"
        script.write_text(textwrap.dedent(self.main))
        return script

    def run(self, folder: Path, *cases: str, autotb: str = "1", **options: object) -> Ran:
        self.write(folder)
        options = {"timeout": self.timeout, **self.environment, **options}
        return programs.run(folder, self.main, *cases, autotb=autotb, **options)  # type: ignore[arg-type]

    def both(self, factory: pytest.TempPathFactory, cases: list[str]) -> Program:
        self.ours = self.run(factory.mktemp("ours"), *cases)
        self.bare = self.run(factory.mktemp("bare"), *[case for case in cases if case not in self.hangs], autotb="0")
        return self

    def story(self, case: str) -> str:
        assert self.ours is not None
        found = sections(self.ours.stderr)
        name = case.replace(":", "_")
        assert name in found, f"{case} was not reached\n{self.ours.stdout}\n{self.ours.stderr}"
        return re.sub(f"^{self.others}.*\n", "", found[name], flags=re.M) if self.others else found[name]

    def in_traceback(self, case: str) -> str:
        """The functions of ``tasks.py`` that are in the traceback of what a case raised."""
        assert self.ours is not None
        way, _, task = case.partition(":")
        return next(line for line in self.ours.stdout.splitlines() if line.startswith(f"{way} {task} has")).partition(" has")[2]

    def outcomes(self, ran: Ran) -> list[str]:
        return [line for line in ran.stdout.splitlines() if " raised " in line or " returned " in line]


def names(text: str) -> list[str]:
    """The functions whose frames a story shows, without those of the program around the case."""
    heads = Ran(1, "", text, Path()).heads
    return [name for name in (head.partition(" in ")[2] for head in heads) if name not in ("<module>", "run", "main")]


def check_text(
    text: str, way: str, task: str, *, where: str = "", own: tuple[str, ...] = (), frames: list[str] | None = None, note: str = ""
) -> None:
    """The story of one case: whose frames, in which order, where it ran, and the error last."""
    expect = STORIES[task]
    ran = Ran(1, "", text, Path())
    found = names(text)
    wanted = frames if frames is not None else [way, *expect.frames]
    if task == "chained":
        assert found[-len(wanted) :] == wanted, (found, wanted)
    else:
        assert found == wanted, (found, wanted)
    last = ran.lines[-2] if note and ran.last.startswith(note) else ran.last
    assert last.startswith(expect.last), last
    for fragment in own:
        assert fragment not in text, fragment
    assert OLDEST or where in text, where
    assert " frames in ?" not in text, "an engine's frames were not known as such"
    assert "\nhint: " not in text and "has changed" not in text, "nothing fits these errors"
    assert text.count("\n") <= expect.most, text.count("\n")


def check(program: Program, case: str, **options: object) -> None:
    """``check_text`` holds with autotb and fails without, where the engine got that far without."""
    way, _, task = case.partition(":")
    text = program.story(case)
    try:
        check_text(text, way, task, **options)  # type: ignore[arg-type]
    except AssertionError as error:
        raise AssertionError(f"{error}\n{text}") from None
    if case not in program.hangs:
        assert program.bare is not None
        check_length(program, case)
        with pytest.raises((AssertionError, KeyError)):
            check_text(sections(program.bare.stderr)[case.replace(":", "_")], way, task, **options)  # type: ignore[arg-type]


def check_length(program: Program, case: str) -> None:
    """No story is longer than without autotb, but for the line of the arguments: in the plain style, and in panels the lines around
    the failing ones aside."""
    assert program.ours is not None and program.bare is not None
    told = program.story(case).rstrip("\n").split("\n")
    theirs = sections(program.bare.stderr).get(case.replace(":", "_"), "").rstrip("\n").split("\n")
    way, _, task = case.partition(":")
    if theirs[-1] not in told or not any(line.endswith(f"in {task or 'score'}") for line in theirs):
        return  # what the engine made of an error that it cannot carry, or told without the worker's frames
    plain = re.findall(f"^{way} {task} plain (\\d+)$", program.ours.stdout, re.M)
    spare = 1  # the line of the arguments, which Python's text has not: where Dask leaves its frames out itself, it is one more
    assert int(plain[-1]) <= len(theirs) + spare, f"{plain[-1]} lines in the plain style, and without autotb {len(theirs)}"
    shown = [line for line in told if not PANEL_ONLY.match(line) and not re.match("│ +│ ", line)]  # a folded line is one
    assert len(shown) <= len(theirs) + spare, "\n".join([*shown, "", *theirs])


def submitted(text: str) -> list[str]:
    """The functions in which the work was submitted."""
    return re.findall(r"submitted at \S+:\d+ in (\S+)", re.sub(r" *│\n│ *", " ", text))


#: Engines that are heavy to install, or whose wheels exist for few Pythons, are installed and tested on the main one only.
on_main = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="installed on Python 3.11 only, the tests' main one")


class Standard:
    """The tests that every engine has; a subclass names its program and what is particular to it."""

    MAIN = ""
    WAYS: dict[str, str] = {}  # a function of the program: where its tasks run, in the story's words
    TASKS: tuple[str, ...] = tuple(STORIES)
    MORE: dict[str, list[str]] = {}  # further cases, with the functions that their stories show
    OTHERS: tuple[str, ...] = ()  # further cases that only run
    HANGS: tuple[str, ...] = ()  # cases that the engine alone never ends
    OWN: tuple[str, ...] = ()  # what no story contains
    FIRST: tuple[str, ...] = ()  # arguments before the cases
    BETWEEN: dict[str, list[str]] = {}  # frames between a way's own and the task's
    RESCUED: tuple[str, ...] = ("two", "locked")  # tasks whose exception the engine alone loses
    CATCHES = {"two": "NeedsTwo", "locked": "HoldsLock"}  # what the program catches with autotb
    ENVIRONMENT: dict[str, str] = {}
    LINES_OF_OTHERS = ""  # how a line begins that another process writes, at any time
    NOT_SUBMITTED: tuple[str, ...] = ()  # ways that tell no place of submission
    NOTE = ""  # how a note begins that the engine adds to every exception
    NO_FRAMES: tuple[str, ...] = ()  # ways whose exception has no frames of a worker's in its traceback
    NO_CALL: tuple[str, ...] = ()  # ways whose call is not of the task itself

    @classmethod
    def cases(cls) -> list[str]:
        return [f"{way}:{task}" for way in cls.WAYS for task in cls.TASKS]

    @classmethod
    def run_all(cls, factory: pytest.TempPathFactory) -> Program:
        return Program(cls.MAIN, hangs=cls.HANGS, environment=cls.ENVIRONMENT, others=cls.LINES_OF_OTHERS).both(
            factory, [*cls.FIRST, *cls.cases(), *cls.MORE, *cls.OTHERS]
        )

    def test_every_kind_of_failure_is_one_short_story(self, program, case):
        way, _, task = case.partition(":")
        frames = [way, *self.BETWEEN.get(way, []), *STORIES[task].frames]
        if task == "chained":
            frames = frames[-1:]
        check(program, case, where=self.WAYS[way], own=self.OWN, frames=frames, note=self.NOTE)

    def test_other_ways_to_ask(self, program, more):
        if more is None:
            return
        way, _, task = more.partition(":")
        frames = self.MORE[more]
        check_text(program.story(more), way, task or "score", own=self.OWN, frames=frames, note=self.NOTE)

    def test_the_call_and_the_place_of_submission(self, program):
        for way in self.WAYS:
            text = program.story(f"{way}:score")
            if way not in self.NOT_SUBMITTED and not OLDEST:
                assert submitted(text) == [way], text
            if way not in self.NO_CALL:
                assert re.search(r"│ score\((item=)?0\) +│", text), text

    def test_the_traceback_has_the_workers_frames(self, program):
        for way in self.WAYS:
            assert program.in_traceback(f"{way}:score") == ("" if way in self.NO_FRAMES else " score divide"), way

    def test_the_program_catches_the_same_exceptions(self, program):
        def by_case(ran):
            return {" ".join(line.split()[:2]): line for line in program.outcomes(ran)}

        ours, bare = by_case(program.ours), by_case(program.bare)
        changed = {name for name, line in bare.items() if ours[name] != line}
        assert {name.split()[1] for name in changed} <= set(self.RESCUED)
        for name, line in ours.items():
            kind = self.CATCHES.get(name.split()[1])
            assert kind is None or line.endswith(f"raised {kind}"), line

    def test_exit_status_and_the_users_own_output(self, tmp_path):
        way = next(iter(self.WAYS))
        ours = Program(self.MAIN).run(tmp_path / "ours", *self.FIRST, f"!{way}:says")
        bare = Program(self.MAIN).run(tmp_path / "bare", *self.FIRST, f"!{way}:says", autotb="0")

        assert ours.status == bare.status == 1
        told = [line for line in ours.stdout.splitlines() if "the user's own" in line]
        assert sorted(told) == sorted(line for line in bare.stdout.splitlines() if "the user's own" in line)
        assert any(line.endswith("the user's own line 0") for line in told)
        assert ours.last == ZERO or (self.NOTE and ours.last.startswith(self.NOTE))
