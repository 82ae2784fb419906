"""Groups before Python 3.11."""

from __future__ import annotations

import sys

import pytest

from tests import programs

GROUP = """
import sys, traceback
import autotb
from exceptiongroup import ExceptionGroup

def fails():
    raise ExceptionGroup("two of them", [ValueError("first"), KeyError("second")])

if sys.argv[1:] == ["late"]:
    autotb.uninstall()
    print(sys.excepthook.__module__)
    autotb.install()
try:
    fails()
except ExceptionGroup:
    traceback.print_exc(file=sys.stdout)
fails()
"""


before_groups = pytest.mark.skipif(sys.version_info >= (3, 11), reason="groups are Python's own: exceptiongroup patches nothing")


@before_groups
def test_groups_before_python_3_11_are_printed_as_ever_and_uncaught_ones_are_ours(shows, tmp_path):
    def check(ran):
        assert "│ ValueError: first" in ran.stderr
        assert ran.last == "exceptiongroup.ExceptionGroup: two of them (2 sub-exceptions)"

    ours = shows(GROUP, check, AUTOTB_STYLE="rich")
    assert "| ValueError: first" in ours.stdout
    assert ours.stdout == programs.run(tmp_path, GROUP, autotb="0").stdout


@before_groups
def test_the_hook_that_prints_groups_is_given_back_and_displaced_again(run):
    ran = run(GROUP, "late")

    assert ran.stdout.startswith("exceptiongroup._formatting\n")
    assert "│ ValueError: first" in ran.stderr


@before_groups
def test_pytest_reports_a_group(tmp_path):
    test = "def test_group():\n    raise ExceptionGroup('two', [ValueError('first'), KeyError('second')])\n"
    (tmp_path / "test_it.py").write_text(f"from exceptiongroup import ExceptionGroup\n\n{test}")
    ran = programs.start([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"], tmp_path)

    assert "INTERNALERROR" not in ran.stdout + ran.stderr
    assert "| ValueError: first" in ran.stdout
    assert "1 failed" in ran.stdout


@before_groups
def test_what_traceback_prints_of_a_workers_error_after_it_was_imported(shows):
    def check(ran):
        assert "[work(x=0)]" in ran.stdout
        assert "_RemoteTraceback" not in ran.stdout

    program = """
    import traceback
    from concurrent.futures import ProcessPoolExecutor

    def work(x):
        return 1 / x

    if __name__ == "__main__":
        with ProcessPoolExecutor(1) as pool:
            error = pool.submit(work, 0).exception()
        import exceptiongroup
        print("".join(traceback.format_exception(error)))
    """
    shows(program, check)
