"""PyTorch on one machine: ``DataLoader`` workers and ``torch.multiprocessing.spawn``.

A DataLoader's worker sends no exception but its type and its traceback as text, in an ``ExceptionWrapper``, from which the
driver makes ``type("Caught … Original Traceback …")``; the record rides in the wrapper's ``__dict__``.  An item that cannot be
pickled makes the loader wait for ever; here it ends with that error.  ``spawn`` leaves the text of the first failure in a file;
the record is appended to that file.  Source: https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

import _thread
import functools
import os
import pickle
import re
import sys
import weakref
from typing import TYPE_CHECKING, Any

from autotb import engine_facts, settings
from autotb.assumption import Attributes, Frame, Lost, Text
from autotb.engines import torch_ranks
from autotb.instrument import engine_frames, ranks, submission, task_events, waiting
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, ownership, safe_repr, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from types import TracebackType

    from autotb.instrument.types import Function, Queue, Story
    from autotb.record.schema import Hop, Tree

MODULES = (
    "torch._utils",
    "torch.utils.data._utils.fetch",
    "torch.utils.data._utils.signal_handling",
    "torch.utils.data._utils.worker",
    "torch.utils.data.dataloader",
    "torch.multiprocessing.spawn",
    "torch.distributed.distributed_c10d",
)
NAME = "PyTorch"
DISTRIBUTION = "torch"
CAPTURED = (
    "DataLoader workers (map and iterable style, persistent, collate_fn, worker_init_fn), spawn, ranks of torch.distributed"
)
TESTED = "2.0 to 2.13"

_FRAMES = "the worker's frames, where there is no record of them"
_DEATH = "which item a dead worker ran, and how it ended"
CAUGHT = Text(
    "torch._utils",
    r"Caught \S+ (?P<where>in .*)\.\nOriginal (?P<text>Traceback .*)",
    re.S,
    words=("Caught ", "Original "),
    costs=_FRAMES,
)
SPAWNED = Text(
    "torch.multiprocessing.spawn",
    r"\n\n-- Process (?P<index>\d+) terminated with the following error:\n(?P<text>.*)",
    re.S,
    words=("-- Process ", " terminated with the following error:"),
    costs=_FRAMES,
)
PIDS = Text(
    "torch.utils.data.dataloader",
    r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)",
    words=("DataLoader worker (pid",),
    costs=_DEATH,
)
TIMED_OUT = Text(
    "torch.utils.data.dataloader",
    r"DataLoader timed out after ",
    words=("DataLoader timed out after ",),
    costs="what a DataLoader waited for",
)
WORKERS = Attributes("torch.utils.data.dataloader", "_MultiProcessingDataLoaderIter", "_workers", costs=_DEATH)
FETCHER = Attributes("torch.utils.data._utils.fetch", "_BaseDatasetFetcher", "dataset", "auto_collation", costs=_DEATH)
FILES = Attributes(
    "torch.multiprocessing.spawn",
    "ProcessContext",
    "error_files",
    costs="the story of a process of spawn: torch's text is read",
    optional=True,  # before 2.2 the text came by a queue, which has no room for a record
)
FETCH = Frame(
    "torch.utils.data._utils.fetch",
    "_MapDatasetFetcher.fetch",
    "self",
    "possibly_batched_index",
    costs="which items a library's own code failed on",
)
PROCESSES = Attributes("torch.multiprocessing.spawn", "ProcessContext", "processes", costs="how a process of spawn ended")
INDEX = Attributes("torch.multiprocessing.spawn", "ProcessRaisedException", "error_index", costs=FILES.costs)


def _open(exc: BaseException) -> engine_facts.Opened | None:
    """The messages that hold a worker's whole traceback."""
    message = next(map(static.text_of, static.args_of(exc)), "")
    if message.startswith("Caught ") and (match := CAUGHT.match(message)):
        return engine_frames.opened_text(exc, match["text"])
    if message.startswith("\n\n-- Process ") and (match := SPAWNED.match(message)):
        broken = f"process {match['index']} of torch.multiprocessing.spawn failed, the others were terminated"
        is_told = "broken" in (attached(exc) or {})
        return engine_frames.opened_text(exc, match["text"], *() if is_told else (broken,))
    if message.startswith("DataLoader timed out after "):
        return waiting.story(exc, lambda _: ())
    return None


#: With the system's own words: no space left on the device, or no memory.
_SHARED = re.compile(r"unable to (write to|open|mmap|allocate|resize|create)\b.*(</?torch_|shared memory|shm).*\((28|12)\)", re.S)


def _no_shared_memory(trace: Story) -> dict[str, str] | None:
    """A bus error of a worker, which touched a page that the file system had no room for, or torch's own words for it."""
    for stack in (trace.stack, trace.root_cause):
        if "out of shared memory" in stack.message or (stack.type == "RuntimeError" and _SHARED.match(stack.message)):
            return {}
    return None


_SHARED_MEMORY = (
    "the workers hand batches over in shared memory, and /dev/shm is full: enlarge it (docker run --shm-size=8g, or --ipc=host; "
    "`df -h /dev/shm` shows it), use fewer workers or smaller batches, or "
    'torch.multiprocessing.set_sharing_strategy("file_system")'
)


def _bus_error(trace: Story) -> dict[str, str] | None:
    """The same where its pipe broke before torch knew of it; no other hint, of crashes in general, is for that then."""
    for hop in (hop for stack in (trace.stack, trace.root_cause) for hop in stack.hops if hop.engine == "torch"):
        if any("(SIGBUS)" in line for line in hop.died) and "out of shared memory" not in trace.stack.message:
            return {"alone": ""}
    return None


_REMEDIES = _SHARED_MEMORY.partition(": ")[2]
_BUS_ERROR = f"a bus error most often comes of a full /dev/shm, in which the workers hand batches over: {_REMEDIES}"

engine_facts.register(
    hints=((_no_shared_memory, _SHARED_MEMORY), (_bus_error, _BUS_ERROR)),
    own=("torch._utils", "torch.utils.data", "torch.multiprocessing", "torch.distributed"),
    openers=(_open,),
)


# DataLoader


def _wrap_wrapper_init(original: Function) -> Function:
    """Runs in the worker, or in a thread that pins memory, with the exception alive."""

    @functools.wraps(original)
    def __init__(self: Any, exc_info: Any = None, where: str = "in background") -> None:
        exc_info = exc_info or sys.exc_info()
        original(self, exc_info, where)
        try:
            exc, tb = exc_info[1], exc_info[2]
            call = engine_frames.frame_call(tb) or _fetched(tb)
            hop = build.hop("torch", f"{where[:3]}a {where[3:]}", call=call)
            self._autotb = build.record(exc, tb, hop)
        except Exception:
            pass  # without a record the driver reads the text

    return __init__


def _fetched(tb: TracebackType | None) -> str | None:
    """What a worker was fetching, where no line of the user's was running: items that do not collate, a library's data set."""
    while tb is not None and not (static.name_of(tb.tb_frame) == FETCH.module and FETCH.matches(tb.tb_frame)):
        tb = tb.tb_next
    found = FETCH.read(tb.tb_frame) if tb is not None and settings.switch("args") else None
    try:
        text = _text(*found) if found is not None else None
    except Exception:
        return None  # a batch sampler that gives no batches
    return text.replace("] for one i of ", "] for i = ") if text else None


def _wrap_reraise(original: Function) -> Function:
    """Makes the exception that the program gets."""

    @functools.wraps(original)
    def reraise(self: Any) -> None:
        try:
            original(self)
        except BaseException as error:
            try:
                tree = self.__dict__.get("_autotb")
                if tree is not None:
                    annotate.attach(error, tree)
                    annotate.raised(error)
            except Exception:
                pass  # the text is read
            raise

    return reraise


def _wrap_worker_loop(original: Function) -> Function:
    """An item that cannot be pickled fails in the queue's own thread, which tells nobody: the loader gets the error."""

    @functools.wraps(original)
    def _worker_loop(*args: object, **kwargs: object) -> Any:
        global _in_worker
        _in_worker = True
        try:
            found = [*args, *kwargs.values()]
            queue: Any = kwargs.get("data_queue", found[3] if len(found) > 3 else None)
            if settings.switch("rescue") and hasattr(queue, "_on_queue_feeder_error"):
                queue._on_queue_feeder_error = functools.partial(_unsent, queue)
        except Exception:
            pass  # then it waits, as ever
        return original(*args, **kwargs)

    return _worker_loop


def _unsent(queue: Queue, error: BaseException, item: Any) -> None:
    wrapper = sys.modules["torch._utils"].ExceptionWrapper
    info = sys.modules["torch.utils.data"].get_worker_info()
    where = f"in DataLoader worker process {info.id}" if info is not None else "in DataLoader worker process"
    queue.put((item[0], wrapper((type(error), error, static.traceback_of(error)), where)))


# Workers of a DataLoader that die


_in_worker = False


def _wrap_fetch(original: Function) -> Function:
    """Gets an item, or those of a batch, in a worker or in the program itself."""
    return task_events.around(original, _items, ends=("torch", "in a DataLoader worker process"))


def _items(self: Any, index: Any) -> Any:
    if not _in_worker:
        return None
    # It begins here, not with the worker: torch's own handlers of signals are there by now, and faulthandler's goes first.
    text = _text(self, index)
    return (None, (), None, 0, text) if text is not None else None


def _text(fetcher: Any, index: Any) -> str | None:
    from autotb.postmortem import status_file

    dataset, collates = FETCHER.read(fetcher) or (None, None)
    if dataset is None:
        return None
    name = type(dataset).__name__
    if not settings.switch("args"):
        return name
    if type(fetcher).__name__ == "_IterableDatasetFetcher":
        return f"next(iter({name}))"
    if not collates or len(index) == 1:
        return f"{name}[{status_file._brief(index[0] if collates else index)}]"
    shown = ", ".join(map(status_file._brief, index[:8])) + (", …" if len(index) > 8 else "")
    return f"{name}[i] for one i of {shown}"


_noting = 0  # the thread that finds out why asking for a batch failed


def _wrap_check(original: Function) -> Function:
    """At SIGCHLD, wherever the program is, torch raises if the dead child is a worker; in the midst of finding out about one its
    error would be lost, and what was found."""
    check = submission.when_raised(_note_death, RuntimeError)(original)

    @functools.wraps(original)
    def _error_if_any_worker_fails(*args: object) -> Any:
        return None if _noting == _thread.get_ident() else check(*args)

    return _error_if_any_worker_fails


def _note_raised(error: BaseException, iterator: object) -> None:
    """Asking for the next batch failed: workers whose death is noticed here are told of here, or what they do instead."""
    global _noting
    before, _noting = _noting, _thread.get_ident()
    try:
        _note_death(error, iterator)
        if TIMED_OUT.match(next(map(static.text_of, static.args_of(error)), "")):
            _note_waited(error, iterator)
        else:
            submission.note_site_of_worker(error, iterator)
    finally:
        _noting = before


def _note_death(error: BaseException, iterator: object = None) -> None:
    before = static.behind(error)  # raised at SIGCHLD, of the same worker
    known = attached(before) if before is not None else None
    if "hops" in (attached(error) or {}):
        return
    if known and known.get("hops") and PIDS.match(str(error)):
        annotate.attach(error, known)
        return
    dead = _dead(error, iterator)
    if dead:
        reports = [_report(process) for process in dead[:3]]
        annotate.note_death(error, [hop for hop, _ in reports], None, next(filter(None, [raised for _, raised in reports]), None))


#: What was found of a worker, once: whoever got the error that SIGCHLD was the occasion of may have dropped it (a ``__del__``).
_reports: weakref.WeakKeyDictionary[Any, tuple[Hop, Tree | None]] = weakref.WeakKeyDictionary()


def _report(process: Any) -> tuple[Hop, Tree | None]:
    """Its death, and what it raised that ended it."""
    from autotb.postmortem import death_report

    if process not in _reports:
        _reports[process] = death_report.of_process("torch", "in a DataLoader worker process", process, patience=1)
    return _reports[process]


def _note_waited(error: BaseException, iterator: object) -> None:
    """The loader gave up waiting for a batch: what its workers do at that moment; they end with it."""
    try:
        from autotb.instrument import waited_tasks
        from autotb.postmortem import death_report, status_reader

        tasks = []
        for number, worker in enumerate((WORKERS.read(iterator) or ((),))[0]):
            left = status_reader.of_child(worker)
            if left is not None and left.running:
                more = f"since {death_report.duration(left.seconds)}, in DataLoader worker process {number}, pid {worker.pid}"
                tasks.append(waited_tasks.Task(waited_tasks.RUNNING, left.text, more))
        if tasks:
            annotate.note(error, broken=list(waited_tasks.told(tasks)))
    except Exception:
        pass  # then torch's message is all


def _dead(error: BaseException, iterator: object) -> list[Any]:
    """The processes of dead workers: those that torch names; where their pipes broke first, those that have an exit status."""
    workers: list[Any] = list((WORKERS.read(iterator) or ((),))[0])
    match = PIDS.match(str(error)) if issubclass(type(error), RuntimeError) else None
    if match is not None:
        pids = {int(pid) for pid in match[1].split(",")}
        from multiprocessing import process

        return [child for child in [*process._children, *workers] if child.pid in pids][: len(pids)]  # type: ignore[attr-defined]
    if not issubclass(type(error), (ConnectionError, EOFError)) or not workers:
        return []
    from multiprocessing import connection

    ending = connection.wait([child.sentinel for child in workers], 0.5)
    for child in workers:
        if child.sentinel in ending:
            child.join(1)  # it has closed what it had, and is about to end
    return [child for child in workers if child.exitcode]


# torch.multiprocessing.spawn


def _wrap_spawned(original: Function) -> Function:
    """Runs the user's function in the child, writes what it raises to a file as text, and exits."""

    @functools.wraps(original)
    def _wrap(fn: Function, i: int, args: tuple[Any, ...], error_file: object) -> None:
        try:
            task_events.begins(fn, (i, *args))
        except Exception:
            pass  # should it die, less is known
        try:
            original(fn, i, args, error_file)
            _end_spawned()
        except SystemExit as leaving:
            try:
                if isinstance(error_file, str) and os.path.exists(error_file):
                    _append(leaving.__context__, fn, (i, *args), error_file)
                elif leaving.code not in (None, 0):  # the user's own
                    task_events.is_ended_by(leaving, "torch", f"in process {i} of torch.multiprocessing.spawn")
            except Exception:
                pass  # without a record the parent reads the text
            raise

    return _wrap


def _end_spawned() -> None:
    try:
        task_events.ended(True)
    except Exception:
        pass  # it has ended well all the same


def _append(exc: BaseException | None, function: Function, args: tuple[Any, ...], error_file: str) -> None:
    """The record stands after the text: who reads only that finds it as ever."""
    if exc is None:
        return
    tb, code = static.traceback_of(exc), getattr(function, "__code__", None)
    is_users = code is None or ownership.kind_of(static.exact(code.co_filename), static.module_of(function)) == ownership.USER
    call = build.call_text(function, args) if is_users else engine_frames.last_call(tb)  # Lightning's is a wrapper
    hop, rank = build.hop("torch", "in a process of torch.multiprocessing.spawn", call=call), ranks.number()
    if rank is not None:  # a launcher may leave another in the environment, as accelerate's debug_launcher does
        hop["job"] = {**hop.get("job", {}), "RANK": rank}
    tree = build.record(exc, tb, hop)
    with open(error_file, "ab") as file:
        pickle.dump(tree, file)


def _note_failure(error: BaseException, context: Any) -> None:
    """The first failure is raised; its record is read from the file that the text came from."""
    try:
        _attach(error, context)
        _note_end(error, context)
    except Exception:
        pass  # without a record the text is read
    submission.note_site(error, context)


def _note_end(error: BaseException, context: Any) -> None:
    (processes,), (index,) = PROCESSES.read(context) or ((),), INDEX.read(error) or (None,)
    if static.name(type(error)) == "ProcessExitedException" and index is not None:
        from autotb.postmortem import death_report

        where = f"in process {index} of torch.multiprocessing.spawn"
        hop, raised = death_report.of_process("torch", where, processes[index])
        annotate.note_death(error, [hop], None, raised)


def _attach(error: BaseException, context: Any) -> None:
    (files,), (index,) = FILES.read(context) or (None,), INDEX.read(error) or (None,)
    if static.name(type(error)) == "ProcessRaisedException" and files is not None and index is not None:
        tree = _left(files[index])
        if tree is None:
            return
        others = {number: _left(file) for number, file in enumerate(files)} if _has_lost_another(tree) else {}
        first = next((number for number, other in others.items() if other and not _has_lost_another(other)), index)
        annotate.attach(error, others.get(first) or tree)
        annotate.raised(error)
        if first != index:
            headline = f"{tree['type']}: {tree['message']}".split("\n", 1)[0]
            after = f"process {index} failed after it: {safe_repr.cut(headline, 300)}"
            annotate.note(error, broken=[f"process {first} of torch.multiprocessing.spawn failed first", after])


def _left(path: str) -> Any:
    """The record behind the text that a process has left, if it has left any."""
    try:
        with open(path, "rb") as file:
            pickle.load(file)
            return pickle.load(file)
    except (OSError, EOFError):
        return None


def _has_lost_another(tree: Any) -> bool:
    """Torch takes the first process by number for the one that failed first, among those that have ended by then."""
    return ranks.GONE.search(tree["message"]) is not None


PATCHES = (
    Patch("torch._utils", "ExceptionWrapper.__init__", _wrap_wrapper_init, costs=Lost.RECORD),
    Patch("torch._utils", "ExceptionWrapper.reraise", _wrap_reraise, costs=Lost.RECORD),
    # Not the iterator's __init__: its warnings name the line that called it.
    Patch("torch.utils.data.dataloader", "DataLoader._get_iterator", submission.on_result, costs=Lost.SITE),
    Patch(
        "torch.utils.data.dataloader",
        "_BaseDataLoaderIter.__next__",
        submission.when_raised(_note_raised, but=StopIteration),
        costs=Lost.DEATH,
    ),
    Patch("torch.utils.data._utils.fetch", "_MapDatasetFetcher.fetch", _wrap_fetch, costs=Lost.DEATH),
    Patch("torch.utils.data._utils.fetch", "_IterableDatasetFetcher.fetch", _wrap_fetch, costs=Lost.DEATH),
    Patch(
        "torch.utils.data._utils.signal_handling",
        "_error_if_any_worker_fails",
        _wrap_check,
        costs=Lost.DEATH,
    ),
    Patch("torch.utils.data._utils.worker", "_worker_loop", _wrap_worker_loop, costs=Lost.WAITS),
    Patch("torch.multiprocessing.spawn", "_wrap", _wrap_spawned, costs=Lost.RECORD),
    Patch("torch.multiprocessing.spawn", "ProcessContext.__init__", submission.on_self, costs=Lost.SITE),
    Patch(
        "torch.multiprocessing.spawn", "ProcessContext.join", submission.when_raised(_note_failure, Exception), costs=Lost.RECORD
    ),
    *torch_ranks.PATCHES,
)
ASSUMPTIONS = (CAUGHT, SPAWNED, PIDS, TIMED_OUT, WORKERS, FETCHER, FETCH, FILES, INDEX, PROCESSES)

#: What ``python -m autotb demo --engine torch`` runs: a user's script.
DEMO = '''\
"""A DataLoader's workers read a data set; one item cannot be read."""

from torch.utils.data import DataLoader, Dataset

ITEMS = [{"clicks": n % 7, "views": 5 - n} for n in range(8)]


def rate(clicks, views):
    return clicks / views


def score(item):
    return rate(item["clicks"], item["views"])


class Clicks(Dataset):
    def __len__(self):
        return len(ITEMS)

    def __getitem__(self, index):
        return score(ITEMS[index])


def main():
    for batch in DataLoader(Clicks(), num_workers=2, batch_size=2):
        print(batch)


if __name__ == "__main__":
    main()
'''
