"""Qt for Python finds Python's own hook."""

from __future__ import annotations


def test_qt_finds_pythons_own_hook(run, tmp_path):
    (tmp_path / "PyQt6").mkdir()
    (tmp_path / "PyQt6" / "__init__.py").write_text("")
    (tmp_path / "PyQt6" / "QtCore.py").write_text("")

    ran = run("import sys\nfrom PyQt6 import QtCore\nprint(sys.excepthook is sys.__excepthook__)\n")

    assert ran.stdout == "True\n"
