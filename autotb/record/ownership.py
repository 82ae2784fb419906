"""Whose code a frame runs: the user's, a library's, the standard library's, an engine's, or autotb's own.

Flows in: paths and names of modules, the engines' facts, the functions that were submitted.  Flows out: one of five words.
"""

from __future__ import annotations

import os
import sys

from autotb import engine_facts
from autotb.record import static

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing and dataclasses cost more to import than all of this: the success path does without
    from types import FrameType
    from typing import Any

USER, LIBRARY, STDLIB, ENGINE, OWN = "user", "library", "stdlib", "engine", "own"
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PACKED = str(getattr(sys, "_MEIPASS", "")) + os.sep if getattr(sys, "frozen", False) else ""  # PyInstaller's
_STDLIB = tuple({path + os.sep for path in (os.path.dirname(os.__file__), os.path.dirname(os.path.realpath(os.__file__)))})
_PACKAGES = ("site-packages", "dist-packages")
_MAINS = ("__main__", "__mp_main__", "")
_LOADERS = ("pex", "_bootstrap")  # of packed programs: what they call first is the program
user_packages: set[str] = set()  # top-level packages of submitted functions
_libraries: set[str] = set()  # those of them that came from an index of packages
REBUILT = "?"  # the module's name in frames that tblib (PySpark has one of its own) makes of a worker's text
_kinds: dict[tuple[str, str], str] = {}


def kind_of_frame(frame: FrameType) -> str:
    """Whose code a frame runs."""
    return kind_of(static.exact(frame.f_code.co_filename), static.name_of(frame))


def kind_of(path: str, module: str | None) -> str:
    """Whose code this is: ``user``, ``library``, ``stdlib``, ``engine`` or ``own`` (autotb's).

    An engine's code is known by its module's name together with the folder that the engine was loaded from, never by a piece of
    a path; a file that only looks like an engine's stays the user's.
    """
    key = (path, module or "")
    kind = _kinds.get(key)
    if kind is None:
        if len(_kinds) > 20_000:
            _kinds.clear()
        kind = _kinds[key] = _classify(path, "" if module is None or module == REBUILT else module)
    return kind


def _classify(path: str, module: str) -> str:
    if path.startswith("<"):
        return _kind_of_nameless(path, module)
    full = os.path.abspath(path)
    if not os.path.isabs(path) and not os.path.exists(full):
        # Compiled code (Cython) names its source relative to where it was built: the module tells.
        file = getattr(sys.modules.get(module), "__file__", None)
        full = os.path.abspath(file) if file else _installed(path) or full
    if full.startswith(_HERE):
        return OWN
    if module in _MAINS and _is_a_launchers_script(full):
        return ENGINE
    if _is_engine(full, module):
        return ENGINE
    if _PACKED and full.startswith(_PACKED):  # one folder for all: the standard library, packages and the program
        top = module.partition(".")[0] or full[len(_PACKED) :].split(os.sep, 1)[0].partition(".")[0]
        return STDLIB if top in sys.stdlib_module_names else USER
    for folder in _site_packages():
        if full.startswith(folder):
            return USER if _top(full, folder) in _users_own() else LIBRARY
    for folder in (*_STDLIB, _ZIPPED):
        if full.startswith(folder):
            return ENGINE if _top(full, folder) in engine_facts.STDLIB_LAUNCHERS else STDLIB
    return USER


def _top(full: str, folder: str) -> str:
    """The module or package of a folder that a file in it is of."""
    return full[len(folder) :].split(os.sep, 1)[0].removesuffix(".py")


def _installed(path: str) -> str:
    """Where a path that begins with a package's folder would be, were it of an installed package."""
    top, within, _ = path.replace("\\", "/").partition("/")
    folders = [folder for folder in _site_packages() if os.path.isdir(folder + top)] if within and top.isidentifier() else []
    return folders[0] + path if folders else ""


def _is_a_launchers_script(full: str) -> bool:
    folder, name = os.path.split(full)
    if name in engine_facts.facts.scripts:
        return True
    if name == "__main__.py":  # of a packed program: it stands beside its loader's folder
        return any(file and _is_beside(folder, file) for file in map(_folder_of, _LOADERS))
    if os.path.basename(folder) not in ("bin", "Scripts"):
        return False
    from autotb.record import launchers  # which few programs need

    return launchers.is_script(full)


def _is_beside(folder: str, loader: str) -> bool:
    above = os.path.dirname(loader.rstrip(os.sep))
    return folder in (above, os.path.dirname(above))


def adopt_program(frames: list[FrameType]) -> None:
    """A packed program (pex, shiv) is installed as a library is: the first code that its loader calls is the user's."""
    loaded = False
    for frame in frames:
        top = static.name_of(frame).partition(".")[0]
        if top in _LOADERS:
            loaded = True
        elif loaded and kind_of_frame(frame) not in (ENGINE, OWN, STDLIB):
            if top and top not in user_packages and top not in ("__main__", "__mp_main__"):
                user_packages.add(top)
                engine_facts.changed()
            return


def is_packed() -> bool:
    """Whether a loader of packed programs is there."""
    return any(name in sys.modules for name in _LOADERS)


def is_stdlib(path: str) -> bool:
    """Whether a file is the standard library's, engine or not."""
    return path.startswith(("<frozen", *_STDLIB)) and not path.startswith(tuple(_site_packages()))


_ZIPPED = f"{sys.base_prefix}{os.sep}lib{os.sep}python{sys.version_info[0]}{sys.version_info[1]}.zip{os.sep}"


def _kind_of_nameless(path: str, module: str) -> str:
    if path.startswith("<frozen"):
        return ENGINE if "runpy" in path else STDLIB
    top = module.partition(".")[0]
    if any(module == own or module.startswith(own + ".") for own in engine_facts.facts.own_modules):
        return ENGINE
    if top and top not in ("__main__", "__mp_main__", "builtins"):
        file = getattr(sys.modules.get(module), "__file__", None)
        if file:
            return kind_of(file, module)
    return USER


def _is_engine(full: str, module: str) -> bool:
    for own in engine_facts.facts.own_modules:
        if module == own or module.startswith(own + "."):
            folder = _folder_of(own)
            if folder and full.startswith(folder):
                return True
            # A function of the engine's own may come by value from another copy of it: Spark's workers have theirs in an archive.
            top = own.partition(".")[0]
            if any(f"{os.sep}{packages}{os.sep}{top}{os.sep}" in full for packages in _PACKAGES):
                return True
    # Modules that run as scripts (an engine's worker is often `__main__`) have lost their name: the folder tells.
    if module in _MAINS:
        folders = [_folder_of(own) or "" for own in engine_facts.facts.own_modules]
        return any(folder.endswith(os.sep) and full.startswith(folder) for folder in folders)
    return False


def _folder_of(own: str) -> str | None:
    """The folder of an engine's package, with a separator at its end, or the file of an engine that is one module."""
    file: str | None = getattr(sys.modules.get(own), "__file__", None)
    if not file:
        return None
    if os.path.basename(file).startswith("__init__."):
        return os.path.dirname(os.path.abspath(file)) + os.sep
    return os.path.abspath(file)


def module_of(path: str) -> str:
    """The module that a file of a loaded engine belongs to, for text, which has no module names: the folder must tell."""
    for own in engine_facts.facts.own_modules:
        folder = _folder_of(own)
        if folder and os.path.abspath(path).startswith(folder):
            return own
    return ""


def _site_packages() -> list[str]:
    return [
        os.path.abspath(path) + os.sep
        for path in sys.path
        if os.path.basename(path.rstrip(os.sep)) in _PACKAGES or path.endswith(".whl")  # as in a pex
    ]


def _users_own() -> set[str]:
    """Top-level packages that are the user's wherever they are installed: the main program's and the submitted functions'."""
    from autotb.record import launchers

    return ({launchers.program()} | user_packages) - {"autotb", ""}


def note_user_function(function: Any) -> None:
    """Remember that the package of a submitted function is the user's, unless it is a library's."""
    module = static.module_of(function)
    top = module.partition(".")[0]
    if top and top not in user_packages and top not in _libraries and not _is_known(module):
        if _is_from_an_index(top, module):
            _libraries.add(top)
            return
        user_packages.add(top)
        engine_facts.changed()


def _is_from_an_index(top: str, module: str) -> bool:
    """Whether a package was installed from an index, as libraries are, and not from a folder or a repository of the user's.

    pip, uv and their like leave a ``direct_url.json`` behind for the latter (PEP 610), as conda does for all that it has built.
    """
    file = os.path.abspath(getattr(sys.modules.get(module), "__file__", None) or "")
    folder = next((folder for folder in _site_packages() if file.startswith(folder)), None)
    try:
        info = _distribution(folder, top) if folder is not None else None
        if info is None:
            return False
        if not os.path.exists(os.path.join(info, "direct_url.json")):
            return True
        with open(os.path.join(info, "INSTALLER"), "rb") as told:
            return told.read(20).startswith(b"conda")
    except OSError:
        return False


def _distribution(folder: str, top: str) -> str | None:
    """The folder in which an installer described what package ``top`` came with."""
    infos = [name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))]
    for name in infos:
        if name.partition("-")[0].replace(".", "_").lower() == top.lower():
            return os.path.join(folder, name)
    for name in infos:  # scikit-learn brings sklearn
        try:
            with open(os.path.join(folder, name, "RECORD"), "rb") as record:
                if f"\n{top}/".encode() in b"\n" + record.read():
                    return os.path.join(folder, name)
        except OSError:
            continue
    return None


def is_engines(function: Any) -> bool:
    """Whether a submitted function is an engine's own, around the user's."""
    module = static.module_of(static.behind_partials(function))
    while module and module not in engine_facts.facts.own_modules:
        module = module.rpartition(".")[0]
    return bool(module)


def batch_of(function: Any) -> list[Any] | None:
    """The user's calls in one of joblib's batches of them, which a pool calls; None for any other function."""
    inner = static.attributes(function).get("func", function)
    batch = static.attributes(inner).get("items")
    return batch if type(batch) is list and batch and is_engines(inner) else None


def _is_known(module: str) -> bool:
    top = module.partition(".")[0]
    names: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())
    return (
        top in names
        or top in ("autotb", "__main__")
        or any(own.partition(".")[0] == top for own in engine_facts.facts.own_modules)
    )


def is_remote_text(exc: BaseException | None) -> bool:
    """Whether ``exc`` is no error at all but the text of a worker's traceback, hung on an exception as its cause."""
    if exc is None:
        return False
    named = f"{static.module(type(exc))}.{static.qualname(type(exc))}" in engine_facts.facts.remote_texts
    return named or any(is_text(exc) for is_text in engine_facts.facts.texts)


engine_facts.learners.append(_kinds.clear)
