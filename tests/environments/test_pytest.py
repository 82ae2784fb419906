"""A failing test under pytest."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET

import pytest

from tests import programs

TESTS = """
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup


def ratio(clicks, views):
    return clicks / views


def chained(x):
    try:
        ratio(x, 0)
    except ZeroDivisionError as error:
        raise ValueError("no ratio") from error


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(1) as pool:
        yield pool


def test_process(pool):
    pool.submit(ratio, 1, 0).result()


def test_cause(pool):
    pool.submit(chained, 1).result()


def test_thread():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ratio, 1, 0).result()


def test_raises(pool):
    with pytest.raises(ValueError, match="no ratio") as info:
        pool.submit(chained, 1).result()
    assert "_RemoteTraceback" in type(info.value.__cause__).__name__


def test_other():
    assert {}


def test_wrapped(pool):
    try:
        pool.submit(ratio, 1, 0).result()
    except ZeroDivisionError as error:
        raise RuntimeError("no report") from error


def test_gathered(pool):
    errors = [pool.submit(ratio, clicks, 0).exception() for clicks in (1, 2)]
    raise ExceptionGroup("some failed", errors)
"""
COMMAND = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"]
LINES = {"test_process": [29, 12], "test_cause": [17, 12, 33, 19], "test_thread": [38, 12], "test_wrapped": [53, 12, 55]}
ENGINES = ("_base.py", "_RemoteTraceback", "pluggy", "_pytest", "__get_result")


def start(tmp_path, *options, autotb="1", **env):
    (tmp_path / "test_it.py").write_text(TESTS)
    return programs.start([*COMMAND, "--rootdir", str(tmp_path), "test_it.py", *options], tmp_path, autotb=autotb, **env)


def reports(text):
    """By test."""
    parts = re.split(r"^_+ (\w+) _+$", text.partition("short test summary")[0], flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.mark.parametrize("style", ["long", "short", "native"])
def test_the_tests_frame_then_the_workers(tmp_path, style):
    ours, bare = start(tmp_path, f"--tb={style}"), start(tmp_path, f"--tb={style}", autotb="0")
    told, theirs = reports(ours.stdout), reports(bare.stdout)

    for name in LINES:
        assert not any(own in told[name] for own in ENGINES), told[name]
        assert any(own in theirs[name] for own in ENGINES)
        lines = re.findall(r"test_it\.py(?:\", line |:)(\d+)", told[name].partition(" autotb ---")[0])
        assert list(map(int, lines)) == LINES[name], told[name]
        assert len(told[name].splitlines()) < len(theirs[name].splitlines()) or name == "test_thread"
    assert told["test_process"].count("in a process-pool worker, pid") == 1
    assert re.search(r"^ratio\(clicks=1, views=0\)\n\d engine frames hidden", told["test_process"], re.M)
    assert "direct cause" in told["test_cause"] and "ZeroDivisionError: division by zero" in told["test_cause"]
    members = told["test_gathered"].split("- 2 -")
    assert not any(own in told["test_gathered"] for own in ENGINES), told["test_gathered"]
    for member, clicks in zip(members, (1, 2)):
        assert member.count("in a process-pool worker, pid") == member.count(f"ratio(clicks={clicks}, views=0)") == 1, members
    assert told["test_other"] == theirs["test_other"]
    assert ours.status == bare.status == 1
    assert "6 failed, 1 passed" in ours.stdout and "6 failed, 1 passed" in bare.stdout


@pytest.mark.parametrize("style", ["line", "no"])
def test_a_style_that_shows_no_frames_shows_none(tmp_path, style):
    ours = start(tmp_path, f"--tb={style}")

    told = ours.stdout.partition("  + Exception Group")[0]  # of groups pytest shows the frames all the same
    assert not any(own in told for own in (*ENGINES, "autotb ---", "in a process-pool worker"))
    assert ("test_it.py:12: ZeroDivisionError" in ours.stdout) == (style == "line")
    assert "6 failed, 1 passed" in ours.stdout


@pytest.mark.on_main()
def test_xdist_and_junitxml(tmp_path):
    ours = start(tmp_path, "-n1", "--tb=short", "--junitxml=report.xml")
    failures = {case.get("name"): case.find("failure") for case in ET.parse(tmp_path / "report.xml").iter("testcase")}

    assert not any(own in ours.stdout for own in ENGINES)
    assert " engine frames hidden" in ours.stdout
    assert "test_it.py:12: in ratio" in failures["test_process"].text
    assert "_base.py" not in failures["test_process"].text and failures["test_raises"] is None


def test_without_the_workers_frames_in_the_traceback_the_story_is_a_section(tmp_path):
    ours = start(tmp_path, "--tb=short", AUTOTB_TRACEBACK="0")
    told = reports(ours.stdout)["test_process"]

    assert "_RemoteTraceback" in told
    story = told.partition(" autotb ---")[2]
    assert "in ratio" in story and not any(own in story for own in ENGINES)


def test_all_frames_on_request(tmp_path):
    assert "_base.py" in start(tmp_path, "--tb=short", AUTOTB_FRAMES="all").stdout


PLUGINS_TEST = """
pytest_plugins = ["pytester"]


def test_a_plugin(pytester):
    pytester.makepyfile('''
from concurrent.futures import ProcessPoolExecutor


def ratio():
    return 1 / 0


def test_inner():
    with ProcessPoolExecutor(1) as pool:
        pool.submit(ratio).result()
''')
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*_RemoteTraceback*", "*__get_result*"])
    result.stdout.no_fnmatch_line("*-- autotb --*")
"""


def test_a_pytest_that_a_plugins_test_runs_reports_as_ever(tmp_path):
    (tmp_path / "test_plugin.py").write_text(PLUGINS_TEST)
    for autotb in "10":
        ran = programs.run(
            tmp_path,
            "import sys, pytest\nsys.exit(pytest.main(sys.argv[1:]))",
            "-p",
            "no:cacheprovider",
            "test_plugin.py",
            autotb=autotb,
        )
        assert ran.status == 0, ran.stdout
