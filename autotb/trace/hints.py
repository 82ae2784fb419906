"""What to do about it: a table of ``(when, text)``, of which at most two fit an error, and mostly none.

Flows in: a :class:`Trace`.  Flows out: lines that begin ``hint: ``.  What only one engine's errors mean stands in its adapter,
which registers rows of the same form.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from autotb import engine_facts
from autotb.record import build, ownership
from autotb.trace import main_guard, unsendable
from autotb.trace.model import Trace
from autotb.trace.parts import Hop, Stack

MOST = 2

#: A row: whether it fits, as what the text wants to name (an empty dict if nothing), and the text.
Row = tuple[Callable[[Trace], "dict[str, str] | None"], str]


def of(trace: Trace) -> tuple[str, ...]:
    """The hints for a story, at most two, each one line."""
    found: list[str] = []
    for when, text in (*engine_facts.facts.hints, *TABLE):
        names = when(trace)
        if names is not None and len(found) < MOST:
            hint = "hint: " + text.format_map(names)
            found.append(hint)
            if when in _LAST_WORD or "alone" in names:
                break
    return tuple(found)


def stacks(stack: Stack) -> Iterator[Stack]:
    """An exception and all that it is chained to or holds."""
    yield stack
    for other in (stack.cause, stack.context, *(stack.members or ()), *stack.also):
        if other is not None:
            yield from stacks(other)


def missing_module(trace: Trace) -> str:
    """The module that a worker in another process could not import; empty where that is not the error."""
    root = trace.root_cause
    if root.type != "ModuleNotFoundError" or not root.hops:
        return ""
    quoted = root.message.split("'")
    says_so = len(quoted) == 3 and quoted[0] == "No module named "
    return quoted[1] if says_so and _is_of_another_process(trace, root.hops[-1]) else ""


def _is_of_another_process(trace: Trace, hop: Hop) -> bool:
    return bool(hop.where) and hop.pid is not None and hop.pid != trace.pid


def found_here(trace: Trace) -> dict[str, str] | None:
    """Of a module that a worker lacks and this program finds: where, and in what the two differ.

    ``folder`` is where it is, ``theirs`` the worker's interpreter, ``lacks`` is true text where that is this very one, and lacks
    the folder.
    """
    name = missing_module(trace)
    spec = _spec(name) if name else None
    if spec is None:
        return None
    at = next(iter(spec.submodule_search_locations or ()), None) if spec.submodule_search_locations else spec.origin
    folder = os.path.abspath(at) if at and os.path.exists(at) else ""
    for _ in name.split(".") if folder else ():
        folder = os.path.dirname(folder)
    hop = trace.root_cause.hops[-1]
    theirs = dict(hop.versions)
    same = build.is_this_python(theirs.get("executable", ""))
    lacks = same and folder and folder not in theirs.get("sys.path", "").split(os.pathsep)
    if same and not lacks:
        return None  # it has come since, or is found by other means
    return {
        "name": name,
        "python": sys.executable,
        "folder": folder,
        "theirs": theirs.get("executable", ""),
        "lacks": "yes" if lacks else "",
        "how": _HOW.get(hop.engine, "").replace("{folder}", folder),
    }


def _spec(name: str) -> Any:
    """Where a module is found; without importing its package, as ``find_spec`` would."""
    import importlib.machinery
    import importlib.util

    top, _, rest = name.partition(".")
    try:
        spec = importlib.util.find_spec(top)
        while rest and spec is not None:
            within = spec.submodule_search_locations
            part, _, rest = rest.partition(".")  # by itself: a name with dots would have its package imported
            spec = importlib.machinery.PathFinder.find_spec(part, list(within)) if within else None
    except (ImportError, ValueError, AttributeError):
        return None
    return spec


def _lacks_folder(trace: Trace) -> dict[str, str] | None:
    found = found_here(trace)
    return found if found and found["lacks"] else None


def _only_here(trace: Trace) -> dict[str, str] | None:
    found = found_here(trace)
    if not found or found["lacks"]:
        return None
    return {**found, "theirs": f" ({found['theirs']})" if found["theirs"] else ""}


_NO_GLOBAL = re.compile(r"name '(?P<name>[^']+)' is not defined")


def _no_global(trace: Trace) -> dict[str, str] | None:
    """A function of the main script was sent without a global that it uses, or the script was imported without what it guards."""
    root = trace.root_cause
    found = _NO_GLOBAL.match(root.message) if root.type == "NameError" else None
    main = sys.modules.get("__main__")
    if found is None or main is None or not root.hops or found["name"] not in vars(main):
        return None
    last = root.frames[-1] if root.frames else None
    if last is None or last.kind != ownership.USER or not _is_of_another_process(trace, root.hops[-1]):
        return None
    if last.module == "__mp_main__":
        return {"name": found["name"], "why": _GUARDED}
    is_mains = last.module == "__main__" or last.path == getattr(main, "__file__", None)
    return {"name": found["name"], "why": _SENT_WITHOUT.format(function=last.name)} if is_mains else None


_NOT_PICKLED = (
    "cannot pickle ",
    "can't pickle ",
    "can't get local object ",
    "could not pickle ",
    "could not serialize ",
)
_ALWAYS_PICKLING = ("PicklingError", "PickleError", "UnpicklingError", "MaybeEncodingError")


_NOT_THERE = re.compile(
    r"Can't get attribute '(?P<name>[^']+)' on <module '(?P<module>[^']+)'"
    r"|module '(?P<main>__main__|__mp_main__)' has no attribute '(?P<attribute>[^']+)'"
)


def _not_there(trace: Trace) -> dict[str, str] | None:
    """A function or a class that went by its name, and that the module has not where it arrived."""
    for stack in stacks(trace.stack):
        found = _NOT_THERE.match(stack.message) if stack.type == "AttributeError" else None
        if found is not None and _by_an_engine(stack, "load(", "loads("):
            return {"name": found["name"] or found["attribute"], "module": found["module"] or found["main"]}
    return None


def _not_pickled(trace: Trace) -> dict[str, str] | None:
    """An argument, a function or a result that cannot be sent: the engine raised it, not the user's own code."""
    for stack in stacks(trace.stack):
        bare = stack.type.rpartition(".")[2]
        says_so = bare in ("TypeError", "AttributeError") and stack.message.lower().startswith(_NOT_PICKLED)
        if stack.culprit or ((says_so or bare in _ALWAYS_PICKLING) and _raised_by_pickle(stack)):
            if not _by_an_engine(stack, "dump(", "dumps(", "copy("):
                return None
            named = sorted((stack, *stacks(trace.stack)), key=lambda each: not each.culprit)
            known = next(filter(None, (unsendable.remedy(each, [*stacks(trace.stack)]) for each in named)), "")
            return {"what": known or _PICKLES}
    return None


def _raised_by_pickle(stack: Stack) -> bool:
    last = stack.frames[-1:]
    return not last or last[0].kind in (ownership.ENGINE, ownership.OWN) or _is_pickler(last[0].module)


def _by_an_engine(stack: Stack, *calls: str) -> bool:
    """Whether an engine pickled or unpickled something, and not the user's own line, by one of these calls."""
    users = [frame for frame in stack.frames if frame.kind == ownership.USER]
    return (bool(stack.culprit) or _raised_by_pickle(stack)) and not (
        users and any(call in users[-1].failing_line for call in calls)
    )


def _is_pickler(module: str) -> bool:
    return module.partition(".")[0] in ("pickle", "cloudpickle", "dill", "copyreg", "multiprocessing")


def _crashed(trace: Trace) -> dict[str, str] | None:
    for stack in stacks(trace.stack):
        if any(line.startswith(_IS_TOLD) for hop in stack.hops for line in hop.died):
            return None  # nothing is unknown
        if stack.type in engine_facts.facts.crashes or stack.tells_of_a_death:
            died = next((hop for hop in stack.hops if any(_ENDED.search(line) for line in hop.died)), None)
            what, cause, steps = _death(next(filter(_ENDED.search, died.died)) if died is not None else "")
            parsls = "parsl" in (died.engine if died is not None else stack.type)
            return {"what": what, "cause": cause, "steps": steps.replace("{logs}", _LOGS_OF_PARSL if parsls else _LOGS)}
    return None


_IS_TOLD = (
    "its initializer raised ",
    "could not import the main script, ",
    "ended with its actor, because ",
    "killed by the node's memory",
)


def _no_guard(trace: Trace) -> dict[str, str] | None:
    """Workers that died as they imported the main script, which starts them where they import it."""
    for stack in stacks(trace.stack):
        spawned = [hop for hop in stack.hops if hop.died and hop.label.startswith(_SPAWNED)]
        if spawned and any(line.endswith("died: exit status 1") for hop in spawned for line in hop.died):
            return {} if main_guard.is_missing(stack.frames) else None
    return None


_SPAWNED = ("SpawnProcess-", "ForkServerProcess-")


def _death(told: str) -> tuple[str, str, str]:
    """How a worker ended, what may have ended it, after what is told of its end, and what to do then."""
    kind = _kind_of_death(told)
    return _ENDS.get(kind, _WITHOUT_AN_EXCEPTION), *_DEATHS[kind]


def _kind_of_death(told: str) -> str:
    if "what it raised ended its worker" in told:
        return "left"
    by_signal = re.search(r"killed by signal \d+ \((\w+)\)", told)
    if "could not unpickle a task" in told:
        return next((kind for text, kind in _UNPICKLED.items() if f"died of {text}" in told), "unpickled")
    if "Fatal Python error" in told or (by_signal and by_signal[1] in _NATIVE):
        return "crash"
    if by_signal:
        if "of its memory limit" in told:
            return "limit"
        if by_signal[1] != "SIGKILL":
            return "signal"
        return "memory" if "out of memory" in told else "killed" if "no out-of-memory kill" in told else "SIGKILL"
    status = re.search(r"exit status (\d+)", told)
    if status is None or int(status[1]) > 255 or sys.platform == "win32":
        return "unknown"
    return "exit" if int(status[1]) != 1 else "exit 1"


_NATIVE = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGTRAP", "SIGSYS")
_LOGS = "the workers' stderr files"
_LOGS_OF_PARSL = "the workers' stderr files (Parsl: in worker_logdir_root)"
_ENDED = re.compile(r": (killed by signal|exit status|gone, )|what it raised ended its worker$")
_BY_HAND = "run the task by hand outside the engine"
_WITHOUT_AN_EXCEPTION = "a worker process died without a Python exception"
_ENDS = {
    "exit 1": "a worker process ended while it was needed",
    "left": "a task ended its worker process",
    **dict.fromkeys(("no module", "no name", "unpickled"), "a worker process could not load a task"),
}
_UNPICKLED = {"ModuleNotFoundError": "no module", "ImportError": "no module", "AttributeError": "no name"}
_DEATHS = {
    "crash": (
        "it ended as a crash in compiled code does (an extension module, or a library that one calls)",
        f"{_BY_HAND}, with `python -X faulthandler`, and look at the versions of the packages that it calls",
    ),
    "memory": (
        "the kernel ends processes with SIGKILL where there is no memory left",
        f"give them less at a time, let fewer run at once, set memory limits on the executor, or {_BY_HAND} and watch it grow",
    ),
    "limit": (
        "its engine ends workers that come near to their memory limit",
        f"raise the limit (Dask: memory_limit=), let fewer run at once in a worker, give them less at a time, or {_BY_HAND}",
    ),
    "killed": (
        "SIGKILL was sent to it, by a batch system or a container at a limit or a timeout, or by a person or a program",
        f"look at {{logs}} and at the batch system's, search them for `Killed`, and {_BY_HAND}",
    ),
    "SIGKILL": (
        "SIGKILL was sent to it, by the kernel, out of memory, by a batch system at a limit or a timeout, or by somebody",
        f"look at {{logs}} and at the system's log, search them for `Killed`, set memory limits on the executor, and {_BY_HAND}",
    ),
    "signal": (
        "the signal was sent to it, by a batch system at a limit or a timeout, or by a person or a program",
        f"look at {{logs}} and at the batch system's, and {_BY_HAND}",
    ),
    "exit": (
        "the process ended itself: os._exit() or sys.exit() in the task or in a library",
        f"look at {{logs}}, and {_BY_HAND}",
    ),
    "exit 1": (
        "an error outside of the task, or os._exit(1) or sys.exit(1) in the task or in a library",
        f"look at {{logs}}, and {_BY_HAND}",
    ),
    "left": (
        "a SystemExit or a KeyboardInterrupt ends the worker that it is raised in",
        "raise another exception in tasks, which comes back to who asks (the lines above say where this one was raised)",
    ),
    "no module": (
        "a module that it needs cannot be imported there",
        "install it where the workers run, or put its folder on their PYTHONPATH, and start them after that",
    ),
    "unpickled": (
        "what it is made of raises an error as it is unpickled there",
        "look at the lines above, where it was raised",
    ),
    "no name": (
        "what the task is made of cannot be unpickled there",
        "define it where the workers can import it, and start them after it is defined",
    ),
    "unknown": (
        "out of memory, a segmentation fault, a signal such as SIGKILL, or a timeout",
        f"look at {{logs}}, search them for `Killed`, set memory limits on the executor, and {_BY_HAND}",
    ),
}


def _other_version(trace: Trace) -> dict[str, str] | None:
    """A package whose code the failing lines are, or name, and that is another one here."""
    for stack in stacks(trace.stack):
        for hop in stack.hops:
            for name, theirs in hop.versions if hop.pid != trace.pid else ():
                here = _version_here(name, theirs)
                if here and theirs and here != theirs:
                    return {"name": "Python" if name == "python" else name, "theirs": theirs, "here": here}
    return None


def _version_here(name: str, theirs: str) -> str:
    """The version that a package has here, by the same means as there; empty where that is not known.

    One that is not loaded here is known by what its installer noted, which need not be what the package itself says: where its
    files name the worker's version, it is the same.
    """
    if name == "python":
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    if isinstance(sys.modules.get(name), ModuleType):
        return build.version_of(name)
    from importlib import metadata, util

    try:
        noted = metadata.version(name)
        spec = util.find_spec(name)
    except (metadata.PackageNotFoundError, ImportError, ValueError, OSError, AttributeError):
        return ""
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    files = [os.path.join(folder, file) for folder in folders for file in _VERSION_FILES]
    return "" if not files or any(f'"{theirs}"' in text or f"'{theirs}'" in text for text in map(_beginning, files)) else noted


_VERSION_FILES = ("__init__.py", "_version.py", "version.py", "__about__.py", "__version__.py")


def _beginning(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(100_000)
    except OSError:
        return ""


def _says(kind: str, *beginnings: str) -> Callable[[Trace], dict[str, str] | None]:
    """Fits an error of this type whose message begins so, white space aside."""

    def when(trace: Trace) -> dict[str, str] | None:
        for stack in stacks(trace.stack):
            if stack.type.rpartition(".")[2] == kind and " ".join(stack.message.split()).startswith(beginnings):
                return {}
        return None

    return when


_starts_anew = _says(
    "RuntimeError",
    "An attempt has been made to start a new process before the current process has finished its bootstrapping phase",
)
_sets_anew = _says("RuntimeError", "context has already been set")


def _before_main(trace: Trace) -> dict[str, str] | None:
    """A spawned worker imports the main script, which starts work there."""
    is_set = _sets_anew(trace)
    if is_set is not None and any(
        frame.name == "_fixup_main_from_path" and frame.kind == ownership.ENGINE for frame in trace.stack.frames
    ):
        return is_set
    return _starts_anew(trace)


_daemonic = _says("AssertionError", "daemonic processes are not allowed to have children")
_no_cuda_after_fork = _says("RuntimeError", "Cannot re-initialize CUDA in forked subprocess")
_too_many_files = _says("OSError", "[Errno 24]")
_address_in_use = _says("OSError", "[Errno 98]", "[Errno 48]", "[Errno 10048]")


def _changed(trace: Trace) -> dict[str, str] | None:
    for stack in stacks(trace.stack):
        for frame in stack.frames:
            if frame.changed:
                return {"path": frame.path}
    return None


_GUARD = 'a spawned worker imports the main script: put what starts the work under `if __name__ == "__main__":`'
_PICKLES = (
    "what goes to or comes from another process is pickled; typical culprits are file handles, database connections, "
    "locks, threads, lambdas and local functions, and JAX arrays as return values: pass paths instead of file objects, convert "
    "arrays with np.asarray before returning, return only primitives and plain containers"
)
_BY_NAME = (
    "functions and classes are pickled by their name, and the process that unpickled {name} has no such name in {module}: put it "
    'into a module that both import, or into the main script, above `if __name__ == "__main__":` and before the workers start'
)
_GLOBAL = (
    "{name} is a global of this program's main script, and {why}: give it as an argument, define or import it inside of the "
    "function, or put it into a module that the workers import"
)
_SENT_WITHOUT = "{function} does not have it in the worker"
_GUARDED = 'the worker, which imports that script, has none (`if __name__ == "__main__":` runs in this program alone)'
_UNSENT = "{what}"
_SILENT = "{what}: {cause}; {steps}"
_FOLDER = (
    "{name} is in {folder}, which is not on the worker's sys.path, though its Python is this one: "
    "start the workers with PYTHONPATH={folder}, or install {name}{how}"
)
_HOW = {  # in the words of an engine
    "parsl": "; in Parsl's config, worker_init='export PYTHONPATH={folder}:$PYTHONPATH'",
    "ray": '; ray.init(runtime_env={"env_vars": {"PYTHONPATH": "{folder}"}})',
}
_ELSEWHERE = (
    "{name} is found by this Python ({python}), and not by the worker's{theirs}: let the workers run in the same environment"
)
_VERSIONS = "{name} is {theirs} in the worker and {here} here: let the workers run in the same environment"
_CUDA = (
    "CUDA was used before the workers were forked, and does not survive a fork: start them with "
    'multiprocessing.get_context("spawn") (torch.multiprocessing.set_start_method("spawn"), DataLoader(..., '
    'multiprocessing_context="spawn")), or first use the GPU in the workers'
)
_DAEMONS = (
    "a daemonic process may start no processes, and this one is such: workers of multiprocessing.Pool and of torch's DataLoader "
    "are, and what is started with daemon=True; use concurrent.futures.ProcessPoolExecutor outside, or threads inside"
)
_DESCRIPTORS = (
    "the process has as many files and sockets open as it may (`ulimit -n`): close them where they are opened (`with`), or "
    "raise the limit"
)
_PORT = (
    "the address is taken: by a process that listens there, perhaps one that an earlier run left behind, by this one, or by the "
    "file of a socket that was not removed; stop it, let the system choose a port (0), or remove the file"
)
_EDITED = "{path} was changed after it was imported, so the lines shown may not be those that ran: start the program anew"

TABLE: tuple[Row, ...] = (
    (_before_main, _GUARD),
    (_no_guard, _GUARD),
    (_not_there, _BY_NAME),
    (_no_global, _GLOBAL),
    (_not_pickled, _UNSENT),
    (_crashed, _SILENT),
    (_lacks_folder, _FOLDER),
    (_only_here, _ELSEWHERE),
    (_other_version, _VERSIONS),
    (_no_cuda_after_fork, _CUDA),
    (_daemonic, _DAEMONS),
    (_too_many_files, _DESCRIPTORS),
    (_address_in_use, _PORT),
    (_changed, _EDITED),
)
_LAST_WORD = (_before_main, _no_guard)
