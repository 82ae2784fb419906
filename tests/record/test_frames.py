"""A traceback is cut into hops; what is stale, brought along or repeated is dropped or counted."""

import pytest

from autotb import engine_facts
from autotb.record import frames

RUNS, ASKS = ("an.engine", "run"), ("an.engine", "result")


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    """The facts of an engine ``an.engine``, and no others."""
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    engine_facts.register(own=("an.engine",), runs=(RUNS,), asks=(ASKS,))
    yield
    engine_facts.changed()


def raw(text):
    """Frames as a traceback has them, of functions ``name`` of the user's, ``name!`` of the engine's."""
    return [(frame(name), 0, at) for at, name in enumerate(text.split(), 1)]


def frame(name):
    module, name = ("an.engine", name[:-1]) if name.endswith("!") else ("__main__", name)
    namespace = {"__name__": module}
    exec(compile(f"import sys\ndef {name}():\n    return sys._getframe()", f"/{module}.py", "exec"), namespace)
    return namespace[name]()


def names(segments):
    return [(is_run, " ".join(item[0].f_code.co_name for item in part)) for is_run, part in segments]


@pytest.mark.parametrize(
    ("traceback", "expected"),
    [
        ("main score", [(False, "main score")]),
        ("main result! run! score", [(False, "main result"), (True, "run score")]),
        ("main second result! main first result! run! score", [(False, "main second result result"), (True, "run score")]),
        ("main result! load parse", [(False, "main result load parse")]),  # the engine re-raised a traceback of the worker's
        ("run! score", [(True, "run score")]),
        ("main result! run! score result! run! inner", [(False, "main result"), (True, "run score result"), (True, "run inner")]),
    ],
)
def test_segments(traceback, expected):
    assert names(frames.segments(raw(traceback))) == expected


@pytest.mark.parametrize(
    ("traceback", "hop", "kept"),
    [
        ("main gather! load parse", "load parse", "main gather"),
        ("main gather! load parse", "other parse", "main gather load"),
        ("load parse", "load parse", ""),
        ("main gather!", "load", "main gather"),
        ("main gather! load parse inner deeper", "load parse / inner deeper", "main gather"),
        ("main gather! load parse", "load parse / inner deeper", "main gather"),
        ("main gather! load parse deeper", "load parse / inner deeper", "main gather load parse deeper"),
    ],
)
def test_frames_that_an_engine_brought_along(traceback, hop, kept):
    lines = {name: at for at, name in enumerate(traceback.split(), 1)}
    twice, below = (
        [{"path": "/__main__.py", "line": lines.get(name, 1), "name": name, "kind": "user"} for name in part.split()]
        for part in (hop + "/").split("/")[:2]
    )

    remaining = frames.without_tail([(False, raw(traceback))], [{"frames": twice}], [{"frames": below}])

    assert " ".join(text for _, text in names(remaining)) == kept


def calls(text):
    codes = {name: frame(name).f_code for name in set(text)}
    return [(codes[name], 1, 0, None) for name in text]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("m" + "eo" * 500, ["m", "e", "o", {"repeated": 499, "cycle": 2}]),
        ("m" + "r" * 100 + "z", ["m", "r", {"repeated": 99, "cycle": 1}, "z"]),
        ("mrrrrrz", list("mrrrrrz")),  # short: shown whole
    ],
)
def test_recursion_is_counted(text, folded):
    found = frames._fold(calls(text))

    assert [item[0].co_name if isinstance(item, tuple) else item for item in found] == folded
