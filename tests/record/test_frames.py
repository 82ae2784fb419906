"""A traceback is cut into hops; what is stale, brought along or repeated is dropped or counted."""

import importlib
import linecache
import sys

import pytest

from autotb import engine_facts
from autotb.record import frames

RUNS, ASKS = ("an.engine", "run"), ("an.engine", "result")


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    """The facts of an engine ``an.engine``, and no others."""
    monkeypatch.setattr(engine_facts, "facts", engine_facts.Facts())
    engine_facts.register(own=("an",), runs=(RUNS,), asks=(ASKS,))
    yield
    engine_facts.changed()


def raw(text):
    """Frames as a traceback has them, of functions ``name`` of the user's, ``name!`` of the engine's."""
    return [(frame(name), 0, at) for at, name in enumerate(text.split(), 1)]


def frame(name):
    module, name = ("an.engine", name[:-1]) if name.endswith("!") else ("__main__", name)
    namespace = {"__name__": module}
    path = "/site-packages/an/engine.py" if module == "an.engine" else f"/{module}.py"
    exec(compile(f"import sys\ndef {name}():\n    return sys._getframe()", path, "exec"), namespace)
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
        (
            "main gather!",
            "load",
            "main gather",
        ),  # the worker's frames were made of the record, the engine's are told nowhere else
        ("main gather! load inner! parse", "other parse", "main gather load inner"),
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


class TestAPlaceThatFailsAgain:
    @pytest.fixture
    def read(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "failing_again.py").write_text("def score(item):\n    raise ValueError(item)  # first\n")
        module = importlib.import_module("failing_again")

        def read(item):
            try:
                module.score(item)
            except ValueError as error:
                return frames.Frames(3, True).read(frames.walk(error.__traceback__.tb_next))[0]

        yield read
        del sys.modules["failing_again"]

    def test_is_described_once_and_has_its_own_variables(self, read, monkeypatch):
        first = read(1)
        monkeypatch.setattr(frames.Frames, "_describe", None)  # is not asked again

        assert read(2) == {**first, "locals": {"item": "2"}}
        assert first["locals"] == {"item": "1"}

    def test_what_becomes_of_one_does_not_show_in_the_next(self, read):
        first = read(1)
        del read(1)["source"]

        assert read(1) == first

    def test_a_file_that_was_written_meanwhile_is_read_anew(self, read, tmp_path):
        read(1)
        (tmp_path / "failing_again.py").write_text("# new\ndef score(item):\n    raise TypeError(item)\n")
        found = read(1)

        assert found["source"] == [1, ["# new", "def score(item):", "    raise TypeError(item)"]]
        assert found["changed"]

    def test_lines_that_the_program_gave_linecache_meanwhile_are_shown(self, read, tmp_path):
        read(1)
        path = str(tmp_path / "failing_again.py")
        linecache.cache[path] = (1, None, ["line 1\n", "line 2\n"], path)

        assert read(1)["source"] == [1, ["line 1", "line 2"]]
        linecache.clearcache()

    def test_so_many_places_are_known_and_no_more(self, monkeypatch):
        monkeypatch.setattr(frames, "MAX_KNOWN", 10)
        for number in range(50):
            frames.Frames(3, True).read([(frame(f"f{number}"), 0, 2)])

        assert len(frames._known.frames) <= 10


@pytest.mark.parametrize(
    ("head", "body", "count"),
    [
        ("score(item, *rest, weight=2, **more)", "share = 0; item / share", 4),
        ("score(item)", "(lambda: item); item / 0", 1),
        ("score(item, other=1)", "del item; other / 0", 0),
        ("score(item)", "[1 / 0 for one in [item]]", 1),
        ("score()", "share = 1 / 0", 0),
    ],
)
def test_how_many_variables_are_parameters(head, body, count):
    names = {"__name__": "__main__"}
    exec(compile(f"def {head}:\n    {body}\n", "/__main__.py", "exec"), names)
    with pytest.raises(ZeroDivisionError) as raised:
        names["score"](1) if "item" in head else names["score"]()

    read = frames.Frames(3, True).read(frames.walk(raised.value.__traceback__.tb_next))

    assert read[0].get("args", 0) == count
    assert [one.get("args", 0) for one in read[1:]] == [0] * (len(read) - 1)
