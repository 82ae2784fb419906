"""``python -m autotb rerun FILE``: call a failed function again, alone, in this process.

Flows in: a kept story that names its inputs, the inputs themselves (``AUTOTB_KEEP_INPUTS=1``), or a run folder, a step and an
element.  Flows out: what the call returns or the story of its error, on stdout; under ``--pdb`` the debugger where it was raised.
To read inputs is to unpickle them, which can run any code: a file that others could have written is refused, unless ``--trust``
is given.
"""

from __future__ import annotations

import math
import os
import pickle
import re
import stat
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from autotb.record import arrival, inputs
from autotb.render import clean, terminal


def command(options: Any) -> int:
    """Run the call; ends as it does: 0, 1 for an error, its own status for SystemExit; 2 for a file that cannot be used."""
    try:
        path = Path(options.file)
        if path.is_dir():
            call = _of_folder(path, options.step, options.index, options.trust)
        else:
            call = _load(_inputs_of(path, options.trust), options.trust)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        terminal.write(sys.stderr, clean.line(f"autotb rerun: {options.file}: {reason}") + "\n")
        return 2
    return _run(*call, debug=options.pdb)


def _inputs_of(path: Path, trust: bool) -> Path:
    """The file of the inputs that a story names; the file itself where it is no story."""
    with path.open("rb") as file:
        if file.read(1) != b"{":
            return path
    _refuse_others(path, trust)
    try:
        record = arrival.parsed(arrival.json_in(path))
    except ValueError as error:
        raise ValueError(f"it is not JSON, or was cut off ({error})") from error
    found = [hop["inputs"] for hop in _hops(record) if isinstance(hop.get("inputs"), str)]
    if not found:
        raise ValueError(
            "it names no inputs: they are kept where AUTOTB_DIR and AUTOTB_KEEP_INPUTS=1 are set as the program runs"
        )
    return Path(found[-1])


def _of_folder(folder: Path, step: str | None, given: Sequence[str], trust: bool) -> tuple[Any, Any, Any]:
    """The call of an element of a run folder that failed."""
    from autotb.flow import binding, index, result_log, run_report
    from autotb.flow.packing import Opaque
    from autotb.flow.store import load

    folder = folder.absolute()
    if step is None:
        raise ValueError("it is a run folder: name the step and the number of its element, as show --failed lists them")
    with closing(index.opened(str(folder))) as found:
        shapes = {name: shape for _, name, shape, tally in run_report.steps(found) if not tally.is_part}
        step, at = _element(step, given, shapes)
        rows = found.places(step, at, at + 1)
        about = {key: found.noted(key) for key in ("path", "folder", "main")}
    state = rows[0][1].state & result_log.STATE if rows else None
    if state != result_log.FAILED:
        why = {None: "it was not called", result_log.SKIPPED: "it was skipped"}.get(state, "it gave a value")
        raise ValueError(f"element {at} of step {step!r} is no call that failed ({why}); show --failed lists those that did")
    _refuse_others(folder / index.FILE, trust)
    _refuse_others(folder / result_log.FOLDER / rows[0][1].shard, trust)
    _prepare({"path": about["path"] or [], "folder": about["folder"] or "", "main": about["main"]})
    ((_, error),) = load(str(folder), step, rows)
    for name, value in (("the function", error.function), *error.kwargs.items()):
        if isinstance(value, Opaque):
            raise ValueError(  # noqa: TRY004  nobody gave a wrong argument
                f"the call cannot be made again here: {name} is {value!r}"
            )
    args, kwargs = binding.unbind(error.function, error.kwargs)
    return error.function, args, kwargs


def _element(step: str, given: Sequence[str], shapes: dict[str, tuple[int, ...]]) -> tuple[str, int]:
    """The step and the number of the element that is meant: ``7``, or of an array ``2 1``, ``2,1``, ``(2, 1)``.

    Raises ValueError for what is none.
    """
    if step not in shapes and (owner := step.rpartition("[")[0]) in shapes:
        step = owner  # of which it is one of several outputs
    if step not in shapes:
        raise ValueError(f"it has no step {step!r}, or none that has begun; there are {', '.join(map(repr, shapes)) or 'none'}")
    texts, shape = re.findall(r"[^\s,()]+", " ".join(given)), shapes[step]
    try:
        numbers = [int(text) for text in texts or ["0"]]
    except ValueError:
        raise ValueError(f"{' '.join(given)} is no number of an element, nor its index along each axis") from None
    size = math.prod(shape)
    axes = [size] if len(numbers) == 1 else shape
    if len(numbers) != len(axes) or not all(0 <= number < length for number, length in zip(numbers, axes, strict=True)):
        of_several = f", its shape is {shape}" if len(shape) > 1 else ""
        raise ValueError(f"step {step!r} has no element {', '.join(map(str, numbers))}: it has {size:,}{of_several}")
    at = 0
    for number, length in zip(numbers, axes, strict=True):
        at = at * length + number
    return step, at


def _hops(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [hop for item in value for hop in _hops(item)]
    if not isinstance(value, dict):
        return []
    own = [hop for hop in value.get("hops") or () if isinstance(hop, dict)] if isinstance(value.get("hops"), list) else []
    return own + [hop for key, item in value.items() if key != "hops" for hop in _hops(item)]


def _refuse_others(path: Path, trust: bool) -> None:
    if trust or not hasattr(os, "getuid"):
        return
    for place in (path, path.absolute().parent):
        found = place.stat()
        others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (place != path and found.st_mode & stat.S_ISVTX)
        if found.st_uid not in (os.getuid(), 0) or (place == path and found.st_uid != os.getuid()) or others:
            raise ValueError(f"others could have written {place}, and unpickling runs what it says: look at it, then use --trust")


def _load(path: Path, trust: bool) -> tuple[Any, Any, Any]:
    _refuse_others(path, trust)
    content = path.read_bytes()
    try:
        about = pickle.loads(content)
        if not isinstance(about, dict) or about.get("format") != inputs.FORMAT:
            raise ValueError("these are no inputs that autotb kept")
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(
            f"these are no inputs that autotb kept, or they were cut off ({type(error).__name__}: {error})"
        ) from error
    _prepare(about)
    try:
        function, args, kwargs = pickle.loads(about["call"])
    except Exception as error:
        raise ValueError(f"the call cannot be unpickled here ({type(error).__name__}: {error})") from error
    return function, args, kwargs


def _prepare(about: dict[str, Any]) -> None:
    """What the worker had: its folder, its path, and the main script under the name that spawned workers give it.

    Raises ValueError for a script that cannot be imported.
    """
    sys.path[:] = [*dict.fromkeys([*about["path"], *sys.path])]
    if os.path.isdir(about["folder"]):
        os.chdir(about["folder"])
    main = about["main"]
    if main and os.path.isfile(main):
        from multiprocessing import spawn

        try:
            spawn._fixup_main_from_path(main)  # type: ignore[attr-defined]
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"{main}, which is imported for its functions, raised {type(error).__name__}: {error}; "
                'what it is to do as a program belongs under if __name__ == "__main__":'
            ) from error


def _run(function: Any, args: Any, kwargs: Any, *, debug: bool) -> int:
    try:
        result = function(*args, **kwargs)
    except Exception as error:
        from autotb import render
        from autotb.trace.build import build

        tb = error.__traceback__.tb_next if error.__traceback__ else None
        terminal.write(sys.stdout, render.draw(build(error, tb), sys.stdout))
        if debug:
            import pdb

            pdb.post_mortem(tb)
        return 1
    sys.stdout.write(f"{result!r}\n")
    return 0
