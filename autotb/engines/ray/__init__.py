"""Ray: tasks, actors, generators.  Worker processes run the user's code from Cython; what fails is wrapped in RayTaskError.

``RayTaskError.__init__`` runs in the worker while the exception is alive: the record is made there and rides on the
RayTaskError's own ``__dict__``, which always survives.  Ray's text is never parsed where a record came: it lacks frames of
chained errors.  Tried: 2.60.0.  Source: https://docs.ray.io/en/latest/ray-core/fault-tolerance.html
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from autotb import engine_facts, settings, surface
from autotb.assumption import Attributes, Lost, Text
from autotb.engines.ray import client, data, deaths, environments, log_copies, returned, serve, trials, unrun, waiting
from autotb.instrument import attempts, engine_frames, exception_wrappers, inherited_settings, task_events
from autotb.instrument.patch import Patch, noise_is_kept
from autotb.record import annotate, build, callsite, ownership, pickling, static, wrappers
from autotb.record.capture import KEY, attached

if TYPE_CHECKING:
    from types import FrameType

    from autotb.instrument.types import Function
    from autotb.record.callsite import Site
    from autotb.record.schema import Hop, Light, Tree

    class Reference(Protocol):
        """``ray.ObjectRef``."""

        def task_id(self) -> Any: ...
        def future(self) -> Any: ...


MODULES = (
    "ray",
    "ray.exceptions",
    "ray.remote_function",
    "ray.actor",
    "ray._private.worker",
    "ray._private.log",
    "ray._private.function_manager",
    "ray.data.dataset",
    "ray.data.read_api",
    "ray.data.grouped_data",
    "ray.util.multiprocessing.pool",
    "ray.train.v2._internal.exceptions",
    "ray.serve.handle",
    "ray.util.client.worker",
    "ray.util.client.common",
)
NAME = "Ray"
DISTRIBUTION = "ray"
CAPTURED = "tasks, nested tasks, actors, async actors, failed actor __init__, generators, lists, wait, awaited refs, Serve"
TESTED = "2.9 to 2.60"
NOISE = {"RAY_DEDUP_LOGS": "1"}  # equal lines of many workers are one with a count, whatever this version's default is

_sites: dict[bytes, Any] = {}  # task's or actor's id: (code, instruction)
_calls: dict[bytes, Any] = {}  # task's id: what to call ``_remote`` on, and how
_asked_for: dict[object, None] = {}  # tasks whose error has reached the program
_PLAIN = frozenset({int, float, bool, str, bytes, type(None)})


def _open(exc: BaseException) -> engine_facts.Opened | None:
    errors = sys.modules.get("ray.exceptions")
    if errors is None or not issubclass(type(exc), errors.RayError):
        waited = waiting.lines(exc, _sites, _calls)
        return engine_facts.Opened(broken=waited) if waited else serve.opened(exc)
    if issubclass(type(exc), errors.RayTaskError):
        cause = getattr(exc, "cause", None)
        return engine_facts.Opened(
            headline=cause if static.is_exception(cause) else None,
            text=None if attached(exc) else _text(exc),
        )
    if issubclass(type(exc), errors.RayActorError) and "type" in (attached(exc) or {}):
        return engine_facts.Opened(broken=("the actor was not created: its __init__ failed",))
    waited = waiting.lines(exc, _sites, _calls)
    return engine_facts.Opened(broken=waited) if waited else None


_FRAMES = "the worker's frames, where there is no record of them"
TASK = Text("ray.exceptions", r"^(?:\x1b\[\d+m)?ray::.*\(pid=.*$", re.M, words=("(pid=",), costs=_FRAMES)
TRACEBACK = Attributes("ray.exceptions", "RayTaskError", "traceback_str", costs=_FRAMES)


def _text(exc: BaseException) -> str | None:
    """Ray's text in CPython's grammar: it has a line on the task where CPython has the head of a traceback."""
    (text,) = TRACEBACK.read(exc) or (None,)
    text = text or str(exc)
    return TASK.replaced("Traceback (most recent call last):", text) if isinstance(text, str) else None


def _handle(reference: object) -> Any:
    """Object references: asked by ``ray.get``, watched by the future that Ray makes of them."""
    ray: Any = sys.modules.get("ray")
    if ray is None or not isinstance(reference, getattr(ray, "ObjectRef", ())):
        return None
    from autotb.instrument import future_handles

    class Handle(future_handles.Handle):
        def result(self, reference: Reference, timeout: float | None) -> Any:
            return ray.get(reference, timeout=timeout)

        def is_done(self, reference: Reference) -> bool:
            return bool(ray.wait([reference], timeout=0, fetch_local=False)[0])

        def is_expiry(self, reference: Reference, error: BaseException) -> bool:  # noqa: ARG002
            return static.name(type(error)) == "GetTimeoutError"

        def when_done(self, reference: Reference, callback: Function) -> bool:
            reference.future().add_done_callback(lambda _: callback(reference))
            return True

        def resubmit_obstacle(self, reference: Reference) -> str:
            call = _calls.get(reference.task_id().binary())
            if call is not None and (type(call[0]).__name__ == "ActorMethod" or getattr(call[0], "of_actor", False)):
                return "it is a method of an actor, whose state the failed call may have changed"
            if call is not None:
                return ""
            return (
                "Ray keeps no call, and autotb keeps those of small plain arguments only; "
                "@ray.remote(max_retries=…, retry_exceptions=True) retries in Ray itself"
            )

        def resubmit(self, reference: Reference) -> Any:
            why = self.resubmit_obstacle(reference)
            if why:
                raise future_handles.ResubmitError(why)
            remote, args, kwargs = _calls[reference.task_id().binary()]
            try:
                return remote._remote(*args, **kwargs)
            except Exception as error:
                raise future_handles.ResubmitError(f"Ray takes no more work ({error})") from error

    return Handle()


engine_facts.register(
    own=("ray",),
    openers=(_open,),
    handles=(_handle,),
    crashes=("ray.exceptions.WorkerCrashedError",),
    wrappers={"ray.exceptions.UserCodeException": data.opened, **returned.WRAPPERS, **environments.WRAPPERS, **trials.WRAPPERS},
    markers=("ray.data.exceptions.SystemException",),
)


def _wrap_task_error_init(original: Function) -> Function:
    """In a worker this runs inside the engine's ``except``: the exception still has its traceback, which never travels."""

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: object) -> None:
        live = sys.exc_info()[1]
        if live is None and len(args) > 2 and getattr(args[2], "__traceback__", None) is not None:
            live = args[2]  # a generator's error is wrapped outside of its ``except``
        tree = None
        if kwargs and live is not None:  # unpickling passes no keywords
            try:
                tree = _record(live, kwargs, args)
                args = _with_fit_cause(args, tree)
            except BaseException:  # of pickling it: Ray will see the same
                pass  # without a record the driver reads the text
        original(self, *args, **kwargs)
        if tree is not None:
            self.__dict__[KEY] = tree

    return __init__


def _record(live: BaseException, kwargs: dict[str, Any], args: tuple[Any, ...]) -> Tree | Light:
    name = str(args[0]) if args else str(kwargs.get("function_name", ""))
    name = name.rpartition("::")[2].rpartition("__main__.")[2].removesuffix("()")
    upstream = attached(live)
    if upstream is not None and not engine_frames.has_user_frame(static.traceback_of(live)):
        skipped = f"{name} was not called: a task whose result it takes failed"
        return {**upstream, "broken": [skipped, *upstream.get("broken", ())]}
    actor = kwargs.get("actor_id")
    tb, failed = static.traceback_of(live), static.traceback_of(wrappers.innermost(live))
    is_datas = name.startswith("ray.data.") or live is not wrappers.innermost(live) or data.runs(tb)
    replica = serve.replica() if actor else None
    task = serve.request(tb) if replica else _current_task()
    hop = build.hop(
        "ray",
        serve.WHERE if replica else f"in a Ray {'actor' if actor else 'worker'}",
        call=engine_frames.frame_call(failed) or (None if name.startswith("ray.data.") else f"{name}(…)"),
        label=replica or (_operator() if is_datas else returned.trial(tb) or _which_attempt(live, task)),
        task=task,
        actor=actor if isinstance(actor, str) else None,
    )
    return build.record(live, tb, hop)


_attempt = 0  # of the task that this worker runs: 0 for the first
_attempts = attempts.Attempts()  # in a worker: those of its own that failed, by the task's id


def _wrap_log_start(original: Function) -> Function:
    """A worker begins a task, and is told which attempt it is."""

    @functools.wraps(original)
    def record_task_log_start(self: Any, task_id: object, attempt_number: int) -> Any:
        global _attempt
        _attempt = attempt_number
        return original(self, task_id, attempt_number)

    return record_task_log_start


def _which_attempt(live: BaseException, task: str | None) -> str | None:
    """``attempt 3, all failed alike``, of a task that was run before."""
    _attempts.failed_of(task, attempts.headline(live))
    return attempts.said(_attempt + 1, 0, _attempts.failed[task]) if _attempt else None


def _operator() -> str | None:
    """What Ray Data works on in this task: ``ReadRange->Map(clean)``."""
    try:
        title = str(sys.modules["ray._raylet"].getproctitle())
        return title.removeprefix("ray::").removesuffix("()")
    except Exception:
        return None


def _current_task() -> str | None:
    try:
        return str(sys.modules["ray._private.worker"].global_worker.current_task_id.hex())
    except Exception:
        return None


def _with_fit_cause(args: tuple[Any, ...], tree: Tree | Light) -> tuple[Any, ...]:
    """Ray replaces a cause that cannot be pickled by a RayError: it is given one that can."""
    if len(args) < 3 or not static.is_exception(args[2]):
        return args
    import ray.cloudpickle as pickle

    fit, lost = _fit(args[2])
    if fit is args[2] or not lost:
        return args
    pickling.tell_lost(tree, lost)
    return (*args[:2], pickle.loads(pickle.dumps(fit)), *args[3:])


def _fit(cause: BaseException) -> tuple[Any, list[str]]:
    """Ray pickles an exception again where it arrives: it must survive that as well."""
    import ray.cloudpickle as pickle

    return pickling.fit_to_travel(cause, lambda value: pickle.dumps(pickle.loads(pickle.dumps(value))), pickle.loads)


def _wrap_to_bytes(original: Function) -> Function:
    """What cannot be unpickled arrives as UnserializableException, its type and message lost: it is made fit first."""

    @functools.wraps(original)
    def to_bytes(self: Any) -> Any:
        try:
            cause = self.__dict__.get("cause")
            fit: Any = cause
            if static.is_exception(cause):
                fit, _ = _fit(cause)
            if fit is cause:
                return original(self)
            own, self.args = self.args, tuple(fit if value is cause else value for value in self.args)
        except BaseException:  # of pickling it: Ray will see the same
            return original(self)
        try:
            self.cause = fit
            return original(self)
        finally:
            self.args, self.cause = own, cause

    return to_bytes


def _wrap_as_instanceof_cause(original: Function) -> Function:
    """The exception that the program gets is made here, for get, await and futures alike, without the record."""

    @functools.wraps(original)
    def as_instanceof_cause(self: Any) -> Any:
        error = original(self)
        try:
            tree = attached(self)
            if tree is not None:
                _note_submitted(tree)
                callsite.remember(_asked_for, _failed(tree), None)
                annotate.arrive(error, tree)
                cause = getattr(self, "cause", None)
                if static.is_exception(cause) and cause is not error:
                    annotate.attach(cause, tree)  # what is made here pickles as its cause alone
                    if client.serves() and (fit := _fit(cause)[0]) is not cause:
                        error.args = (pickling.carrying(fit, tree),)
        except Exception:
            pass  # the error is the user's and goes on
        return error

    return as_instanceof_cause


def _note_submitted(tree: Tree) -> None:
    """Fill in where this process submitted the tasks of a story."""
    for hop in tree["hops"]:
        data.note_made(hop)
        for key in (hop.get("task"), hop.get("actor")):
            place = engine_frames.place_of(_sites.get(bytes.fromhex(key))) if key else None
            if place is not None and "made" not in hop:  # Ray Data submits when it likes to
                hop.setdefault("submitted", place)
        _note_most_attempts(hop)


_NUMBERED = re.compile(r"attempt \d+(?! of)")


def _note_most_attempts(hop: Hop) -> None:
    """Of how many attempts it was one, where this process submitted the task."""
    known = _calls.get(bytes.fromhex(hop.get("task") or ""))
    label = hop.get("label") or ""
    if known is None or not _NUMBERED.match(label):
        return
    remote, _, kwargs = known
    most = kwargs.get("max_retries", (getattr(remote, "_default_options", None) or {}).get("max_retries"))
    if type(most) is int and most > 0:
        hop["label"] = _NUMBERED.sub(lambda match: f"{match[0]} of {most + 1}", label, count=1)


def _wrap_actor_died_init(original: Function) -> Function:
    """The driver makes this of the RayTaskError of an actor's ``__init__`` and keeps its text alone."""

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        try:
            cause = args[0] if args else kwargs.get("cause")
            tree = attached(cause) if static.is_exception(cause) else None
            if tree is not None:
                _note_submitted(tree)
                annotate.arrive(self, tree)
                if not _in_worker():
                    log_copies.have(tree)
                elif not noise_is_kept():
                    log_copies.shorten(self, tree)
            else:
                deaths.tell(self, sys._getframe(2), _sites, _calls)
        except Exception:
            pass  # Ray's own text will do

    return __init__


def _in_worker() -> bool:
    return os.path.basename(getattr(sys.modules.get("__main__"), "__file__", None) or "") == "default_worker.py"


# Workers that die


def _wrap_execution_info(original: Function) -> Function:
    """Gives a worker the function of the task that it is about to run: ours runs around it."""

    @functools.wraps(original)
    def get_execution_info(self: Any, *args: object, **kwargs: object) -> Any:
        info = original(self, *args, **kwargs)
        try:
            function = info.function
            if _in_worker() and hasattr(info, "_replace") and not hasattr(function, "method"):
                known = _around.get(function)
                if known is None:
                    known = _around[function] = _noting(function, getattr(function, "_function", function))
                return info._replace(function=known)
        except Exception:
            pass  # less will be known of this task
        return info

    return get_execution_info


_around: dict[Any, Any] = {}


def _noting(function: Function, users: object) -> Any:
    import inspect

    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        return function
    return task_events.around(function, lambda *args, **kwargs: (users, args, kwargs, _job()), ends=("ray", "in a Ray worker"))


def _wrap_method_executor(original: Function) -> Function:
    """Makes the function that runs an actor's method."""

    @functools.wraps(original)
    def _make_actor_method_executor(self: Any, method_name: str, method: Function, *more: object, **named: object) -> Any:
        executor = original(self, method_name, method, *more, **named)
        try:
            import inspect

            is_users = not ownership.is_engines(method)  # Ray gives a class without a constructor its own
            if is_users and not (
                inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method)
            ):
                return task_events.around(
                    executor, lambda _actor, *args, **kwargs: (method, args, kwargs, _job()), ends=("ray", "in a Ray actor")
                )
        except Exception:
            pass  # less will be known of its tasks
        return executor

    return _make_actor_method_executor


def _job() -> int:
    """The task that runs, as its status file has it."""
    return task_events.number(sys.modules["ray._private.worker"].global_worker.current_task_id.binary())


def _tell_of_death(error: BaseException, caller: FrameType) -> None:
    """The error of a result that a worker did not live to give."""
    deaths.tell(error, caller, _sites, _calls)


def _tell_of_memory(error: BaseException, caller: FrameType) -> None:
    """The same of one that Ray's monitor has killed."""
    deaths.tell_of_memory(error, caller, _sites, _calls)


GENERATOR = Attributes(
    "ray._private.object_ref_generator", "ObjectRefGenerator", "_generator_ref", also=("ray._raylet",), costs=Lost.SITE
)
ACTOR = Attributes("ray.actor", "ActorHandle", "_actor_id", costs="the line that made an actor")


def _wrap_remote(original: Function) -> Function:
    """Remembers the line of ``.remote()`` by the task's id."""

    @functools.wraps(original)
    def _remote(self: Any, *args: object, **kwargs: object) -> Any:
        made = original(self, *args, **kwargs)
        try:
            _remember(made, callsite.here(3))
            _keep_call(made, self, args, kwargs)
        except Exception:
            pass  # an object of another version: the place of submission is lost, nothing else
        return made

    return _remote


def _remember(made: object, site: Site | None) -> None:
    reference: Any = made[0] if type(made) is list and made else made
    (reference,) = GENERATOR.read(reference) or (reference,)
    (actor,) = ACTOR.read(reference) or (None,)
    key = actor.binary() if actor is not None else reference.task_id().binary()
    callsite.remember(_sites, key, site)


def _keep_call(made: Any, remote: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A call can be made again if it was of small plain values: to keep a reference or an array would keep it in the store."""
    if type(made) is list or getattr(made, "task_id", None) is None:
        return
    if _can_keep(kwargs.get("args") or (args[0] if args else ()), kwargs.get("kwargs") or {}):
        callsite.remember(_calls, made.task_id().binary(), (remote, args, kwargs))


def _can_keep(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    given = (*args, *kwargs.values())
    return len(given) <= 10 and all(type(value) in _PLAIN and (type(value) is not str or len(value) < 1_000) for value in given)


def _failed(tree: Tree) -> object:
    """The task that failed, and those that were not called because of it."""
    task = tree["hops"][0].get("task")
    return (task, *tree.get("broken", ())) if task is not None else object()


def _wrap_unhandled(original: Function) -> Function:
    """A failed task whose ref was dropped: Ray logs its text, engine frames and all."""

    @functools.wraps(original)
    def _unhandled_error_handler(e: BaseException) -> Any:
        error = e
        try:
            if not noise_is_kept() and settings.switch("unretrieved"):
                tree = attached(error)
                if tree is not None:
                    if _failed(tree) in _asked_for:
                        return None  # of several results of one task: the program has the error
                    _note_submitted(tree)
                    if surface.events.never_retrieved([(error, tree["hops"][0].get("submitted"))]):
                        return None
        except Exception:
            pass  # then as Ray does it
        return original(error)

    return _unhandled_error_handler


PATCHES = (
    Patch("ray._private.function_manager", "FunctionActorManager.get_execution_info", _wrap_execution_info, costs=Lost.DEATH),
    Patch(
        "ray._private.function_manager",
        "FunctionActorManager._make_actor_method_executor",
        _wrap_method_executor,
        costs=Lost.DEATH,
    ),
    Patch(
        "ray.exceptions",
        "WorkerCrashedError.__init__",
        exception_wrappers.when_made(_tell_of_death),
        optional=True,
        costs=Lost.DEATH,
    ),
    Patch(
        "ray.exceptions",
        "OutOfMemoryError.__init__",
        exception_wrappers.when_made(_tell_of_memory),
        optional=True,
        costs=Lost.DEATH,
    ),
    Patch("ray.exceptions", "RayTaskError.__init__", _wrap_task_error_init, costs=Lost.RECORD),
    Patch("ray.exceptions", "RayError.to_bytes", _wrap_to_bytes, costs=Lost.FIT),
    Patch("ray.exceptions", "RayTaskError.as_instanceof_cause", _wrap_as_instanceof_cause, costs=Lost.RECORD),
    Patch("ray.exceptions", "ActorDiedError.__init__", _wrap_actor_died_init, optional=True, costs=Lost.RECORD),
    Patch("ray.exceptions", "RayActorError.__init__", _wrap_actor_died_init, costs=Lost.RECORD),  # the same before 2.30
    Patch("ray.remote_function", "RemoteFunction._remote", _wrap_remote, costs=Lost.SITE),
    Patch("ray.actor", "ActorClass._remote", _wrap_remote, costs=Lost.SITE),
    Patch("ray.actor", "ActorMethod._remote", _wrap_remote, costs=Lost.SITE),
    Patch("ray._private.worker", "Worker.record_task_log_start", _wrap_log_start, optional=True, costs=Lost.ATTEMPTS),
    Patch("ray._private.worker", "_unhandled_error_handler", _wrap_unhandled, costs=Lost.UNRETRIEVED),
    Patch("ray._private.worker", "cancel", waiting.wrap_cancel(_sites), also=("ray",), optional=True, costs=Lost.WAITED),
    Patch("ray._private.worker", "init", inherited_settings.telling, costs=Lost.SETTINGS),
    *data.PATCHES,
    *log_copies.PATCHES,
    *returned.PATCHES,
    *serve.patches(_sites),
    *unrun.patches(_sites, _calls, deaths.DESERIALIZE),
    *client.patches(_sites, _calls, _can_keep, _note_submitted),
)
ASSUMPTIONS = (
    TASK,
    TRACEBACK,
    *deaths.ASSUMPTIONS,
    GENERATOR,
    ACTOR,
    *data.ASSUMPTIONS,
    *log_copies.ASSUMPTIONS,
    *returned.ASSUMPTIONS,
    *serve.ASSUMPTIONS,
    *trials.ASSUMPTIONS,
    *waiting.ASSUMPTIONS,
)


def probe(given: dict[str, Any], timeout: float) -> Iterator[Any]:
    """For ``doctor --engine``."""
    import ray

    started = not ray.is_initialized()  # the file may have done it
    if started:
        ray.init(**(given.get("init") or {}), log_to_driver=False, include_dashboard=False)
    evaluate: dict[str, Any] = {"__name__": "__main__"}  # pickled by value: the worker need not have this module
    exec("def evaluate(expression):\n    return eval(expression)", evaluate)

    def ask(expression: str) -> list[tuple[str, Any]]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        remote = ray.remote(evaluate["evaluate"])
        references = [remote.options(num_cpus=0, scheduling_strategy=On(node, soft=False)).remote(expression) for node in nodes]
        answers = ray.get(references, timeout=timeout)
        return [(f"node {node[:8]}", answer) for node, answer in zip(nodes, answers, strict=True)]

    try:
        yield ask
    finally:
        if started or given:
            ray.shutdown()


#: What ``python -m autotb demo --engine ray`` runs: a user's script.
DEMO = '''\
"""Ray scores 300 items in tasks; one of them is bad."""

import ray
from rich.progress import Progress

ITEMS = [{"id": n, "clicks": n % 7, "views": 500 - n} for n in range(300)]
ITEMS[217]["views"] = 0


def rate(clicks, views):
    return clicks / views


@ray.remote
def score(item):
    return item["id"], rate(item["clicks"], item["views"])


def main():
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    scores = {}
    with Progress() as bar:
        refs = [score.remote(item) for item in ITEMS]
        for ref in bar.track(refs):
            number, value = ray.get(ref)
            scores[number] = value
    return scores


if __name__ == "__main__":
    main()
'''
