"""What compares other projects' tests with autotb and without sees a difference, also in programs with an environment of their own."""

from __future__ import annotations

import textwrap

import pytest

from tests import peers

TESTS = """
    import os
    import subprocess
    import sys
    import tempfile

    import pytest

    def program(check, *options):
        return subprocess.run([sys.executable, *options, "-c", f"import sys; sys.exit({check})"], env={}, timeout=60).returncode

    @pytest.mark.parametrize("options", [[], ["-I"], ["-E", "-s"]])
    def test_that_autotb_changes(options):
        assert program("'autotb.boot' in sys.modules", *options) == 0

    def test_that_it_does_not():
        assert program("'pytest' in sys.modules") == 0

    @pytest.fixture
    def file_that_stays():
        yield
        if "autotb.boot" in sys.modules:
            open(os.path.join(tempfile.gettempdir(), "left"), "w").close()
            assert False

    def test_of_an_end(file_that_stays):
        pass

    @pytest.mark.xfail
    def test_that_is_known_to_fail():
        assert False

    def test_that_ends_all():
        os._exit(3)
"""


@pytest.mark.on_main()
def test_a_suite_with_autotb_and_without(tmp_path):
    (tmp_path / "test_it.py").write_text(textwrap.dedent(TESTS))

    count, differ, once = peers.compare(peers.with_pytest(tmp_path, ["-p", "no:xdist"], limit=60))

    assert count == 7
    assert {one.name.replace("test_it.py::", ""): (one.bare, one.ours) for one in differ} == {
        **{f"test_that_autotb_changes[options{number}]": ("passed", "failed") for number in range(3)},
        "test_of_an_end": ("passed", "failed at teardown"),
        "(stays in the temporary directory: left)": ("no", "yes"),
    }
    assert once == []
