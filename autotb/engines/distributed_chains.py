"""Dask's cluster: which task a failed future's error is of, and which tasks were skipped because of it.

A future whose input failed gets that input's error as its own: its place of submission is not that of the task that failed, and
whoever knows the one error knows the other.  A scheduler that runs in this program (a ``LocalCluster``'s) knows the chain.
Flows in: errors as the client gets them.  Flows out: the root's key, ``skipped: total ← add_tax ← price_one ✗``, equal failures.
"""

from __future__ import annotations

import ast
import re
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from autotb.assumption import Attributes, Lost
from autotb.record import annotate, static
from autotb.record.capture import KEY, attached, is_light

if TYPE_CHECKING:
    from autotb.instrument.types import Function

    class Scheduler(Protocol):
        """``distributed.Scheduler``."""

        client_comms: dict[str, Any]
        tasks: dict[Any, Any]
        workers: dict[str, Any]

    class Client(Protocol):
        """``distributed.Client``."""

        asynchronous: bool
        futures: dict[Any, Any]
        id: str
        loop: Any
        scheduler: Any
        status: str

        def sync(self, func: Function, *args: object) -> Any: ...
        def run_on_scheduler(self, function: Function, **kwargs: object) -> Any: ...


SCHEDULER = Attributes("distributed.deploy.spec", "SpecCluster", "scheduler", costs=Lost.WAITED)
MOST = 20  # tasks of a chain that are looked at
MOST_CHAINS = 100  # of one error, where workers are threads: all of its tasks have the same exception
_TASK = "task "

_roots: dict[tuple[str, Any], Any] = {}  # by client and key of a future that failed of another task's error: that task's key
_followers: dict[tuple[str, Any], set[Any]] = {}  # the other way round


def root_of(key: Any, error: BaseException) -> Any:
    """The key of the task that failed, which a label has as text, that of a collection's part too."""
    if static.name(type(error)) == "KilledWorker":
        return error.args[0]
    label = next((hop.get("label") for hop in (attached(error) or {}).get("hops", ())), None) or ""
    return _key(label.removeprefix(_TASK)) if label.startswith(_TASK) and label != f"{_TASK}{key}" else key


def _key(text: str) -> Any:
    """A key of its text: a collection's part has a tuple."""
    try:
        return ast.literal_eval(text) if text.startswith("(") else text
    except (ValueError, SyntaxError):
        return text


def note_skipped(client: Client, key: Any, root: Any, error: BaseException) -> None:
    """Which tasks failed only because ``root`` did, from the one that is asked for on; those of collections are Dask's."""
    if root == key or type(root) is tuple or is_light(dict.get(static.fields_of(error), KEY)):
        return
    names = _skipped(client, key, root)
    if not names:
        return
    chain = " ← ".join([*names, f"{_name(root)} ✗"])
    lines = (attached(error) or {}).get("broken", ())
    known = [line for line in lines if not chain.endswith(line.removeprefix(_SKIPPED))]
    if not any(line.endswith(chain) for line in known):
        annotate.note(error, broken=_with(known, _SKIPPED + chain))


_SKIPPED = "skipped: "
_MORE = re.compile(rf"{_SKIPPED}([\d,]+) more tasks?")


def _with(known: list[str], line: str) -> list[str]:
    """One line more, or one more that is counted."""
    if len(known) < MOST_CHAINS:
        return [*known, line]
    more = _MORE.fullmatch(known[-1])
    count = int(more[1].replace(",", "")) + 1 if more is not None else 1
    return [*known[:MOST_CHAINS], f"{_SKIPPED}{count:,} more task{'' if count == 1 else 's'}"]


def _skipped(client: Client, key: Any, root: Any) -> list[str]:
    """The tasks of a chain by name, down to the root; of a long one the first, and that there are more."""
    task = _tasks(client).get(key)
    blamed = getattr(task, "exception_blame", None)  # of all tasks of the chain, and of the root itself
    if blamed is None or blamed.key != root:
        return []
    names: list[str] = []
    while task is not None and task is not blamed and len(names) < MOST:
        names.append(_name(task.key))
        task = next((one for one in task.dependencies if one is blamed or one.exception_blame is blamed), None)
    return names if task is blamed else [*names, "…"]


def _tasks(client: Client) -> dict[Any, Any]:
    """The scheduler's, where it runs in this program."""
    return getattr(_scheduler(client), "tasks", None) or {}


def _scheduler(client: Client) -> Any:
    (scheduler,) = SCHEDULER.read(getattr(client, "cluster", None)) or (None,)
    return scheduler


def has_others(client: Client) -> bool:
    """Whether other clients may ask for what this one gave away; of a scheduler that runs elsewhere nothing is known."""
    try:
        scheduler = _scheduler(client)
        return scheduler is None or any(other not in (client.id, _NOBODYS) for other in list(scheduler.clients))
    except Exception:
        return True


_NOBODYS = "fire-and-forget"  # the client that Dask keeps what nobody holds for


def _name(key: Any) -> str:
    from dask.utils import key_split

    return str(key_split(key))


def dropped(client: Client, key: Any, tell: Function) -> None:
    """The last future of a failed task is dropped: ``tell(client's id, key)`` once no other that the program has fails of it.

    The scheduler learns a moment later what was submitted last, and that may be the very task that asks for this one.  A client
    that is being closed has no later.
    """
    if client.status in ("closing", "closed"):
        tell(client.id, key)
        return
    if not _dropped.get(client.id):
        client.loop.call_later(DELAY, _look_again, client, tell, DELAY)
    _dropped.setdefault(client.id, set()).add(key)


_dropped: dict[str, set[Any]] = {}  # by client: the keys
DELAY, LONGEST = 0.2, 5.0  # seconds between two looks
_SHARE = 50  # times what a look takes are between two, at least: the loop has other things to do


def _look_again(client: Client, tell: Function, delay: float) -> None:
    began = monotonic()
    waiting = _dropped.pop(client.id, set()) - client.futures.keys()
    try:
        needed = _waited_for(client, waiting)
    except Exception:
        needed = set()
    if needed:
        _dropped.setdefault(client.id, set()).update(needed)
        delay = max(min(2 * delay, LONGEST), _SHARE * (monotonic() - began))
        client.loop.call_later(delay, _look_again, client, tell, delay)
    for key in waiting - needed:
        tell(client.id, key)


def _waited_for(client: Client, keys: set[Any]) -> set[Any]:
    """Those of which a future that the program has fails: of the same task's error, or as one of its inputs."""
    tasks = _tasks(client)
    held = list(client.futures.items())
    if tasks and any(state.status == "pending" and key not in tasks for key, state in held):
        return keys  # the scheduler has yet to learn of what was submitted: on a busy machine that takes a while
    roots = {key: tasks[key].exception_blame for key in keys if key in tasks}
    had = _roots_below([tasks[key] for key, _ in held if key in tasks]) if roots else set()
    return {key for key, root in roots.items() if root is not None and root in had}


def _roots_below(tasks: list[Any]) -> set[Any]:
    """The failed tasks that these failed of, and those that their inputs failed of: a task is skipped for the first of them."""
    seen, open_ = set(), [task for task in tasks if task.exception_blame is not None]
    while open_:
        task = open_.pop()
        if task not in seen:
            seen.add(task)
            open_ += [one for one in task.dependencies if one.exception_blame is not None]
    return {task.exception_blame for task in seen}


def follow(client_id: str, key: Any, root: Any) -> None:
    """A future failed of ``root``'s error, from now on until it is forgotten."""
    forget(client_id, key)
    if root != key:
        _roots[client_id, key] = root
        _followers.setdefault((client_id, root), set()).add(key)


def alike(client_id: str, key: Any) -> list[Any]:
    """The keys of other failed futures whose error is that of the same task."""
    root = noted_root(client_id, key)
    return [other for other in (root, *_followers.get((client_id, root), ())) if other != key]


def noted_root(client_id: str, key: Any) -> Any:
    """The task whose error a future failed of, as far as ``follow`` was told."""
    return _roots.get((client_id, key), key)


def forget(client_id: str, key: Any) -> None:
    """The future is dropped, or was asked."""
    root = _roots.pop((client_id, key), None)
    followers = _followers.get((client_id, root))
    if followers is not None:
        followers.discard(key)
        if not followers:
            del _followers[client_id, root]


def closed(client_id: str) -> None:
    """The client is: it has no future any more."""
    _dropped.pop(client_id, None)


ASSUMPTIONS = (SCHEDULER,)
