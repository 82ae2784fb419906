"""What to do about a value that cannot be pickled, by what it is.

Flows in: the path to the value and what it is (``record.pickle_diagnosis``), or the pickler's message.  Flows out: one sentence.
"""

from __future__ import annotations

import re

from autotb.trace.parts import Stack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_CLOUDPICKLE = "or take an engine that pickles with cloudpickle (loky, joblib, Dask, Ray)"
_LAMBDA = f"a lambda has no name to be found by; make it a def at module level, {_CLOUDPICKLE}"
_LOCAL = f"{{what}} is defined inside a function; move it to module level, {_CLOUDPICKLE}"
_STAYS = "leave it out of what is returned, which is pickled"

#: What a type's name tells, what helps where it is passed to a worker, and where it is returned; the first that fits.
_REMEDIES = (
    (
        r"_io\.(?!BytesIO|StringIO)\w+|(tempfile|zipfile|tarfile|gzip|bz2|lzma)\.\w+|h5py\..*File",
        "pass the path of a file instead of the open file, and open it in the worker",
        "return the path of a file, or what it holds, instead of the open file",
    ),
    (
        r"_multiprocessing\.\w+|multiprocess(ing)?\.(synchronize|queues|connection|sharedctypes)\.\w+",
        "give it to processes as they start (initargs= of a pool, args= of a Process), or pass one of multiprocessing.Manager()",
        _STAYS,
    ),
    (
        r"_thread\.R?[lL]ock|threading\.(Event|\w*Condition|\w*Semaphore|Barrier)|asyncio\.locks\.\w+",
        "make the lock in the worker, or pass one of multiprocessing.Manager() where processes are to share it",
        _STAYS,
    ),
    (r"_?queue\.\w+", "make the queue in the worker, or pass a multiprocessing.Manager().Queue()", _STAYS),
    (r"threading\.\w+|_thread\._local", "make it in the worker", _STAYS),
    (
        r"(\S*\.)?\w*Future|_?asyncio\.(\w+\.)?Task",
        "pass its result instead",
        "return its result instead",
    ),
    (r"(concurrent\.futures|multiprocess(ing)?\.pool)\.\S+", "make the pool in the worker", _STAYS),
    (
        r"sqlite3\.\w+|_?socket\.\w+|_?ssl\.\w+|(\S*\.)?\w*([cC]onnection|[cC]ursor|[sS]ocket)",
        "connect in the worker",
        "return what was read from it instead",
    ),
    (
        r"(async_)?generator",
        "pass list(...) of the generator, or make it in the worker",
        "return list(...) of the generator",
    ),
    (r"coroutine", "run it, and pass what it returns", "run it in the worker, and return what it returns"),
    (r"module( \S+)?", "import the module in the worker", "return what was taken from the module"),
    (r"o?(dict|odict)_\w+", "pass list(...) of it", "return list(...) of it"),
    (r"mappingproxy", "pass dict(...) of it", "return dict(...) of it"),
    (r"memoryview", "pass bytes(...) of it", "return bytes(...) of it"),
)
_OTHERS = "leave it out of what is passed, or make it in the worker", _STAYS

_IN_WORDS = (
    re.compile(r"Can't (?:pickle|get) local object '?(?:<function |<class ')?(?P<local>[^'\" ]+)"),
    re.compile(r"[cC]an(?:not|'t) pickle '?(?P<kind>[\w.]+)'? objects?"),
    re.compile(r"Can't pickle <(?P<called>function|class) '?(?P<name>[^'\" ]+)'?(?: at \w+)?>: (?P<why>.*)"),
)
_TOO_DEEP = " (nested too deeply)"
_ANOTHER = "functions and classes are pickled by their names, and that name is of another object now: give each its own"
_NO_SUCH = "functions and classes are pickled by their names, and there is nothing of that name: define it at module level"


def remedy(stack: Stack, chain: Sequence[Stack] = ()) -> str:
    """What cannot be pickled and what helps, as one sentence; empty where neither is known.

    ``chain`` has all that belongs to the story: an engine's error may be what names the part, and its cause what says why.
    """
    path, _, kind = stack.culprit.rpartition(" → ")
    subject, kind = (stack.culprit, kind) if kind else _in_words(stack.message)
    if not subject:
        return ""
    return f"{subject} cannot be pickled: {_helps(stack, chain or (stack,), path, kind)}"


def _in_words(message: str) -> tuple[str, str]:
    """What a pickler's message names, and of what kind that is."""
    for pattern in _IN_WORDS:
        if match := pattern.search(message):
            named = match.groupdict()
            if named.get("kind"):
                return named["kind"], named["kind"]
            name = named.get("local") or named["name"]
            return name, f"{named.get('called') or 'function'} {name}"
    return "", ""


def _helps(stack: Stack, chain: Sequence[Stack], path: str, kind: str) -> str:
    own, of = next(((name, each) for each in chain if (name := _raised_by_its_own(each))), ("", stack))
    if own:
        return f"its {own} raised this error" if of is chain[0] else f"its {own} raised {of.type.rpartition('.')[2]}"
    if kind.endswith(_TOO_DEEP):
        return "pass it flat: a list of its parts, and which belongs to which"
    called, _, name = kind.partition(" ")
    said = "\n".join([each.message for each in chain])
    if called in ("function", "class"):
        return _about_names(said, name or path)
    if "<locals>" in kind:
        return _LOCAL.format(what="its class")
    if re.search(rf"Can't pickle <class '[\w.]*\b{re.escape(kind)}'>: ", said):
        return _about_names(said, kind)
    passed, returned = next((texts for pattern, *texts in _REMEDIES if re.fullmatch(pattern, kind)), _OTHERS)
    if not path:
        return f"{passed}; or, where it is a result, {returned}"
    return returned if path.startswith("result") and any(hop.where for hop in stack.hops) else passed


def _about_names(message: str, name: str) -> str:
    if name.endswith("<lambda>"):
        return _LAMBDA
    if "<locals>" in name or "local object" in message:
        return _LOCAL.format(what="it")
    if "not the same object" in message:
        return _ANOTHER
    return _NO_SUCH if "lookup" in message or "not found" in message else _OTHERS[0]


def _raised_by_its_own(stack: Stack) -> str:
    """The name of the method of the user's that says how an object is pickled, where the error was raised in it."""
    last = stack.frames[-1:]
    return last[0].name if last and last[0].kind == "user" and last[0].name in _OWN else ""


_OWN = ("__reduce__", "__reduce_ex__", "__getstate__", "__getnewargs__", "__getnewargs_ex__")
