"""Ubuntu's crash reporter goes on reporting."""

from __future__ import annotations


def test_ubuntus_crash_reporter_goes_on_reporting_and_we_print(run, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import apport_python_hook\napport_python_hook.install()\n")
    (tmp_path / "site" / "apport_python_hook.py").write_text(
        "import sys\n\n\ndef apport_excepthook(kind, value, tb):\n    print('reported', kind.__name__)\n    sys.__excepthook__(kind, value, tb)\n\n\n"
        "def install():\n    sys.excepthook = apport_excepthook\n"
    )

    ran = run("1 / 0\n", PYTHONPATH=str(tmp_path / "site"), AUTOTB_STYLE="rich")

    assert ran.stdout == "reported ZeroDivisionError\n"
    assert ran.lines[0].startswith("╭")
    assert ran.stderr.count("ZeroDivisionError") == 1
    assert ran.status == 1
