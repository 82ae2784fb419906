"""Functions that cloudpickle sends by value: newer versions of it drop the file's name, and we find it again."""

from __future__ import annotations

import sys

import pytest

PROGRAM = """
import dataclasses
import sys
from loky import ProcessPoolExecutor

def fail(item):
    return 1 / item

class Scorer:
    def score(self, item):
        return [fail(each) for each in (1, item)][0]

@dataclasses.dataclass
class Point:
    x: int

    def __post_init__(self):
        fail(self.x)

def main(work):
    with ProcessPoolExecutor(1) as pool:
        pool.submit(work, 0).result()

if __name__ == "__main__":
    main({"function": fail, "method": Scorer().score, "lambda": lambda item: fail(item), "made": Point}[sys.argv[1]])
"""


@pytest.mark.parametrize("kind", ["function", "method", "lambda", "made"])
def test_the_file_and_the_lines_of_the_main_program(shows, kind):
    def check(ran):
        assert ran.heads, ran.stderr
        assert "in fail" in ran.heads[-1]
        assert ran.heads[-1].startswith("main.py:7 ")
        assert str(ran.folder) in ran.stderr
        assert "❱     return 1 / item" in ran.stderr
        names = {"method": ["score"], "lambda": ["<lambda>"], "made": ["__post_init__"]}.get(kind, [])
        assert all(any(head.startswith("main.py:") and name in head for head in ran.heads) for name in names)
        if kind == "made":  # dataclasses made that method: it is of no file, and is said to be of none
            assert not any("main.py" in head and "__init__" in head and "__post" not in head for head in ran.heads)

    shows(PROGRAM, check, kind)


CELL = """
import linecache, sys, types
from loky import ProcessPoolExecutor

SOURCE = "def fail(item):\\n    return 1 / item\\n"
linecache.cache["<cell 7>"] = (len(SOURCE), None, SOURCE.splitlines(True), "<cell 7>")

if __name__ == "__main__":
    del __file__  # a notebook's kernel has none
    exec(compile(SOURCE, "<cell 7>", "exec"), globals())
    with ProcessPoolExecutor(1) as pool:
        pool.submit(fail, 0).result()
"""


def test_a_cell_of_a_notebook_is_known_by_the_process_that_has_it(shows):
    def check(ran):
        assert ran.heads, ran.stderr
        assert ran.heads[-1] == "<cell 7>:2 in fail"
        assert "❱     return 1 / item" in ran.stderr

    shows(CELL, check)


def test_nothing_is_said_of_code_that_is_not_there():
    from autotb.record import shipped_code

    assert shipped_code.found_again("no_such_function", 3, module=__name__) == shipped_code.NAME
    here = shipped_code.found_again("test_nothing_is_said_of_code_that_is_not_there", sys._getframe().f_lineno, module=__name__)
    assert here == __file__
    wrong = shipped_code.found_again(
        "test_nothing_is_said_of_code_that_is_not_there", sys._getframe().f_lineno, "00-1-1", __name__
    )
    assert wrong == shipped_code.NAME


def test_other_threads_forget_what_a_file_held_at_any_time(tmp_path, monkeypatch):
    """Several threads fail at once, each in a file that was just written."""
    from autotb.record import frames

    class Crowded(dict):
        def __setitem__(self, key, value):
            super().__setitem__(key, value)
            self.clear()  # as another thread does right then

    monkeypatch.setattr(frames, "_changed", Crowded())
    path = tmp_path / "module.py"
    path.write_text("def fail():\n    return 1\n", encoding="utf-8")
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    assert not frames.changed(code)
    path.write_text("def fail():\n    return 1, 2\n\n\nX = 1\n", encoding="utf-8")
    assert frames.changed(code)
