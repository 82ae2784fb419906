"""The record of an exception, key by key: the one place where they are named and described.

A line ``key: Form  # what it holds`` is all that a new key takes.  mypy knows it by that line, ``arrival`` takes it in by its
form, the story (``autotb.trace``) and its JSON carry it, and ``python -m autotb.cli.table`` writes it into ``docs/record.md`` and
``trace/trace.schema.json``.  The classes are TypedDicts for mypy alone: while programs run, records are plain dicts, and what is
left of the lines is the form's name, as a text.

Flows in: nothing.  Flows out: the types of records, and :func:`forms` and :func:`shown` of each.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict, TypeVar

    # The forms.  What has another form is dropped where a record arrives, and so is what is empty.
    Line = str  # a text of at most arrival.MAX_LINE characters
    Text = str  # one of at most arrival.MAX_TEXT
    WorkerText = str  # the last arrival.MAX_WORKER_TEXT characters of a worker's traceback
    Texts = list[str]  # at most 100 of them, or as MOST has it
    Pairs = dict[str, str]  # short texts by names
    Count = int  # of what there is at least one
    Number = int
    Time = float  # seconds since the epoch
    Flag = bool  # True, or not there
    Source = list[Any]  # [number of the first line, [lines]]
    Frames = list["Frame"]
    Hops = list["Hop"]
    Trees = list["Tree"]
else:

    class TypedDict:
        """What mypy takes for ``typing.TypedDict``, which a worker that fails is not to wait for."""

        def __init_subclass__(cls, total: bool = True) -> None:
            pass


class Place(TypedDict, total=False):
    """A line of a file."""

    path: Line  # the file, as the code object has it
    line: Number  # its number, from 1; 0 for code that has no lines
    name: Line  # the function's name


class Frame(Place, total=False):
    """A call of the stack, the outermost first; or what stands in place of some: `repeated` with `cycle`, or `omitted`."""

    module: Line  # `__name__` of the module whose code it is
    qualname: Line  # the function's name, where Python tells (from 3.11 on)
    first: Number  # the line on which the function begins
    kind: Line  # whose code it is: `user`, `library`, `stdlib`, `engine`, `own` (autotb's)
    end_line: Number  # the line where the failing expression ends
    col: Number  # its first column, in characters, from 0
    end_col: Number  # its last column
    source: Source  # the number of the first line, and the lines
    locals: Pairs  # the variables of a frame of the user's, as short texts, secrets masked
    args: Count  # how many of these, the first ones, are the function's parameters
    changed: Flag  # the file is not as it was when the code was compiled
    code: Line  # fingerprint of code that has no file in the worker, to be found again where it came from
    repeated: Number  # so many more turns of the frames before
    cycle: Number  # how many frames make one such turn
    omitted: Number  # so many frames are left out here


class Hop(TypedDict, total=False):
    """One process or thread."""

    where: Text  # in words: `in a process-pool worker`
    engine: Text  # which engine ran it
    pid: Number  # the process
    host: Text  # the machine
    thread: Text  # the thread's name, where it is not the main one
    job: Pairs  # `RANK`, `SLURM_JOB_ID` and their like
    call: Text  # the failing call with its arguments, secrets masked: `ratio(clicks=3, views=0)`
    label: Text  # what the engine calls the task
    reads: Text  # the file that the task was reading
    ran: Number  # seconds that the task had run, of one that a Ctrl-C has ended
    attempt: Text  # which attempt of the call it was, and what those before failed of
    submitted: Place  # where the work was submitted
    made: Place  # where a lazy collection's operation was made whose function failed
    verb: Text  # what happened at that place: `submitted`, `started`, `created`, `spawned`
    frames: Frames  # its frames, the outermost first
    died: Texts  # of a worker that died: what ended it, what it was doing, what it wrote last
    command: Text  # the shell command that a task ran and that failed
    files: Pairs  # of that command: the files in which its `stdout` and `stderr` are
    stdout: Text  # the last lines that it wrote there
    stderr: Text  # the same of its standard error
    versions: Pairs  # of Python in a worker, and of the packages that its frames are of
    log: Text  # the file in which the worker logged its tasks and its environment
    inputs: Text  # the file in which the call is kept, pickled
    live: Flag  # its frames are in the exception's own traceback
    twice: Flag  # its frames are in the exception's own traceback as well, with less to tell
    task: Text  # Ray's name of the task, by which the driver knows where it was submitted
    actor: Text  # the same of an actor
    operation: Text  # Dask's name of the operation that failed, by which the driver knows which line made it
    brought: Frames  # the frames that the engine brought into that traceback, where they are others than `frames`


class Tree(TypedDict, total=False):
    """An exception."""

    v: Count  # version of this form, 1
    type: Line  # the exception's type as Python prints it
    message: Text  # str(exception), cut at 10,000 characters
    notes: Texts  # the texts of add_note
    hops: Hops  # list of hops, the outermost first
    cause: Tree | None  # record of the explicit cause, or None
    context: Tree | None  # record of the implicit context, or None
    members: Trees | None  # records of an exception group's members, or None
    also: Trees  # records of other errors that the same tasks failed of
    final: Texts  # the last lines as Python prints them, only where they are more than type and message
    broken: Texts  # one line for each task that failed only because of this error
    raised_as: Line  # the type to catch, where `type` is that of the error which an engine wrapped
    lost: Texts  # what could not travel
    cut: Line  # what was left out to keep the record small
    skipped: Count  # how many exceptions there are between this one and its cause or context, of which nothing is kept
    unlisted: Count  # how many members a group has besides, of which nothing is kept
    alike: Count  # of a member: how many others were like it, and only counted
    unnoted: Count  # how many notes there are besides, after the first half of those that are kept
    culprit: Line  # what could not be pickled: the path to it, and its type
    unsent: Flag  # the task could not be sent: no worker has seen it
    text: WorkerText  # a worker's traceback as text, where nothing better arrived
    where: Line  # in what kind of worker that text was made
    suppress: Flag  # it was raised `from None`
    told: Flag  # another process shows it on the same terminal
    submitted: Place  # where the work was submitted, of an exception that has no hop
    asked: Place  # where the result was asked for
    time: Time  # when it failed, of a rank of torchrun


if TYPE_CHECKING:
    Light = tuple[int, Any, str | None]  # version, what many failures of one place share, the call; see capture.attached
    Shape = TypeVar("Shape", Tree, Hop, Frame)

MOST = {"final": 200, "broken": 1_000, "lost": 50, "died": 40}  # texts of these keys
# What is needed only until the story is told, which shows it in another way or not at all.
_ON_THE_WAY = {
    Tree: ("v", "text", "where", "suppress", "told", "submitted", "asked", "time"),
    Hop: ("live", "twice", "task", "actor", "operation", "brought", "ran"),
    Frame: ("args", "first", "end_line", "col", "end_col", "code", "repeated", "cycle", "omitted"),
}


def forms(shape: type) -> dict[str, str]:
    """The name of each key's form; of a key that may be None it is that of what it is else."""
    found: dict[str, str] = {}
    for kind in reversed(shape.__mro__):
        found |= getattr(kind, "__annotations__", {})
    return {key: form.partition(" ")[0] for key, form in found.items()}


def shown(shape: type) -> dict[str, str]:
    """The same of those keys that the story has under their names."""
    return {key: form for key, form in forms(shape).items() if key not in _ON_THE_WAY[shape]}


def without(record: Shape, *keys: str) -> Shape:
    """A part of a record but for these of its keys."""
    return {key: value for key, value in record.items() if key not in keys}  # type: ignore[return-value]
