"""A main script whose work begins under no guard is known by its source."""

from __future__ import annotations

import textwrap

import pytest

from autotb.trace import main_guard
from autotb.trace.parts import Frame

GUARDED = """
    def main():
        start()

    if __name__ == "__main__":
        import sys

        main()
    """


@pytest.mark.parametrize(
    ("code", "line", "missing"),
    [
        ("start()", 1, True),
        (GUARDED, 8, False),
        ('if "__main__" == __name__ and True: start()', 1, False),
        ("if True:\n    start()", 2, True),
        ("def broken(", 1, False),
        ("", 1, False),
    ],
)
def test_whether_the_guard_is_missing(tmp_path, code, line, missing):
    script = tmp_path / "main.py"
    script.write_text(textwrap.dedent(code))
    frames = (Frame(str(script), line, "<module>", module="__main__"), Frame(str(script), 3, "main", module="__main__"))

    assert main_guard.is_missing(frames) is missing


def test_what_is_no_script_has_none_to_miss():
    assert not main_guard.is_missing(())
    assert not main_guard.is_missing((Frame("<string>", 1, "<module>", module="__main__"),))
    assert not main_guard.is_missing((Frame(__file__, 1, "<module>", module="tests.x"),))
