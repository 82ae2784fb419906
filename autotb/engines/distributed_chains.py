"""Dask's cluster: which task a failed future's error is of, and which tasks were skipped because of it.

A future whose input failed gets that input's error as its own: its place of submission is not that of the task that failed, and
whoever knows the one error knows the other.  A scheduler that runs in this program (a ``LocalCluster``'s) knows the chain.
Flows in: errors as the client gets them.  Flows out: the root's key, ``skipped: total ← add_tax ← price_one ✗``, equal failures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from autotb.assumption import Attributes, Lost
from autotb.record import annotate, static
from autotb.record.capture import KEY, attached, is_light

if TYPE_CHECKING:
    from autotb.instrument.types import Function

    class Client(Protocol):
        """``distributed.Client``."""

        asynchronous: bool
        futures: dict[Any, Any]
        id: str
        loop: Any
        scheduler: Any

        def sync(self, func: Function, *args: object) -> Any: ...
        def run_on_scheduler(self, function: Function, **kwargs: object) -> Any: ...


SCHEDULER = Attributes("distributed.deploy.spec", "SpecCluster", "scheduler", costs=Lost.WAITED)
MOST = 20  # tasks of a chain that are looked at
MOST_CHAINS = 100  # of one error, where workers are threads: all of its tasks have the same exception
_TASK = "task "

_roots: dict[tuple[str, Any], Any] = {}  # by client and key of a future that failed of another task's error: that task's key
_followers: dict[tuple[str, Any], set[Any]] = {}  # the other way round


def root_of(client: Client, key: Any, error: BaseException) -> Any:
    """The key of the task that failed, as far as it is a text; that of a collection's part is known by its collection."""
    if static.name(type(error)) == "KilledWorker":
        root = error.args[0]
    else:
        label = next((hop.get("label") for hop in (attached(error) or {}).get("hops", ())), None) or ""
        root = label.removeprefix(_TASK) if label.startswith(_TASK) and label != f"{_TASK}{key}" else key
    if root != key:
        _roots[client.id, key] = root
        _followers.setdefault((client.id, root), set()).add(key)
    return root


def note_skipped(client: Client, key: Any, root: Any, error: BaseException) -> None:
    """Which tasks failed only because ``root`` did, from the one that is asked for on."""
    if root == key or is_light(dict.get(static.fields_of(error), KEY)):
        return
    names = _skipped(client, key, root)
    if not names:
        return
    chain = " ← ".join([*names, f"{_name(root)} ✗"])
    known = [line for line in (attached(error) or {}).get("broken", ()) if not chain.endswith(line.removeprefix(_SKIPPED))]
    if len(known) < MOST_CHAINS and not any(line.endswith(chain) for line in known):
        annotate.note(error, broken=[*known, _SKIPPED + chain])


_SKIPPED = "skipped: "


def _skipped(client: Client, key: Any, root: Any) -> list[str]:
    task = _tasks(client).get(key)
    names: list[str] = []
    while task is not None and task.key != root and len(names) < MOST:
        names.append(_name(task.key))
        blamed = task.exception_blame
        task = next((one for one in task.dependencies if one is blamed or one.exception_blame is blamed), None)
    return names if task is not None and task.key == root else []


def _tasks(client: Client) -> dict[Any, Any]:
    """The scheduler's, where it runs in this program."""
    (scheduler,) = SCHEDULER.read(getattr(client, "cluster", None)) or (None,)
    return getattr(scheduler, "tasks", None) or {}


def _name(key: Any) -> str:
    from dask.utils import key_split

    return str(key_split(key))


def dropped(client: Client, key: Any, tell: Function) -> None:
    """The last future of a failed task is dropped: ``tell(client's id, key)`` once no other that the program has fails of it.

    The scheduler learns a moment later what was submitted last, and that may be the very task that asks for this one.
    """
    waiting = _dropped.setdefault(client.id, set())
    if not waiting:
        client.loop.call_later(DELAY, _look_again, client, tell, DELAY)
    waiting.add(key)


_dropped: dict[str, set[Any]] = {}  # by client: the keys
DELAY, LONGEST = 0.2, 5.0  # seconds between two looks


def _look_again(client: Client, tell: Function, delay: float) -> None:
    waiting = _dropped.pop(client.id, set())
    left = set()
    for key in waiting:
        try:
            is_needed = key in client.futures or _is_waited_for(client, key)
        except Exception:
            is_needed = False
        if is_needed and key not in client.futures:
            left.add(key)
        elif not is_needed:
            tell(client.id, key)
    if left:
        _dropped.setdefault(client.id, set()).update(left)
        client.loop.call_later(min(2 * delay, LONGEST), _look_again, client, tell, min(2 * delay, LONGEST))


def _is_waited_for(client: Client, key: Any) -> bool:
    first = _tasks(client).get(key)
    tasks = [first] if first is not None else []
    seen = {key}
    for task in tasks:  # it grows
        if task is not first and task.key in client.futures:
            return True
        tasks += [other for other in task.dependents if other.key not in seen]
        seen.update(other.key for other in task.dependents)
    return False


def alike(client_id: str, key: Any) -> list[Any]:
    """The keys of other failed futures whose error is that of the same task."""
    root = _roots.get((client_id, key), key)
    return [other for other in (root, *_followers.get((client_id, root), ())) if other != key]


def forget(client_id: str, key: Any) -> None:
    """The future is dropped, or was asked."""
    root = _roots.pop((client_id, key), None)
    followers = _followers.get((client_id, root))
    if followers is not None:
        followers.discard(key)
        if not followers:
            del _followers[client_id, root]


ASSUMPTIONS = (SCHEDULER,)
