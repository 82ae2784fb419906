"""Facts of the engines as data: which modules are theirs, which of their functions ask for a result or run the user's
function, and how their wrapper exceptions are opened.

Flows in: adapters call :func:`register`.  Flows out: ``record`` and ``trace`` read; neither knows an engine by name.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing and dataclasses cost more to import than all of this: the success path does without
    from collections.abc import Callable
    from typing import Any

# What starts a program before its own first line: debuggers, profilers, coverage, the loaders of pex and shiv.  Their frames are
# told as an engine's are.
LAUNCHERS = {
    *("runpy", "debugpy", "pydevd", "pydevconsole", "_pydev_bundle", "_pydevd_bundle", "_pydevd_frame_eval"),
    *("_pydevd_sys_monitoring", "coverage", "pyinstrument", "viztracer", "pex", "_bootstrap"),
}
# The standard library's, by their paths alone: files of programs have such names too.
STDLIB_LAUNCHERS = ("cProfile", "profile", "profiling", "trace")


class Opened:
    """What an engine's wrapper exception really says.

    ``headline`` is the exception whose type and message are shown in its place, ``text`` the worker's traceback as text, for
    want of a record, of a worker that ran ``where``.  ``roots`` are the exceptions that the wrapper only passes on, the one to
    tell first, and ``broken`` has one line for each task that failed only because of them, or for what else the engine says.
    ``is_message`` says that the engine's own frames tell nothing beside the message: they are counted.
    """

    __slots__ = ("broken", "headline", "is_message", "roots", "text", "where")

    def __init__(
        self,
        headline: BaseException | None = None,
        text: str | None = None,
        roots: tuple[BaseException, ...] = (),
        broken: tuple[str, ...] = (),
        where: str = "in a worker",
        is_message: bool = False,
    ) -> None:
        self.headline, self.text, self.roots, self.broken, self.where = headline, text, roots, broken, where
        self.is_message = is_message


class Facts:
    """What the adapters told us, all together."""

    def __init__(self) -> None:
        # The standard library's engines are engines in every process, whether or not their adapters are loaded there.
        self.own_modules: set[str] = {"asyncio", "concurrent.futures", "concurrent.interpreters", "multiprocessing", "threading"}
        self.own_modules |= {"uvloop", *LAUNCHERS}  # which runs asyncio's loops
        self.asks: set[tuple[str, str]] = set()
        self.runs: set[tuple[str, str]] = set()
        self.openers: list[Callable[[BaseException], Opened | None]] = []
        self.wrappers: dict[str, Callable[[Any], Opened | None]] = {}
        self.markers: set[str] = set()
        self.remote_texts: set[str] = set()
        self.texts: list[Callable[[BaseException], bool]] = []
        self.handles: list[Callable[[Any], Any]] = []
        self.running: list[Callable[[BaseException], dict[Any, Any]]] = []
        self.names: list[Callable[[Any, Any], str]] = []
        self.crashes: set[str] = set()
        self.scripts: set[str] = set()
        self.shown: dict[str, str] = {}
        self.callbacks: set[str] = set()
        self.hints: list[tuple[Callable[[Any], Any], str]] = []


facts = Facts()
learners: list[Callable[[], None]] = []  # called when an adapter declares modules of its own


def register(
    *,
    own: tuple[str, ...] = (),
    asks: tuple[tuple[str, str], ...] = (),
    runs: tuple[tuple[str, str], ...] = (),
    openers: tuple[Callable[[BaseException], Opened | None], ...] = (),
    wrappers: dict[str, Callable[[Any], Opened | None]] | None = None,
    markers: tuple[str, ...] = (),
    remote_texts: tuple[str, ...] = (),
    texts: tuple[Callable[[BaseException], bool], ...] = (),
    handles: tuple[Callable[[Any], Any], ...] = (),
    crashes: tuple[str, ...] = (),
    hints: tuple[tuple[Callable[[Any], Any], str], ...] = (),
    scripts: tuple[str, ...] = (),
    running: tuple[Callable[[BaseException], dict[Any, Any]], ...] = (),
    names: tuple[Callable[[Any, Any], str], ...] = (),
    shown: dict[str, str] | None = None,
    callbacks: tuple[str, ...] = (),
) -> None:
    """Add an engine's facts.

    ``own`` are module-name prefixes, ``asks`` and ``runs`` pairs of module and function name, ``openers`` open exceptions that
    are known by more than their class, ``wrappers`` those of a class, or of one below it, by its qualified name, ``markers``
    are qualified names of exceptions that say nothing and that engines raise others from, ``remote_texts`` those
    of the classes that hold a worker's traceback as text, ``texts`` tell such exceptions whose class does not say so, ``handles``
    give the ``engines.handles.Handle`` of a future that is theirs, ``crashes`` are qualified names of the errors that say that a
    worker process died, ``hints`` rows of ``trace.hints``, ``scripts`` file names of the programs that an engine installs,
    ``running`` tell which of an engine's tasks run just now that no pool of this process knows (``instrument.interrupted``),
    ``names`` what an engine's own function is to do that a pool runs for it, by that and its arguments, in words or not at all,
    ``shown`` the attribute of an engine's class, by its qualified name, whose text stands for an object among arguments,
    ``callbacks`` are qualified names of functions that an engine has called of each of its futures, which are no one's asking.
    """
    facts.own_modules.update(own)
    facts.asks.update(asks)
    facts.runs.update(runs)
    facts.openers.extend(opener for opener in openers if opener not in facts.openers)
    facts.wrappers.update(wrappers or {})
    facts.markers.update(markers)
    facts.remote_texts.update(remote_texts)
    facts.texts.extend(text for text in texts if text not in facts.texts)
    facts.handles.extend(handle for handle in handles if handle not in facts.handles)
    facts.crashes.update(crashes)
    facts.scripts.update(scripts)
    facts.shown.update(shown or {})
    facts.callbacks.update(callbacks)
    facts.names.extend(name for name in names if name not in facts.names)
    facts.running.extend(tell for tell in running if tell not in facts.running)
    facts.hints.extend(hint for hint in hints if hint not in facts.hints)
    changed()


def changed() -> None:
    """Whose code something is may have another answer from now on."""
    for learner in learners:
        learner()


def open_wrapper(exc: BaseException) -> Opened | None:
    """What the engines know of ``exc``; None for an exception that is nobody's wrapper."""
    for opener in facts.openers:
        opened = opener(exc)
        if opened is not None:
            return opened
    return None
