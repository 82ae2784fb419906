"""Parsl: a failed task submitted again, with all that failed upstream of it.

Flows in: the future of a failed app, which kept the call as the program made it.  Flows out: the future of the same call, in
which each upstream future that failed is replaced by that of its own task, run anew, once however many tasks need it.  What
succeeded is not run again.  By the time that a task fails Parsl has put results in the place of futures and left out those that
failed: its own record is no call to make again.  All is looked at before anything is submitted: where one of the tasks is not
known to be the same call, none runs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from autotb.instrument import call_snapshot, future_handles

if TYPE_CHECKING:
    from autotb.instrument.types import Future

    class Task(Future, Protocol):
        """Parsl's ``AppFuture``, and its ``DataFuture``, of a file that an app makes, whose task is its ``parent``."""

        filename: str
        outputs: list[Any]
        parent: Any
        stderr: Any
        stdout: Any
        task_record: dict[str, Any]
        tid: int


CALL = "_autotb_submitted"  # (args, keywords) of DataFlowKernel.submit, as they were given
LAUNCHED = "_autotb_launched"  # the snapshot of the arguments that the first attempt ran with, results in the place of futures


def remember(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The call of ``submit``, before Parsl writes into its arguments, with the snapshot of what can change in it."""
    if "app_args" not in kwargs or "app_kwargs" not in kwargs:
        return None
    app_args, app_kwargs = tuple(kwargs["app_args"]), dict(kwargs["app_kwargs"])
    for name in ("inputs", "outputs"):
        if type(app_kwargs.get(name)) is list:
            app_kwargs[name] = list(app_kwargs[name])
    kept = {**kwargs, "app_args": app_args, "app_kwargs": app_kwargs}
    return args, kept, call_snapshot.of_values((None, *app_args, *app_kwargs.values()), _atoms())


def note_launch(task: dict[str, Any]) -> None:
    """What a task with dependencies runs with; Parsl's own retries leave the first attempt's."""
    fields = task["app_fu"].__dict__
    if task["depends"] and LAUNCHED not in fields:
        fields[LAUNCHED] = call_snapshot.of_values((None, *task["args"], *task["kwargs"].values()), _atoms())


def _atoms() -> tuple[type, ...]:
    """What stands for itself in arguments: futures, and files, which Parsl copies before it writes into them."""
    import concurrent.futures

    files = sys.modules.get("parsl.data_provider.files")
    return (concurrent.futures.Future, *((files.File,) if files is not None else ()))


def why_not(future: Task) -> str:
    """Why a failed task, or what failed upstream of it, cannot be run again."""
    try:
        _plan(future)
    except future_handles.ResubmitError as error:
        return str(error)
    return ""


def resubmit(future: Task) -> Any:
    """The future of the task's new run."""
    anew: dict[int, Any] = {}
    for task in _plan(future):
        twin = next((found for found in anew.values() if _is_twin(found[0], task)), None)
        if twin is not None:  # the same memoised call: it ran once
            anew[id(task)] = (task, twin[1])
            continue
        try:
            anew[id(task)] = (task, _submit(task, anew))
        except Exception as error:  # cleaned up, say
            raise future_handles.ResubmitError(f"Parsl takes no more work ({type(error).__name__}: {error})") from error
    return _instead(future, anew)


def _is_twin(one: object, other: object) -> bool:
    hashes = [(getattr(task, "task_record", None) or {}).get("hashsum") for task in (one, other)]
    return hashes[0] is not None and hashes[0] == hashes[1]


def _plan(future: Task) -> list[Any]:
    """The failed tasks to run again, each once, upstream first.  ResubmitError where one of them cannot be."""
    ordered: list[Any] = []
    seen: set[int] = set()
    _place_of(future)
    stack: list[tuple[Any, bool]] = [(_task_of(future), False)]
    while stack:
        task, looked = stack.pop()
        if looked:
            ordered.append(task)
        elif id(task) not in seen:
            seen.add(id(task))
            stack.append((task, True))
            stack.extend((_task_of(needed), False) for needed in _needed(task))
    return ordered


def _task_of(future: Task) -> Any:
    """The future of the app that makes a file, for the file's; else itself."""
    while type(future).__name__ == "DataFuture" and hasattr(future, "parent"):
        future = future.parent
    return future


def _needed(task: Task) -> list[Any]:
    """The failed futures among what a task was given, once it is clear that the task can run again with others in their place."""
    record = getattr(task, "task_record", None)
    if record is None:  # no task of Parsl's: a future of another pool
        why = future_handles.handle_of(task).resubmit_obstacle(task)
        if why:
            raise future_handles.ResubmitError(
                f"it depends on a {type(task).__name__} that failed and cannot be run again: {why}"
            )
        return []
    name = f"{record['func_name']} (task {record['id']})"
    failed = [found for found in record["depends"] if found.done() and found.exception() is not None]
    call: Any = task.__dict__.get(CALL)
    if call is None:
        if failed:
            raise future_handles.ResubmitError(
                f"{name} depends on tasks that failed, and Parsl has left them out of its arguments: submit it again yourself"
            )
        why = call_snapshot.why_not_same(None, None, record["args"], record["kwargs"], _atoms()[1:])
    else:
        why = _why_changed(task, record, call, failed)
    if why:
        raise future_handles.ResubmitError(f"{name}: {why}")
    if failed:
        return _given_of(name, failed, call[1])
    return []


def _why_changed(task: Task, record: dict[str, Any], call: tuple[tuple[Any, ...], dict[str, Any], Any], failed: list[Any]) -> str:
    kept = call[1]
    app_args, app_kwargs = kept["app_args"], kept["app_kwargs"]
    why = call_snapshot.why_not_same(call[2], None, app_args, app_kwargs, _atoms())
    if why or failed:  # which it did not run with
        return why
    if record["depends"]:
        why = call_snapshot.why_not_same(task.__dict__.get(LAUNCHED), None, record["args"], record["kwargs"], _atoms())
    return why or _why_written(app_kwargs)


def _why_written(app_kwargs: dict[str, Any]) -> str:
    """A bash app appends to a file that it is told to write to by its name alone."""
    from pathlib import Path

    import parsl

    target = app_kwargs.get("stdout")
    path, mode = target if type(target) is tuple and len(target) == 2 else (target, "a")
    if not isinstance(path, str) or path == parsl.AUTO_LOGNAME or not str(mode).startswith("a"):
        return ""
    try:
        if not Path(path).stat().st_size:
            return ""
    except OSError:
        return ""  # not there, or not here: then by its own name once more
    return f"the output would be appended to {path}, where that of the failed attempt is; stdout=({path!r}, 'w') starts it anew"


def _given_of(name: str, failed: list[Any], kept: dict[str, Any]) -> list[Any]:
    """The given futures through which a task depends on the ``failed`` ones, which Parsl may have wrapped."""
    found: list[Any] = []
    for value in (*kept["app_args"], *kept["app_kwargs"].values()):
        _futures_in(value, found)
    known = {id(future) for future in found}
    needed: list[Any] = []
    for future in failed:
        one = future
        while id(one) not in known and type(one).__name__ == "DataFuture":
            one = one.parent
        if id(one) in known:
            _place_of(one)
            needed.append(one)
        elif getattr(one, "task_record", {}).get("executor") != "_parsl_internal" and type(future).__name__ != "DataFuture":
            raise future_handles.ResubmitError(
                f"{name} depends on a future that is in none of its arguments as lists, tuples, sets or dicts"
            )
        # else Parsl's own fetching of a file: with the file it is done again
    return needed


def _futures_in(value: object, found: list[Any]) -> None:
    import concurrent.futures

    if isinstance(value, concurrent.futures.Future):
        found.append(value)
    elif isinstance(value, (list, tuple, set)):
        for one in value:
            _futures_in(one, found)
    elif isinstance(value, dict):
        for pair in value.items():
            _futures_in(pair, found)


def _submit(task: Task, anew: dict[int, Any]) -> Any:
    record = getattr(task, "task_record", None)
    if record is None:
        return future_handles.handle_of(task).resubmit(task)
    call: Any = task.__dict__.get(CALL)
    if call is None:
        executor = record.get("executor")
        made = record["dfk"].submit(
            record["func"],
            app_args=record["args"],
            executors=[executor] if executor not in (None, "all") else "all",
            cache=False,
            ignore_for_cache=None,
            app_kwargs=record["kwargs"],
            join=record.get("join", False),
        )
    else:
        args, kept, _ = call
        # With the cache on, it would answer with the failure that it remembers.
        given_now = {name: _replaced(kept[name], anew) for name in ("app_args", "app_kwargs")}
        made = record["dfk"].submit(*args, **{**kept, **given_now, "cache": False})
    site = task.__dict__.get("_autotb_site")
    if site is not None:
        made._autotb_site = site  # where the program submitted it
    return made


def _replaced(value: Any, anew: dict[int, Any]) -> Any:
    """A value as Parsl resolves it, with new futures in the place of those that run again; the rest is the very same object."""
    import concurrent.futures

    if isinstance(value, concurrent.futures.Future):
        future: Any = value
        return _instead(future, anew) if id(_task_of(future)) in anew else value
    if type(value) in (list, tuple, set):
        inner = [_replaced(one, anew) for one in value]
        changed = any(one is not old for one, old in zip(inner, value, strict=True))
        return type(value)(inner) if changed else value
    if type(value) is dict:
        pairs = {_replaced(key, anew): _replaced(one, anew) for key, one in value.items()}
        changed = any(
            pair is not old for both in zip(pairs.items(), value.items(), strict=True) for pair, old in zip(*both, strict=True)
        )
        return pairs if changed else value
    return value


def _instead(future: Task, anew: dict[int, Any]) -> Any:
    """What stands for ``future`` now: the new run's own future, or of its files' the one at the same place."""
    old = _task_of(future)
    new = anew[id(old)][1]
    return new if future is old else _files_of(new)[_place_of(future)]


def _files_of(task: Task) -> list[Any]:
    return [*task.outputs, task.stdout, task.stderr] if hasattr(task, "task_record") else []


def _place_of(future: Task) -> int:
    """Which of its task's files a future is of; 0 for the task's own."""
    task = _task_of(future)
    found = [place for place, one in enumerate(_files_of(task)) if one is future]
    if future is not task and not found:
        raise future_handles.ResubmitError("it depends on a file that Parsl moves by a task of its own")
    return found[0] if found else 0
