"""Parsl: python, bash and join apps on threads and on HighThroughputExecutor's worker processes.

The worker wraps what an app raises in ``RemoteExceptionWrapper``, while the exception is alive; the record rides on the
exception.  Parsl brings real traceback objects along (tblib), without local variables; the record's frames are shown in their
place.  An exception that cannot be unpickled kills the thread that receives results, and every later task waits for ever: it
is made fit to travel in the worker.  Tried: 2026.10.26.  Source: https://parsl.readthedocs.io/en/stable/userguide/workflows/exceptions.html
"""

from __future__ import annotations

import copyreg
import functools
import inspect
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autotb import assumption, engine_facts
from autotb.assumption import Attributes, Frame, Lost
from autotb.engines.parsl import commands, interrupts, leaving
from autotb.instrument import attempts, delivery, engine_frames, inherited_settings, task_events
from autotb.instrument.patch import Patch
from autotb.record import annotate, build, callsite, pickling, safe_repr, static
from autotb.record.capture import attached

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from autotb.engines.parsl.upstream import Task
    from autotb.instrument.types import Function, Process, Story
    from autotb.record.schema import Hop, Light, Tree

MODULES = (
    "parsl.app.errors",
    "parsl.dataflow.errors",
    "parsl.dataflow.dflow",
    "parsl.executors.execute_task",
    "parsl.serialize.errors",
    "parsl.executors.high_throughput.errors",
    "parsl.executors.status_handling",
    "parsl.serialize",
)
NAME = "Parsl"
DISTRIBUTION = "parsl"
CAPTURED = "python, bash and join apps; thread and HighThroughput executors; chains, fan-in, diamonds to their root cause"
TESTED = "2024.11 to 2026.10"
WORKERS = "in a Parsl worker"
INTERCHANGE = "in Parsl's interchange"  # where the loss of a manager is noticed

UPSTREAM = Attributes(
    "parsl.dataflow.errors",
    "DependencyError",
    "dependent_exceptions_tids",
    "task_id",
    costs="the root causes of an error that Parsl passes on",
)


def _open(exc: BaseException) -> engine_facts.Opened | None:
    errors = sys.modules.get("parsl.dataflow.errors")
    if errors is None:
        return None
    propagated = getattr(errors, "PropagatedException", errors.DependencyError)  # of newer versions, above the other two
    if not issubclass(type(exc), (propagated, errors.DependencyError, errors.JoinError)):
        return None
    roots: dict[int, BaseException] = {}
    broken: dict[int, str] = {}
    _collect(exc, roots, broken)
    return engine_facts.Opened(roots=tuple(roots.values()), broken=tuple(filter(None, broken.values()))) if roots else None


def _collect(exc: Any, roots: dict[int, BaseException], broken: dict[int, str]) -> None:
    """The root causes under a propagated error, each once, and a line for each chain of tasks that they broke.

    ``skipped: total (task 3) ← add_tax (task 2) ← price_one (task 1) ✗``
    """
    if id(exc) in broken or id(exc) in roots:
        return
    upstream, task = UPSTREAM.read(exc) or (None, None)
    if not upstream:
        roots[id(exc)] = exc
        return
    broken[id(exc)], kind = "", static.name(type(exc))
    chain = [_named(task)]
    while len(upstream) == 1 and len(chain) < _MOST_IN_CHAIN:
        inner, name = upstream[0]
        further, _ = UPSTREAM.read(inner) or (None, None)
        if not further or static.name(type(inner)) != kind:
            break
        chain.append(_named(name))
        broken[id(inner)] = ""
        upstream = further
    failed = [_named(name) + ("" if _is_passed_on(error) else " ✗") for error, name in upstream[:_MOST_NAMED]]
    more = f" and {len(upstream) - _MOST_NAMED:,} more" if len(upstream) > _MOST_NAMED else ""
    what = "failed of what it joins: " if kind == "JoinError" else _SKIPPED
    broken[id(exc)] = f"{what}{' ← '.join(chain)} ← {', '.join(failed)}{more}"
    for error, _ in upstream:
        _collect(error, roots, broken)


_SKIPPED = "skipped: "
_FILE_OF = "DataFuture from "
_FILE = re.compile(r"<parsl\.app\.futures\.DataFuture object at \w+ representing <File at \w+ url=(.+?) scheme=")
_MOST_IN_CHAIN = 20
_MOST_NAMED = 5  # tasks of one line
_names: dict[int, str | None] = {}  # of tasks by their numbers; None where several kernels have one of that number


def _is_passed_on(error: BaseException) -> bool:
    return bool((UPSTREAM.read(error) or (None,))[0])


def _named(task: object) -> str:
    """A task's function and its number, which is all that Parsl tells; of a file that a task makes, that one's."""
    text = str(task)
    number = text.removeprefix(_FILE_OF).removeprefix("task ")
    name = _names.get(int(number)) if number.isdecimal() else None
    said = f"{name} (task {number})" if name else f"task {number}" if number.isdecimal() else text
    if made := _FILE.match(text):  # of older versions, which do not say whose it is
        return f"the file {made[1]}"
    return f"a file of {said}" if text.startswith(_FILE_OF) and said is not text else said


def _handle(future: object) -> Any:
    """Parsl's futures know their task: its name, its call, and the kernel that takes it again."""
    module, files = sys.modules.get("parsl.dataflow.futures"), sys.modules.get("parsl.app.futures")
    if module is None or files is None or not isinstance(future, (module.AppFuture, files.DataFuture)):
        return None
    from autotb.engines.parsl import upstream
    from autotb.instrument import future_handles

    class Handle(future_handles.Standard):
        def label(self, future: Task) -> str:
            task = upstream._task_of(future)
            if not hasattr(task, "task_record"):
                return ""
            name = f"{task.task_record['func_name']} (task {task.tid})"
            return name if task is future else f"{future.filename} of {name}"

        def resubmit_obstacle(self, future: Task) -> str:
            return upstream.why_not(future) if future.done() and future.exception() is not None else ""

        def resubmit(self, future: Task) -> Any:
            return upstream.resubmit(future)

    return Handle()


def _depends(trace: Story) -> dict[str, str] | None:
    return {} if any(line.startswith(_SKIPPED) for line in trace.stack.broken) else None


def _in_parsls_worker(trace: Story) -> bool:
    root = trace.root_cause
    return root.type == "ModuleNotFoundError" and bool(root.hops) and root.hops[-1].where == WORKERS


def _lacks_module(trace: Story) -> dict[str, str] | None:
    if not _in_parsls_worker(trace):
        return None
    name = trace.root_cause.message.removeprefix("No module named ")
    worker_python = dict(trace.root_cause.hops[-1].versions).get("executable", "")
    if build.is_this_python(worker_python) and _is_here(name.strip("'")):
        return None  # the environment is the same: what the worker lacks is a folder, and that is told of any engine's
    return {"name": name}


def _output_is_lost(trace: Story) -> dict[str, str] | None:
    """Of a command on a worker process that wrote to no file: its words went where nobody looks."""
    hops = trace.root_cause.hops
    lost = hops and hops[-1].command and hops[-1].where == WORKERS and "stderr" not in dict(hops[-1].files)
    return {} if lost else None


_NO_PROGRAM = re.compile(r"\[Errno 2\] No such file or directory: '(interchange\.py|process_worker_pool\.py)'")


def _not_on_the_path(trace: Story) -> dict[str, str] | None:
    """Parsl's programs are beside this Python, and not on PATH: the environment is not activated."""
    found = _NO_PROGRAM.match(trace.root_cause.message) if trace.root_cause.type == "FileNotFoundError" else None
    folder = os.path.dirname(sys.executable or "")
    if found is None or not os.path.exists(os.path.join(folder, found[1])):
        return None
    return {"program": found[1], "folder": folder}


def _is_here(name: str) -> bool:
    import importlib.util

    try:
        return "." not in name and importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


_UPSTREAM = (
    "a task named in inputs=[...], or given as an argument, failed, and this one was not run: the error above is that earlier "
    "failure's; fix the upstream task (autotb.unwrap of its own future tells of it first)"
)
_LOST = (
    "what the command wrote is among the worker's own output, in submit_scripts of the run's folder: "
    "stderr=parsl.AUTO_LOGNAME, and stdout= likewise, as arguments of the app give it files of its own"
)
_NOT_ACTIVATED = (
    "{program} is in {folder}, which is not on PATH: this Python's environment is not activated; "
    "`source {folder}/activate`, or PATH={folder}:$PATH, before the program starts"
)
_ENVIRONMENT = (
    "no module named {name} in the worker: perhaps its environment is not activated there, worker_init is missing in the "
    "executor's config, or the module is installed in a different environment; for example "
    "worker_init='source /path/to/venv/bin/activate; export PYTHONPATH=/path/to/project:$PYTHONPATH'"
)

engine_facts.register(
    crashes=("parsl.executors.high_throughput.errors.WorkerLost", "parsl.executors.high_throughput.errors.ManagerLost"),
    hints=(
        (_depends, _UPSTREAM),
        (_lacks_module, _ENVIRONMENT),
        (_output_is_lost, _LOST),
        (commands.signalled, commands.SIGNALLED),
        (_not_on_the_path, _NOT_ACTIVATED),
    ),
    scripts=("process_worker_pool.py", "interchange.py"),
    callbacks=("parsl.dataflow.dflow.DataFlowKernel.handle_app_update",),  # before Parsl 2025.10
    shown={"parsl.data_provider.files.File": "url"},
    own=("parsl", "tblib", "typeguard", "dill"),
    runs=(("parsl.app.errors", "wrapper"),),
    openers=(_open,),
    handles=(_handle,),
    running=(lambda _: interrupts.running(_app),),
)

_MANAGER = "parsl.executors.high_throughput.process_worker_pool"
WORKER = Frame(_MANAGER, "worker", "result", costs=Lost.UNSENT)
APP = Frame("parsl.app.errors", "wrap_error.<locals>.wrapper", "func", "args", "kwargs", costs=Lost.CALL)
SUBMIT = Frame(
    "parsl.executors.high_throughput.executor", "HighThroughputExecutor.submit", "func", "args", "kwargs", costs=Lost.UNSENT
)
WATCHDOG = Frame(_MANAGER, "Manager.worker_watchdog", "p", costs=Lost.DEATH)


def _wrap_remote_init(original: Function) -> Function:
    """Runs in the worker with the exception alive; again, with no frames of its own, for its cause."""

    @functools.wraps(original)
    def __init__(self: Any, e_type: object, e_value: BaseException, traceback: TracebackType | None) -> None:
        original(self, e_type, e_value, traceback)
        try:
            caller = sys._getframe(2)
            if "hops" in (attached(e_value) or {}) and static.name(type(e_value)) == "WorkerLost":
                self._autotb = attached(e_value)  # the manager's own frames are nobody's
            elif caller.f_code.co_name != "__init__":
                tree = _record(e_value, traceback, caller)
                annotate.attach(e_value, tree)
                self._autotb = tree  # for the trip, where there is one: see _wrap_reduce
        except Exception:
            pass  # without a record the driver shows the traceback that Parsl brings

    return __init__


def _record(exc: BaseException, tb: TracebackType | None, caller: FrameType) -> Tree | Light:
    call = None
    is_of_a_result = WORKER.matches(caller) and not engine_frames.has_user_frame(tb) and _ended
    if is_of_a_result:
        call = _ended
    elif given := assumption.read(caller, APP):
        call = build.call_text(*_app(*given))
    hop = build.hop("parsl", _where(), call=call, twice=True)
    hop.update(commands.of(tb))
    tree = build.record(exc, tb, hop)
    if is_of_a_result and isinstance(tree, dict):
        import dill

        from autotb.record import pickle_diagnosis

        (result,) = WORKER.read(caller) or (None,)
        culprit = pickle_diagnosis.of_result(result, dill.Pickler)
        if culprit:
            tree["culprit"] = culprit
    return tree


def _app(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The user's function and its arguments: a bash app's runs inside a function of Parsl's, and monitoring adds some."""
    kwargs = {name: value for name, value in kwargs.items() if not name.startswith("_parsl_monitoring_")}
    is_bash = type(function) is functools.partial and safe_repr.function_name(function) == "remote_side_bash_executor"
    if is_bash and function.args:
        return function.args[0], (*function.args[1:], *args), {**function.keywords, **kwargs}
    return function, args, kwargs


def _where() -> str:
    """What this process is of Parsl's, by the script that it runs."""
    main = sys.modules.get("__mp_main__") or sys.modules.get("__main__")
    script = os.path.basename(getattr(main, "__file__", None) or "")
    if script.startswith("process_worker_pool"):
        return WORKERS
    return INTERCHANGE if script.startswith("interchange") else "in a Parsl worker thread"


def _wrap_get_exception(original: Function) -> Function:
    """The exception is about to be raised in the driver, with a traceback that tblib has made."""

    @functools.wraps(original)
    def get_exception(self: Any) -> Any:
        found = original(self)
        try:
            annotate.renew(found)
        except Exception:
            pass  # its traceback is Parsl's
        return found

    return get_exception


def _wrap_reduce(original: Function) -> Function:
    """The exception is made fit to travel and gets its record without any code of its class being run."""

    @functools.wraps(original)
    def __reduce_ex__(self: Any, protocol: object) -> Any:
        tree = self.__dict__.get("_autotb")
        if tree is None:
            return original(self, protocol)
        try:
            return _fit_state(self, tree)
        except Exception:
            return original(self, protocol)

    return __reduce_ex__


def _fit_state(box: object, tree: Tree | Light) -> tuple[Any, ...]:
    import dill

    state = {key: value for key, value in box.__dict__.items() if key != "_autotb"}
    state["e_value"] = pickling.packed(state["e_value"], tree, dill.dumps, dill.loads)
    return copyreg.__newobj__, (type(box),), state  # type: ignore[attr-defined]


def _wrap_submit(original: Function) -> Function:
    """Every app's call comes through here: the user's line is up the stack."""

    @functools.wraps(original)
    def submit(self: Any, *args: object, **kwargs: object) -> Any:
        try:
            from autotb.engines.parsl import upstream

            call = upstream.remember(args, kwargs)  # Parsl writes into the arguments
        except Exception:
            call = None  # then it is not submitted again
        future = original(self, *args, **kwargs)
        try:
            interrupts.submits(self)
            if call is not None:
                future._autotb_submitted = call
            _remember_name(future)
            site = callsite.here(3)
            if site is not None:
                future._autotb_site = callsite.in_batch(site, delivery.of(self), True)
        except Exception:
            pass  # the place of submission is lost, nothing else
        return future

    return submit


def _wrap_exit(original: Function) -> Function:
    """The block that has a kernel is left: by a Ctrl-C, perhaps, while its workers can be seen."""

    @functools.wraps(original)
    def __exit__(self: Any, exc_type: object, exc_value: BaseException | None, traceback: TracebackType | None) -> Any:
        if type(exc_value) is KeyboardInterrupt:
            try:
                from autotb.instrument import interrupted

                interrupted.look(exc_value)
            except Exception:
                pass  # less is told of what ran
        return original(self, exc_type, exc_value, traceback)

    return __exit__


def _remember_name(future: Any) -> None:
    number, name = future.tid, future.task_record["func_name"]
    known = _names.get(number, name)
    callsite.remember(_names, number, name if known == name else None)


def _wrap_complete(original: Function) -> Function:
    """Sets the error of a task that is not tried again: which task it was, and how often it was tried."""

    @functools.wraps(original)
    def _complete_task_exception(self: Any, task_record: dict[str, Any], new_state: object, exception: BaseException) -> Any:
        try:
            _note_task(self, task_record, exception)
        except Exception:
            pass  # its story goes without
        return original(self, task_record, new_state, exception)

    return _complete_task_exception


def _wrap_state(original: Function) -> Function:
    """The same before Parsl 2025.10: the state is set while the error of the last attempt is handled."""

    @functools.wraps(original)
    def update_task_state(self: Any, task_record: dict[str, Any], new_state: Any) -> Any:
        try:
            error = sys.exc_info()[1]
            if error is not None and new_state.name == "failed":
                _note_task(self, task_record, error)
        except Exception:
            pass  # its story goes without
        return original(self, task_record, new_state)

    return update_task_state


_attempts = attempts.Attempts()  # of tasks that Parsl tries again, by kernel and number


def _wrap_update(original: Function) -> Function:
    """Every attempt that has ended comes through here, before it is decided whether there is another."""

    @functools.wraps(original)
    def handle_exec_update(self: Any, task_record: dict[str, Any], future: Any) -> Any:
        try:
            if leaving.fails_task(self, task_record, future):
                return None
        except Exception:
            pass  # then it is waited for, as Parsl does
        try:
            if self._config.retries:
                error = future._exception or getattr(future._result, "e_value", None)
                if error is not None:
                    _attempts.failed_of((id(self), task_record["id"]), attempts.headline(error))
        except Exception:
            pass  # its attempts are counted, and no more
        return original(self, task_record, future)

    return handle_exec_update


def _note_task(kernel: Any, task: dict[str, Any], error: BaseException) -> None:
    failed = _attempts.failed.pop((id(kernel), task["id"]), [])
    hops = (attached(error) or {}).get("hops") or []
    if hops and hops[0].get("engine") == "parsl":
        its_own = hops[0].setdefault("label", number := f"task {task['id']}") == number
        if hops[0].get("where") == INTERCHANGE:  # which does not know the call
            call = build.call_text(*_app(inspect.unwrap(task["func"]), task["args"], task["kwargs"]))
            hops[0].update({"call": call} if call else {})
        if its_own:  # else another task's, which a memoised call of the same has failed of
            attempts.note(error, task["fail_count"], max(task["fail_count"], kernel._config.retries + 1), failed)


def _wrap_launch(original: Function) -> Function:
    """Every attempt of a task comes through here, with results in the place of futures."""

    @functools.wraps(original)
    def launch_task(self: Any, task_record: dict[str, Any], *args: object, **kwargs: object) -> Any:
        try:
            from autotb.engines.parsl import upstream

            upstream.note_launch(task_record)
        except Exception:
            pass  # then it is not submitted again
        return original(self, task_record, *args, **kwargs)

    return launch_task


# HighThroughputExecutor's worker, and the manager that watches it


def _wrap_unpack(original: Function) -> Function:
    """Gives a task to the worker that is about to run it."""

    @functools.wraps(original)
    def unpack_apply_message(*args: object, **kwargs: object) -> Any:
        task = original(*args, **kwargs)
        try:
            function, args, kwargs, *_ = task  # a resource specification may follow
            task_events.begins(*_app(inspect.unwrap(function), args, kwargs))  # Parsl's own is around it
        except Exception:
            pass  # less will be known of this task
        return task

    return unpack_apply_message


_ended = ""  # the call of the task that ended last, in brief: what it returned is pickled then


def _wrap_execute(original: Function) -> Function:
    """Runs a task in a worker."""

    @functools.wraps(original)
    def execute_task(*args: object, **kwargs: object) -> Any:
        global _ended
        well, leaves, _ended = False, False, ""
        try:
            result = original(*args, **kwargs)
            well = type(result).__name__ != "RemoteExceptionWrapper"
            return result
        except (SystemExit, KeyboardInterrupt) as error:
            leaves = _where() == WORKERS and task_events.is_ended_by(error, "parsl", "in a Parsl worker")
            raise
        finally:
            try:
                if not leaves:
                    _ended = task_events.ended(well)
            except Exception:
                pass  # it has ended all the same

    return execute_task


def _wrap_unsent_init(original: Function) -> Function:
    """Made in the driver, of a call that could not be pickled; it has the function's name alone."""

    @functools.wraps(original)
    def __init__(self: Any, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        try:
            caller = sys._getframe(2)
            found = assumption.read(caller, SUBMIT)
            if found is not None:
                import dill

                from autotb.record import pickle_diagnosis

                function, given, named = found
                call = _app(inspect.unwrap(function), given, named)
                culprit = pickle_diagnosis.of_call(*call, dill.Pickler) or None
                annotate.note(self, unsent=True, culprit=culprit, hops=_unsent(*call))
        except Exception:
            pass  # what is at fault is not named

    return __init__


def _unsent(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Hop]:
    """The call, which no worker has seen."""
    text = build.call_text(function, args, kwargs)
    return [{"frames": [], "call": text} if text is not None else {"frames": []}]


def _wrap_lost_init(original: Function) -> Function:
    """Made in the manager, once it finds a worker dead."""

    @functools.wraps(original)
    def __init__(self: Any, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        try:
            caller = sys._getframe(2)
            found = assumption.read(caller, WATCHDOG)
            if found is not None:
                _note_death(self, *found)
        except Exception:
            pass  # then it is told that the worker was lost, and no more

    return __init__


def _note_death(error: BaseException, process: Process) -> None:
    from autotb.postmortem import death_report

    hop, raised = death_report.of_process("parsl", "in a Parsl worker", process)
    for path in _logs():
        hop["died"] += death_report.tail(path, 5)
    annotate.note_death(error, [hop], None, raised)


def _logs() -> list[str]:
    """What the job that started this manager wrote on stderr: Parsl names its log folder on the manager's command line."""
    import glob

    found = dict(zip(sys.argv, sys.argv[1:], strict=False)).get("--logdir") or next(
        (argument.partition("=")[2] for argument in sys.argv if argument.startswith("--logdir=")), ""
    )
    if not found:
        return []
    files = glob.glob(os.path.join(os.path.dirname(found.rstrip("/")), "submit_scripts", "*.stderr"))
    return sorted((file for file in files if os.path.getsize(file)), key=os.path.getmtime)[-1:]


#: Imported it by name; before 2025 the worker's script did, which cannot be patched once it runs.
_UNPACKING = ("parsl.executors.execute_task",)
_SKIPS = "the end of a task that is given one which left its thread (SystemExit)"
_WHICH = "which task failed, and at which attempt"
PATCHES = (
    Patch("parsl.serialize", "unpack_apply_message", _wrap_unpack, also=_UNPACKING, costs=Lost.DEATH),
    Patch(
        "parsl.serialize", "unpack_res_spec_apply_message", _wrap_unpack, also=_UNPACKING, optional=True, costs=Lost.DEATH
    ),  # until 2025.11
    Patch("parsl.executors.execute_task", "execute_task", _wrap_execute, costs=Lost.DEATH),
    Patch(
        "parsl.executors.status_handling",
        "BlockProviderExecutor._launch_block",
        inherited_settings.telling,
        optional=True,
        costs=Lost.SETTINGS,
    ),
    Patch("parsl.serialize.errors", "SerializationError.__init__", _wrap_unsent_init, optional=True, costs=Lost.UNSENT),
    Patch("parsl.executors.high_throughput.errors", "WorkerLost.__init__", _wrap_lost_init, costs=Lost.DEATH),
    Patch("parsl.app.errors", "RemoteExceptionWrapper.__init__", _wrap_remote_init, costs=Lost.RECORD),
    Patch("parsl.app.errors", "RemoteExceptionWrapper.__reduce_ex__", _wrap_reduce, costs=Lost.FIT),
    Patch("parsl.app.errors", "RemoteExceptionWrapper.get_exception", _wrap_get_exception, optional=True, costs=Lost.FRAMES),
    Patch("parsl.dataflow.dflow", "DataFlowKernel.submit", _wrap_submit, costs=Lost.SITE),
    Patch("parsl.dataflow.dflow", "DataFlowKernel.__exit__", _wrap_exit, optional=True, costs=Lost.WAITED),
    Patch(
        "parsl.dataflow.dflow",
        "DataFlowKernel._complete_task_exception",
        _wrap_complete,
        optional=True,
        costs=_WHICH,
    ),
    Patch("parsl.dataflow.dflow", "DataFlowKernel.update_task_state", _wrap_state, optional=True, costs=_WHICH),
    Patch("parsl.dataflow.dflow", "DataFlowKernel.handle_exec_update", _wrap_update, optional=True, costs=_WHICH),
    Patch("parsl.dataflow.dflow", "DataFlowKernel._unwrap_futures", leaving.wrap_unwrap, optional=True, costs=_SKIPS),
    Patch("parsl.dataflow.dflow", "DataFlowKernel.launch_task", _wrap_launch, optional=True, costs=Lost.RETRY),
)
ASSUMPTIONS = (UPSTREAM, commands.COMMAND, WORKER, APP, SUBMIT, WATCHDOG, *interrupts.ASSUMPTIONS)


def probe(given: dict[str, Any], timeout: float) -> Iterator[Any]:
    """For ``doctor --engine``."""
    import time

    import parsl
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor

    from autotb.instrument.workers import configured

    config = configured(given, "config", Config, "Parsl") or Config(
        executors=[HighThroughputExecutor(label="htex", max_workers_per_node=1, address="127.0.0.1")], strategy="none"
    )
    kernel = parsl.load(config)
    labels = [label for label in kernel.executors if not label.startswith("_")]

    def ask(expression: str) -> list[tuple[str, Any]]:
        futures = [(label, parsl.python_app(eval, executors=[label])(expression)) for label in labels]
        end = time.monotonic() + timeout
        return [(f"executor {label}", future.result(max(0.0, end - time.monotonic()))) for label, future in futures]

    try:
        yield ask
    finally:
        kernel.cleanup()
        parsl.clear()


#: What ``python -m autotb demo --engine parsl`` runs: a user's script.
DEMO = '''\
"""Parsl runs a chain of apps on its worker processes; the first one fails."""

import parsl
from parsl import Config, python_app
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider


@python_app
def load(views):
    def rate(clicks):
        return clicks / views

    return rate(3)


@python_app
def clean(value):
    return round(value, 3)


@python_app
def report(value):
    return f"rate: {value}"


def main():
    executor = HighThroughputExecutor(
        max_workers_per_node=2, address="127.0.0.1", cpu_affinity="none", provider=LocalProvider(init_blocks=1, max_blocks=1)
    )
    with parsl.load(Config(executors=[executor], initialize_logging=False)):
        return report(clean(load(0))).result()


if __name__ == "__main__":
    main()
'''
